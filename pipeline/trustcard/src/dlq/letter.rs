//! A dead letter as operators see it.

use bytes::Bytes;
use engine::copy::Source;
use schemas::{Header, Record, dead_letter::DeadLetter, topics};
use serde_json::{Value, json};
use store::KeptDeadLetter;

/// Stands for the reason of a record on a dead-letter topic that says none.
pub const NO_CODE: &str = "-";

/// A dead letter and where it lies.
#[derive(Debug, Clone)]
pub struct Letter {
    /// `PARTITION:OFFSET` on its topic; of a row those of the record that died.
    pub id: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// What it tells of itself; `None` when it is no dead letter of ours.
    pub told: Option<DeadLetter>,
    /// The letter, its own headers last.
    pub record: Record,
    /// Whether `record` says all there is.
    pub exact: bool,
    /// The row it was read from, if it was.
    pub row: Option<KeptDeadLetter>,
}

impl From<Source> for Letter {
    fn from(source: Source) -> Self {
        Self::new(source.partition, source.offset, source.record, source.exact)
    }
}

impl From<KeptDeadLetter> for Letter {
    fn from(row: KeptDeadLetter) -> Self {
        let (_, partition, offset) = row.origin;
        let headers = row.headers.iter();
        let headers = headers.map(|(name, value)| Header::new(name.clone(), value.clone()));
        let record = Record {
            topic: topics::dead_letters(&row.stage).into(),
            key: row.key.clone().map(Bytes::from),
            value: row.value.clone().map(Bytes::from),
            headers: headers.collect(),
        };
        Self {
            row: Some(row),
            ..Self::new(partition, offset, record, true)
        }
    }
}

impl Letter {
    /// A letter at a place.
    #[must_use]
    pub fn new(partition: i32, offset: i64, record: Record, exact: bool) -> Self {
        Self {
            id: format!("{partition}:{offset}"),
            partition,
            offset,
            told: DeadLetter::read(&record.headers).map(|(told, _)| told),
            record,
            exact,
            row: None,
        }
    }

    /// Headers of the record that died.
    #[must_use]
    pub fn original_headers(&self) -> &[Header] {
        DeadLetter::read(&self.record.headers).map_or(&self.record.headers, |(_, own)| own)
    }

    /// Why it died.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.told.as_ref().map_or(NO_CODE, |told| told.code.code())
    }

    /// `ce_id` of the record that died.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        let own = self.original_headers().iter();
        let mut ids = own.filter(|header| header.name == "ce_id");
        ids.next()
            .and_then(|id| std::str::from_utf8(&id.value).ok())
    }

    /// Everything about it.
    #[must_use]
    pub fn document(&self, open: bool) -> Value {
        let told = self.told.as_ref();
        let headers = self.original_headers().iter();
        json!({
            "letter": self.id,
            "open": open,
            "stage": told.map(|told| &told.stage),
            "code": self.code(),
            "why": told.map(|told| told.code.sentence()),
            "attempts": told.map(|told| told.attempts),
            "first_failure": told.map(|told| told.first_failure),
            "last_failure": told.map(|told| told.last_failure),
            "origin": told.map(|told| json!({
                "topic": told.topic,
                "partition": told.partition,
                "offset": told.offset,
                "timestamp_ms": told.timestamp_ms,
            })),
            "replays": schemas::dead_letter::replays(self.original_headers()),
            "key": self.record.key.as_deref().map(readable),
            "headers": headers.map(|header| json!([header.name, readable(&header.value)])).collect::<Vec<_>>(),
            "value": self.record.value.as_deref().map(value),
        })
    }
}

/// JSON as it is, else as [`readable`].
fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| readable(bytes))
}

/// Text as it is; other bytes in hexadecimal, said to be so.
fn readable(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Reason;

    #[test]
    fn a_letter_is_shown_whole_and_bytes_that_are_no_text_in_hexadecimal() {
        let told = DeadLetter {
            topic: "trustcard.posts".to_owned(),
            partition: 3,
            offset: 7,
            timestamp_ms: 1_760_000_000_000,
            stage: "detect".to_owned(),
            code: Reason::InvalidJson,
            attempts: 2,
            first_failure: "2026-11-20T09:31:01Z".parse().unwrap(),
            last_failure: "2026-11-20T09:31:02Z".parse().unwrap(),
        };
        let record = told.record(Record {
            topic: "trustcard.posts".into(),
            key: Some("abc".into()),
            value: Some(bytes::Bytes::from_static(b"\xff{")),
            headers: vec![Header::new("ce_id", "one"), Header::new("dl-replays", "2")],
        });
        let letter = Letter::new(1, 20, record, true);
        assert_eq!(
            (letter.code(), letter.event_id()),
            ("invalid_json", Some("one"))
        );
        let shown = letter.document(true);
        assert_eq!(shown["letter"], "1:20");
        assert_eq!(shown["origin"]["offset"], 7);
        assert_eq!(shown["replays"], 2);
        assert_eq!(
            shown["headers"],
            json!([["ce_id", "one"], ["dl-replays", "2"]])
        );
        assert_eq!(shown["value"], json!({ "hex": "ff7b" }));

        let stray = Record {
            topic: "t".into(),
            key: None,
            value: Some("{\"a\":1}".into()),
            headers: Vec::new(),
        };
        let stray = Letter::new(0, 0, stray, true);
        assert_eq!(stray.code(), NO_CODE);
        assert_eq!(stray.document(false)["value"]["a"], 1);
    }
}
