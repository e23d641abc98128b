//! CloudEvents 1.0 in Kafka binary mode: attributes are headers (`ce_id`, `ce_type`, ...), the value is the data as plain JSON.
//! `traceparent` is added by the engine at the moment of producing.

use std::{borrow::Cow, cell::Cell, io::Write as _, ops::Range};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::Reason;

/// Content type of every value.
pub const CONTENT_TYPE: &str = "application/json";

const SCHEMA_PREFIX: &str = "urn:trustcard:schema:";

/// One header of a record; values are bytes, as Kafka has them. A record has eight or more, so neither a name we know nor a
/// constant value is ever copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, ASCII.
    pub name: Cow<'static, str>,
    /// The value, byte for byte.
    pub value: Bytes,
}

impl Header {
    /// A header.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// Headers of a record, however they are kept.
pub trait Headers {
    /// The value of the first header of that name.
    fn value(&self, name: &str) -> Option<&[u8]>;
}

impl Headers for [Header] {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.iter().find(|header| header.name == name);
        found.map(|header| &*header.value)
    }
}

impl Headers for Vec<Header> {
    fn value(&self, name: &str) -> Option<&[u8]> {
        self.as_slice().value(name)
    }
}

/// Names that nearly every record carries.
const COMMON: [&str; 9] = [
    "ce_specversion",
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_time",
    "ce_subject",
    "ce_dataschema",
    "content-type",
    "traceparent",
];

/// A header's name as read from a record, without a copy where it is a common one.
#[must_use]
pub fn header_name(name: &str) -> Cow<'static, str> {
    match COMMON.iter().find(|common| **common == name) {
        Some(common) => Cow::Borrowed(*common),
        None => Cow::Owned(name.to_owned()),
    }
}

/// A record on its way to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic; a name we know is never copied.
    pub topic: Cow<'static, str>,
    /// The key; `None` is a record without key (dead letters keep what they had).
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<Header>,
}

impl Record {
    /// Bytes that count against a topic's limit: key, value and headers.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|h| h.name.len() + h.value.len())
            .sum();
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + headers
    }
}

/// The body of a topic's records.
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// `ce_type`, version last, such as `trustcard.post.scraped.v1`.
    const TYPE: &'static str;
    /// `ce_source`: the part of TrustCard that writes it.
    const SOURCE: &'static str;
    /// Base name of its JSON Schema, such as `post-scraped`; `ce_dataschema` is made of it.
    const SCHEMA: &'static str;

    /// `ce_id`: derived, so the same on redelivery, retry and republish.
    fn id(&self) -> Uuid;
    /// `ce_subject` and the key of the record.
    fn key(&self) -> String;
    /// `ce_time`: when what it tells happened; derived from consumed records, so that a redo writes the same bytes.
    fn time(&self) -> Timestamp;
}

/// `ce_dataschema` of an event type.
#[must_use]
pub fn data_schema<E: Event>() -> String {
    format!(
        "{SCHEMA_PREFIX}{}:{}",
        E::SCHEMA,
        version(E::TYPE).unwrap_or("v1")
    )
}

/// Wraps an event for `topic`. Value and whatever else differs from record to record lie in one piece of memory that is just
/// large enough: records wait to be committed by the thousand.
///
/// # Errors
/// When the event can't be written as JSON (a map with non-string keys; no event here has one).
pub fn encode<E: Event>(
    topic: impl Into<Cow<'static, str>>,
    event: &E,
) -> Result<Record, serde_json::Error> {
    let mut own = Own::default();
    let key = own.add(event.key());
    let id = own.add(event.id().hyphenated());
    let time = own.add(event.time());
    let schema = own.add(format_args!(
        "{SCHEMA_PREFIX}{}:{}",
        E::SCHEMA,
        version(E::TYPE).unwrap_or("v1")
    ));
    let value = own.0.len()..;
    serde_json::to_writer(&mut own.0, event)?;
    let memory = Bytes::copy_from_slice(&own.0);
    let part = |range: Range<usize>| memory.slice(range);
    let mut headers = Vec::with_capacity(COMMON.len());
    headers.extend([
        Header::new("ce_specversion", "1.0"),
        Header::new("ce_id", part(id)),
        Header::new("ce_type", E::TYPE),
        Header::new("ce_source", E::SOURCE),
        Header::new("ce_time", part(time)),
        Header::new("ce_subject", part(key.clone())),
        Header::new("ce_dataschema", part(schema)),
        Header::new("content-type", CONTENT_TYPE),
    ]);
    Ok(Record {
        topic: topic.into(),
        key: Some(part(key)),
        value: Some(memory.slice(value)),
        headers,
    })
}

/// Most memory that a thread keeps between two records. Most events take a tenth of it.
const KEPT: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Parts of one record, one behind the other, in memory that the next record of this thread is written to.
struct Own(Vec<u8>);

impl Default for Own {
    fn default() -> Self {
        let mut memory = SCRATCH.take();
        memory.clear();
        Self(memory)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT {
            SCRATCH.set(std::mem::take(&mut self.0));
        }
    }
}

impl Own {
    /// Where `text` lies.
    fn add(&mut self, text: impl std::fmt::Display) -> Range<usize> {
        let start = self.0.len();
        // Memory takes whatever is written to it.
        let _ = write!(self.0, "{text}");
        start..self.0.len()
    }
}

/// Why a record can't be read. [`DecodeError::reason`] is the code its dead letter carries.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No value.
    #[error("the record has no value")]
    Empty,
    /// A header that must be there is not, or can't be used.
    #[error("header {0} is missing, not UTF-8, or holds a value this reader does not know")]
    MissingHeader(&'static str),
    /// `ce_type` names another event.
    #[error("type {found} is not {expected}")]
    UnknownType {
        /// What the record says.
        found: String,
        /// What the topic carries.
        expected: &'static str,
    },
    /// `ce_type` names a version this reader does not know.
    #[error("version of {0} is not known to this reader")]
    UnknownVersion(String),
    /// Not JSON in UTF-8.
    #[error("value is not JSON: {0}")]
    Json(String),
    /// JSON of another shape.
    #[error("value does not fit its type: {0}")]
    Schema(String),
}

impl DecodeError {
    /// The stable code of this error.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Empty => Reason::EmptyPayload,
            Self::MissingHeader(_) => Reason::MissingHeader,
            Self::UnknownType { .. } => Reason::UnknownType,
            Self::UnknownVersion(_) => Reason::UnknownVersion,
            Self::Json(_) => Reason::InvalidJson,
            Self::Schema(_) => Reason::SchemaMismatch,
        }
    }
}

/// What the records of a topic say: one event, or one of a few.
pub trait Input: Sized + Send + Sync + 'static {
    /// Reads a record.
    ///
    /// # Errors
    /// See [`DecodeError`]; no input panics.
    fn read(headers: &(impl Headers + ?Sized), value: Option<&[u8]>) -> Result<Self, DecodeError>;
}

impl<E: Event> Input for E {
    fn read(headers: &(impl Headers + ?Sized), value: Option<&[u8]>) -> Result<Self, DecodeError> {
        decode(headers, value)
    }
}

/// Reads the event a record carries.
///
/// # Errors
/// See [`DecodeError`]; no input panics.
pub fn decode<E: Event>(
    headers: &(impl Headers + ?Sized),
    value: Option<&[u8]>,
) -> Result<E, DecodeError> {
    let found = text(headers, "ce_type").ok_or(DecodeError::MissingHeader("ce_type"))?;
    if text(headers, "ce_specversion") != Some("1.0") {
        return Err(DecodeError::MissingHeader("ce_specversion"));
    }
    if text(headers, "ce_id").is_none() {
        return Err(DecodeError::MissingHeader("ce_id"));
    }
    if found != E::TYPE {
        let same_event = name(found).is_some() && name(found) == name(E::TYPE);
        return Err(if same_event {
            DecodeError::UnknownVersion(found.to_owned())
        } else {
            DecodeError::UnknownType {
                found: found.to_owned(),
                expected: E::TYPE,
            }
        });
    }
    let value = value.filter(|v| !v.is_empty()).ok_or(DecodeError::Empty)?;
    // Checked as a whole, because a JSON parser does not look into the strings of properties it skips.
    let value = std::str::from_utf8(value).map_err(|error| DecodeError::Json(error.to_string()))?;
    serde_json::from_str(value).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => DecodeError::Schema(error.to_string()),
        _ => DecodeError::Json(error.to_string()),
    })
}

/// The value of the first header of that name, as text.
#[must_use]
pub fn text<'a>(headers: &'a (impl Headers + ?Sized), name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.value(name)?).ok()
}

fn name(event_type: &str) -> Option<&str> {
    event_type.rsplit_once('.').map(|(name, _)| name)
}

/// The version at the end of an event type, such as `v1`.
pub(crate) fn version(event_type: &str) -> Option<&str> {
    event_type.rsplit_once('.').map(|(_, version)| version)
}
