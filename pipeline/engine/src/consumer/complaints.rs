//! Errors of the consumer that wait for an operator.

use rdkafka::error::RDKafkaErrorCode;

/// Errors an operator must mend, each told once.
#[derive(Default)]
pub(super) struct Complaints(Vec<RDKafkaErrorCode>);

impl Complaints {
    /// What to do about `code`, the first time it is seen; `None` for what passes by itself.
    pub(super) fn advice(&mut self, code: RDKafkaErrorCode) -> Option<&'static str> {
        use RDKafkaErrorCode::{
            ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed,
            UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
        };
        let advice = match code {
            UnknownTopic | UnknownTopicOrPartition | UnknownPartition => {
                "create the topic; reading begins by itself once it is there"
            }
            TopicAuthorizationFailed => "allow this client to read and describe the topic",
            GroupAuthorizationFailed => "allow this client to read with the group",
            ClusterAuthorizationFailed => "allow this client to use the cluster",
            _ => return None,
        };
        let first = !self.0.contains(&code);
        first.then(|| {
            self.0.push(code);
            advice
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_must_mend_is_told_once_and_what_passes_by_itself_never() {
        let mut complaints = Complaints::default();
        let mut told = |code| complaints.advice(code).is_some();
        assert!(told(RDKafkaErrorCode::UnknownTopicOrPartition));
        assert!(!told(RDKafkaErrorCode::UnknownTopicOrPartition));
        assert!(told(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert!(told(RDKafkaErrorCode::GroupAuthorizationFailed));
        assert!(!told(RDKafkaErrorCode::BrokerTransportFailure));
    }
}
