//! What is otherwise on a topic than it should be, and what may be done about it.

use super::{TopicSpec, TopicState};

/// One thing that is otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The topic does not exist.
    Missing {
        /// The topic.
        topic: String,
    },
    /// It has another number of partitions.
    Partitions {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: u32,
        /// Partitions it should have.
        wanted: u32,
        /// Whether only the newest record of each key is kept.
        compacted: bool,
    },
    /// It has another number of copies.
    Replication {
        /// The topic.
        topic: String,
        /// Copies it has.
        found: u16,
        /// Copies it should have.
        wanted: u16,
    },
    /// A setting has another value.
    Config {
        /// The topic.
        topic: String,
        /// The setting.
        key: String,
        /// Its value in effect; `None` when the broker does not know it.
        found: Option<String>,
        /// The value it should have.
        wanted: String,
    },
}

/// What may be done about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Create the topic.
    Create,
    /// Add partitions.
    AddPartitions,
    /// Set the setting.
    SetConfig,
    /// Nothing: a person must decide.
    Refuse,
}

impl Difference {
    /// The topic it is about.
    #[must_use]
    pub fn topic(&self) -> &str {
        match self {
            Self::Missing { topic }
            | Self::Partitions { topic, .. }
            | Self::Replication { topic, .. }
            | Self::Config { topic, .. } => topic,
        }
    }

    /// What may be done about it. A topic never shrinks, and a compacted one does not grow either: the newest record of a
    /// key would stand on another partition than the one it replaces, which then stays for ever.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Missing { .. } => Remedy::Create,
            Self::Partitions {
                found,
                wanted,
                compacted: false,
                ..
            } if *found < *wanted => Remedy::AddPartitions,
            Self::Partitions { .. } | Self::Replication { .. } => Remedy::Refuse,
            Self::Config { .. } => Remedy::SetConfig,
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { topic } => write!(f, "{topic}: does not exist"),
            Self::Partitions {
                topic,
                found,
                wanted,
                ..
            } => write!(f, "{topic}: {found} partitions, not {wanted}"),
            Self::Replication {
                topic,
                found,
                wanted,
            } => write!(f, "{topic}: {found} copies of each partition, not {wanted}"),
            Self::Config {
                topic,
                key,
                found,
                wanted,
            } => {
                let found = found.as_deref().unwrap_or("not set");
                write!(f, "{topic}: {key} is {found}, not {wanted}")
            }
        }
    }
}

/// Everything that is otherwise on one topic; settings that `spec` does not name are nobody's business.
#[must_use]
pub fn differences(spec: &TopicSpec, found: Option<&TopicState>) -> Vec<Difference> {
    let topic = spec.name.clone();
    let Some(state) = found else {
        return vec![Difference::Missing { topic }];
    };
    let mut all = Vec::new();
    if state.partitions != spec.partitions {
        let policy = state.config.get("cleanup.policy");
        all.push(Difference::Partitions {
            topic: topic.clone(),
            found: state.partitions,
            wanted: spec.partitions,
            compacted: policy.is_some_and(|policy| policy.contains("compact")),
        });
    }
    if state.replication != spec.replication {
        all.push(Difference::Replication {
            topic: topic.clone(),
            found: state.replication,
            wanted: spec.replication,
        });
    }
    all.extend(spec.config.iter().filter_map(|(key, wanted)| {
        let found = state.config.get(key);
        (found != Some(wanted)).then(|| Difference::Config {
            topic: topic.clone(),
            key: key.clone(),
            found: found.cloned(),
            wanted: wanted.clone(),
        })
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn spec() -> TopicSpec {
        TopicSpec {
            name: "posts".to_owned(),
            partitions: 6,
            replication: 3,
            config: config(&[("retention.ms", "1000")]),
        }
    }

    fn state() -> TopicState {
        TopicState {
            name: "posts".to_owned(),
            partitions: 6,
            replication: 3,
            config: config(&[("retention.ms", "1000"), ("segment.ms", "7")]),
            own: ["retention.ms".to_owned()].into(),
        }
    }

    #[test]
    fn a_topic_as_it_should_be_has_none_whatever_else_is_set_on_it() {
        assert_eq!(differences(&spec(), Some(&state())), []);
    }

    #[test]
    fn each_difference_is_named_with_what_may_be_done_about_it() {
        let one = |change: fn(&mut TopicState)| {
            let mut state = state();
            change(&mut state);
            let all = differences(&spec(), Some(&state));
            assert_eq!(all.len(), 1, "{all:?}");
            (all[0].to_string(), all[0].remedy())
        };
        let is = |text: &str, remedy| (text.to_owned(), remedy);
        assert_eq!(
            one(|topic| topic.partitions = 2),
            is("posts: 2 partitions, not 6", Remedy::AddPartitions)
        );
        assert_eq!(
            one(|topic| topic.partitions = 7),
            is("posts: 7 partitions, not 6", Remedy::Refuse)
        );
        assert_eq!(
            one(|topic| topic.replication = 1),
            is("posts: 1 copies of each partition, not 3", Remedy::Refuse)
        );
        assert_eq!(
            one(|topic| drop(
                topic
                    .config
                    .insert("retention.ms".to_owned(), "5".to_owned())
            )),
            is("posts: retention.ms is 5, not 1000", Remedy::SetConfig)
        );
        assert_eq!(
            one(|topic| drop(topic.config.remove("retention.ms"))),
            is(
                "posts: retention.ms is not set, not 1000",
                Remedy::SetConfig
            )
        );
        let missing = differences(&spec(), None);
        assert_eq!(missing[0].remedy(), Remedy::Create);
    }

    #[test]
    fn a_compacted_topic_does_not_grow() {
        let mut state = state();
        state.partitions = 2;
        state
            .config
            .extend(config(&[("cleanup.policy", "compact")]));
        let all = differences(&spec(), Some(&state));
        assert_eq!(all[0].remedy(), Remedy::Refuse);
    }
}
