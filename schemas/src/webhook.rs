//! What TrustCard posts to the addresses of partners, and how the receiver knows that it was TrustCard: by the scheme of Standard
//! Webhooks 1.0 (headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, HMAC-SHA256).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::{AnalysisResult, events::result::Outcome, identity::derive};

/// Same for every attempt of one message: by this a receiver knows one that it has seen.
pub const ID_HEADER: &str = "webhook-id";
/// When this attempt was made, in seconds since the Unix epoch.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// `v1,` and the signature.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// What a webhook may ask to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// An analysis ended with a score.
    #[serde(rename = "analysis.completed")]
    AnalysisCompleted,
    /// An analysis ended without one.
    #[serde(rename = "analysis.failed")]
    AnalysisFailed,
    /// The last item of a batch ended.
    #[serde(rename = "batch.completed")]
    BatchCompleted,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [
        Self::AnalysisCompleted,
        Self::AnalysisFailed,
        Self::BatchCompleted,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnalysisCompleted => "analysis.completed",
            Self::AnalysisFailed => "analysis.failed",
            Self::BatchCompleted => "batch.completed",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A message, as it is posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// What it tells of.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// When that happened.
    pub timestamp: Timestamp,
    /// What happened.
    pub data: Data,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Data {
    /// To a batch.
    Batch(BatchEnded),
    /// To an analysis.
    Analysis(AnalysisEnded),
}

/// An analysis has ended. The whole result is at `GET /api/results/{analysis_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisEnded {
    /// The analysis.
    pub analysis_id: Uuid,
    /// Start of the run that ended, in milliseconds since the Unix epoch: a later run of the same analysis is told again.
    pub run_started_ms: i64,
    /// The post's shortcode.
    pub post_id: String,
    /// The post's address.
    pub url: String,
    /// 0 to 100; null where it failed.
    pub trust_score: Option<f64>,
    /// A+ to F; null where it failed.
    pub grade: Option<String>,
    /// Why it failed, a stable code; null where it did not.
    pub error: Option<String>,
}

/// Every item of a batch has ended. They are at `GET /api/batches/{batch_id}/results`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEnded {
    /// The batch.
    pub batch_id: Uuid,
    /// Accepted items that ended with a score.
    pub completed: u64,
    /// Accepted items that ended without one.
    pub failed: u64,
    /// Items that an earlier analysis answered.
    pub reused: u64,
    /// When the batch was accepted.
    pub created_at: Timestamp,
    /// When its last item ended.
    pub completed_at: Timestamp,
}

impl Notification {
    /// Of the end of an analysis.
    #[must_use]
    pub fn of_analysis(result: &AnalysisResult) -> Self {
        Self {
            kind: match result.status {
                Outcome::Completed => Kind::AnalysisCompleted,
                Outcome::Failed => Kind::AnalysisFailed,
            },
            timestamp: result.completed_at,
            data: Data::Analysis(AnalysisEnded {
                analysis_id: result.analysis_id,
                run_started_ms: result.run.started_ms,
                post_id: result.post.post_id.clone(),
                url: result.post.url.clone(),
                trust_score: result.trust_score,
                grade: result.grade.clone(),
                error: result.error.as_ref().map(|e| e.code.code().to_owned()),
            }),
        }
    }

    /// Of the end of a batch.
    #[must_use]
    pub const fn of_batch(batch: BatchEnded) -> Self {
        Self {
            kind: Kind::BatchCompleted,
            timestamp: batch.completed_at,
            data: Data::Batch(batch),
        }
    }

    /// Its id for one webhook: the same whenever and by whomever it is derived.
    #[must_use]
    pub fn id(&self, webhook_id: Uuid) -> Uuid {
        let webhook = webhook_id.to_string();
        match &self.data {
            Data::Analysis(end) => derive(&[
                "webhook",
                &webhook,
                &end.analysis_id.to_string(),
                &end.run_started_ms.to_string(),
            ]),
            Data::Batch(end) => derive(&["webhook", &webhook, &end.batch_id.to_string()]),
        }
    }
}

/// The secret of a webhook, as its receiver is told it. It is derived from the server's own, so that no table holds it: who
/// changes `SECRET_KEY` changes the secret of every webhook.
#[must_use]
pub fn secret(secret_key: &[u8], webhook_id: Uuid) -> String {
    let key = mac(secret_key, &[b"webhook\0", webhook_id.as_bytes()]);
    format!("whsec_{}", STANDARD.encode(key))
}

/// The value of [`SIGNATURE_HEADER`]: HMAC-SHA256 over id, timestamp and body, with dots between, under the bytes that stand in
/// Base64 behind the `whsec_` of `secret`; `None` when it is no such secret.
#[must_use]
pub fn sign(secret: &str, id: &str, timestamp_s: i64, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    let timestamp = timestamp_s.to_string();
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    Some(format!("v1,{}", STANDARD.encode(mac(&key, &parts))))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let signed = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signed.as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        assert_eq!(sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "id", 0, b""), None);
    }

    #[test]
    fn secrets_differ_by_webhook_and_by_server() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_ne!(secret(b"key", a), secret(b"key", b));
        assert_ne!(secret(b"key", a), secret(b"other", a));
        assert_eq!(secret(b"key", a), secret(b"key", a));
        assert_eq!(secret(b"key", a).len(), "whsec_".len() + 44);
    }

    #[test]
    fn names_are_those_on_the_wire() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("batch"), None);
    }
}
