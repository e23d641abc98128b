//! A recorded event once more, as part of another run: the run, what it supersedes and the attributes derived from them are
//! new, every other byte of the value and every other header is as it was. What this version does not know is kept.

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::{DecodeError, Detections, Event, Header, PostScraped, Record, Run, Submission, decode};

/// An event of an analysis on its way to a result.
pub trait Step: Event {
    /// The analysis.
    fn analysis_id(&self) -> Uuid;
    /// Its run.
    fn run(&self) -> Run;
}

macro_rules! steps {
    ($($event:ty),+) => {
        $(impl Step for $event {
            fn analysis_id(&self) -> Uuid {
                self.analysis_id
            }

            fn run(&self) -> Run {
                self.run
            }
        })+
    };
}

steps!(Submission, PostScraped, Detections);

/// The event of `record` as one of `run`, which takes the place of `supersedes`.
///
/// # Errors
/// When the record does not carry an event of type `E`.
pub fn rerun<E: Step>(record: &Record, run: Run, supersedes: Run) -> Result<Record, DecodeError> {
    decode::<E>(&record.headers, record.value.as_deref())?;
    let unwritable = |error: serde_json::Error| DecodeError::Json(error.to_string());
    let value = record.value.as_deref().unwrap_or_default();
    let mut properties: Properties<'_> = serde_json::from_slice(value).map_err(unwritable)?;
    properties.set("run", to_raw_value(&run).map_err(unwritable)?);
    properties.set("supersedes", to_raw_value(&supersedes).map_err(unwritable)?);
    let value = serde_json::to_vec(&properties).map_err(unwritable)?;
    let event: E = decode(&record.headers, Some(&value))?;
    let mut headers = record.headers.clone();
    set(&mut headers, "ce_id", event.id().to_string());
    set(&mut headers, "ce_time", event.time().to_string());
    Ok(Record {
        topic: record.topic.clone(),
        key: record.key.clone(),
        value: Some(Bytes::from(value)),
        headers,
    })
}

/// Gives the first header of that name, the one readers take, another value.
fn set(headers: &mut [Header], name: &str, value: String) {
    if let Some(header) = headers.iter_mut().find(|header| header.name == name) {
        header.value = value.into();
    }
}

/// The properties of a JSON object in their order, their values as they are written.
struct Properties<'a>(Vec<(String, Value<'a>)>);

enum Value<'a> {
    Kept(&'a RawValue),
    New(Box<RawValue>),
}

impl Properties<'_> {
    /// Sets a property; a new one comes right after `run`, where this version writes it.
    fn set(&mut self, name: &str, value: Box<RawValue>) {
        let place = |wanted: &str| self.0.iter().position(|(name, _)| name == wanted);
        let value = Value::New(value);
        match (place(name), place("run")) {
            (Some(at), _) => self.0[at].1 = value,
            (None, Some(run)) => self.0.insert(run + 1, (name.to_owned(), value)),
            (None, None) => self.0.push((name.to_owned(), value)),
        }
    }
}

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| match value {
            Value::Kept(value) => (name, *value),
            Value::New(value) => (name, &**value),
        }))
    }
}

impl<'de> Deserialize<'de> for Properties<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Properties<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut properties = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    properties.push((name, Value::Kept(value)));
                }
                Ok(Properties(properties))
            }
        }

        deserializer.deserialize_map(Read)
    }
}
