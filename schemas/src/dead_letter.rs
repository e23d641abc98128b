//! Dead letters: the record that failed, byte for byte, plus where it came from and why it failed, in headers of their own.

use jiff::Timestamp;

use crate::{Header, Reason, Record, envelope::text, topics};

const TOPIC: &str = "dl-origin-topic";
const PARTITION: &str = "dl-origin-partition";
const OFFSET: &str = "dl-origin-offset";
const TIMESTAMP: &str = "dl-origin-timestamp";
const STAGE: &str = "dl-stage";
/// The header that holds the reason code.
pub(crate) const CODE: &str = "dl-code";
const ATTEMPTS: &str = "dl-attempts";
const FIRST_FAILURE: &str = "dl-first-failure";
const LAST_FAILURE: &str = "dl-last-failure";
/// How often a record has been sent back from a dead-letter topic: a header of the record itself, after its own.
const REPLAYS: &str = "dl-replays";
/// The headers of a dead letter, in their order.
pub(crate) const NAMES: [&str; 9] = [
    TOPIC,
    PARTITION,
    OFFSET,
    TIMESTAMP,
    STAGE,
    CODE,
    ATTEMPTS,
    FIRST_FAILURE,
    LAST_FAILURE,
];

/// Where a dead letter came from and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Topic the record was consumed from.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its timestamp there, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The stage that gave up.
    pub stage: String,
    /// Why.
    pub code: Reason,
    /// How often it was tried, the first time included.
    pub attempts: u32,
    /// When it failed first.
    pub first_failure: Timestamp,
    /// When it failed last.
    pub last_failure: Timestamp,
}

impl DeadLetter {
    /// The record for the stage's dead-letter topic: key, value and headers as they were, then these headers.
    #[must_use]
    pub fn record(&self, original: Record) -> Record {
        let mut headers = original.headers;
        headers.extend([
            Header::new(TOPIC, self.topic.clone()),
            Header::new(PARTITION, self.partition.to_string()),
            Header::new(OFFSET, self.offset.to_string()),
            Header::new(TIMESTAMP, self.timestamp_ms.to_string()),
            Header::new(STAGE, self.stage.clone()),
            Header::new(CODE, self.code.code()),
            Header::new(ATTEMPTS, self.attempts.to_string()),
            Header::new(FIRST_FAILURE, self.first_failure.to_string()),
            Header::new(LAST_FAILURE, self.last_failure.to_string()),
        ]);
        Record {
            topic: topics::dead_letters(&self.stage).into(),
            key: original.key,
            value: original.value,
            headers,
        }
    }

    /// Reads a dead letter back: what is told of it, and the headers the record had.
    ///
    /// A record that died twice carries these headers twice; the last ones count and the earlier ones belong to the record.
    /// What a tool has appended after them is not part of the record. `None` when a header is missing or malformed.
    #[must_use]
    pub fn read(headers: &[Header]) -> Option<(Self, &[Header])> {
        let start = headers.iter().rposition(|h| h.name == TOPIC)?;
        let (original, rest) = headers.split_at(start);
        let ours = rest.get(..NAMES.len())?;
        if ours.iter().zip(NAMES).any(|(h, name)| h.name != name) {
            return None;
        }
        let dead = Self {
            topic: text(ours, TOPIC)?.to_owned(),
            partition: text(ours, PARTITION)?.parse().ok()?,
            offset: text(ours, OFFSET)?.parse().ok()?,
            timestamp_ms: text(ours, TIMESTAMP)?.parse().ok()?,
            stage: text(ours, STAGE)?.to_owned(),
            code: Reason::from_code(text(ours, CODE)?)?,
            attempts: text(ours, ATTEMPTS)?.parse().ok()?,
            first_failure: text(ours, FIRST_FAILURE)?.parse().ok()?,
            last_failure: text(ours, LAST_FAILURE)?.parse().ok()?,
        };
        Some((dead, original))
    }
}

/// How often the record with these headers has been sent back from a dead-letter topic; 0 where the count can't be read.
#[must_use]
pub fn replays(headers: &[Header]) -> u32 {
    let count = headers.iter().rfind(|header| header.name == REPLAYS);
    count
        .and_then(|header| std::str::from_utf8(&header.value).ok()?.parse().ok())
        .unwrap_or_default()
}

/// The headers of a record that is sent back, from those it had: the same, and the count of replays after them.
#[must_use]
pub fn sent_back(original: &[Header]) -> Vec<Header> {
    let count = replays(original).saturating_add(1);
    let mut headers: Vec<Header> = original
        .iter()
        .filter(|header| header.name != REPLAYS)
        .cloned()
        .collect();
    headers.push(Header::new(REPLAYS, count.to_string()));
    headers
}
