//! Retries: a record that failed for a passing reason, byte for byte, plus when to try it again and where it first came
//! from, in headers of their own. They travel on retry topics alone: what a stage sees, and what a dead letter keeps, is
//! the record without them.

use jiff::Timestamp;

use crate::{Header, Record, envelope::text, topics};

const DUE: &str = "retry-due";
const ATTEMPTS: &str = "retry-attempts";
const FIRST_FAILURE: &str = "retry-first-failure";
const TOPIC: &str = "retry-origin-topic";
const PARTITION: &str = "retry-origin-partition";
const OFFSET: &str = "retry-origin-offset";
const TIMESTAMP: &str = "retry-origin-timestamp";
const NAMES: [&str; 7] = [
    DUE,
    ATTEMPTS,
    FIRST_FAILURE,
    TOPIC,
    PARTITION,
    OFFSET,
    TIMESTAMP,
];

/// How many headers a retry adds, all at the end.
pub const HEADERS: usize = NAMES.len();

/// What is known of a record that is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Not before this time, in milliseconds since the Unix epoch.
    pub due_ms: i64,
    /// Attempts that failed so far, on all topics together.
    pub attempts: u32,
    /// When it failed first.
    pub first_failure: Timestamp,
    /// The topic it was first consumed from, which is no retry topic.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its timestamp there, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

impl Retry {
    /// The record for tier `tier` of the stage's retry topics: key, value and headers as they were, then these headers.
    #[must_use]
    pub fn record(&self, stage: &str, tier: usize, original: Record) -> Record {
        let mut headers = original.headers;
        headers.extend([
            Header::new(DUE, self.due_ms.to_string()),
            Header::new(ATTEMPTS, self.attempts.to_string()),
            Header::new(FIRST_FAILURE, self.first_failure.to_string()),
            Header::new(TOPIC, self.topic.clone()),
            Header::new(PARTITION, self.partition.to_string()),
            Header::new(OFFSET, self.offset.to_string()),
            Header::new(TIMESTAMP, self.timestamp_ms.to_string()),
        ]);
        Record {
            topic: topics::retry(stage, tier).into(),
            key: original.key,
            value: original.value,
            headers,
        }
    }

    /// Reads the headers of a record on a retry topic: what is told of it, and the headers the record had. `None` when they
    /// don't end with those of a retry, or one of them is malformed.
    #[must_use]
    pub fn read(headers: &[Header]) -> Option<(Self, &[Header])> {
        let (original, ours) = split(headers)?;
        let retry = Self {
            due_ms: text(ours, DUE)?.parse().ok()?,
            attempts: text(ours, ATTEMPTS)?.parse().ok()?,
            first_failure: text(ours, FIRST_FAILURE)?.parse().ok()?,
            topic: text(ours, TOPIC)?.to_owned(),
            partition: text(ours, PARTITION)?.parse().ok()?,
            offset: text(ours, OFFSET)?.parse().ok()?,
            timestamp_ms: text(ours, TIMESTAMP)?.parse().ok()?,
        };
        Some((retry, original))
    }
}

/// When a record on a retry topic is due, in milliseconds since the Unix epoch. `None` where no readable header says so: then
/// it is due at once.
#[must_use]
pub fn due_ms(headers: &[Header]) -> Option<i64> {
    let (_, ours) = split(headers)?;
    text(ours, DUE)?.parse().ok()
}

fn split(headers: &[Header]) -> Option<(&[Header], &[Header])> {
    let start = headers.len().checked_sub(HEADERS)?;
    let (original, ours) = headers.split_at_checked(start)?;
    let named = ours.iter().zip(NAMES).all(|(h, name)| h.name == name);
    named.then_some((original, ours))
}
