//! A consumed record, detached from the client's memory: copied once, and never again.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers, Message as _, OwnedHeaders};
use schemas::{Header, Record};

use crate::{ledger::TopicPartition, packed::Packed};

/// A consumed record.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) at: TopicPartition,
    pub(crate) offset: i64,
    /// Milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
    /// A hash of its key: the same for equal keys that one consumer read.
    pub(crate) key_hash: Option<u64>,
    /// Its key, value and headers.
    pub(crate) record: Packed,
    /// The headers as they came, where `record` can't express them: a null value, or a name that is not UTF-8.
    pub(crate) raw_headers: Option<OwnedHeaders>,
}

impl Fetched {
    /// `scratch` is where it is put together.
    pub(super) fn detach(
        at: TopicPartition,
        message: &BorrowedMessage<'_>,
        keys: &RandomState,
        scratch: &mut Vec<u8>,
    ) -> Self {
        let native = message.headers();
        let (record, exact) = Packed::read(message.key(), message.payload(), native, scratch);
        Self {
            at,
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            key_hash: message.key().map(|key| keys.hash_one(key)),
            record,
            raw_headers: native.filter(|_| !exact).map(|headers| headers.detach()),
        }
    }

    /// What it says is not needed any more: its memory is given back, and only its place is known from now on.
    pub(crate) fn forget(&mut self) {
        self.record = Packed::default();
        self.raw_headers = None;
    }

    /// A record as if it had been read.
    #[cfg(test)]
    pub(crate) fn of(at: TopicPartition, offset: i64, record: &schemas::Record) -> Self {
        Self {
            at,
            offset,
            timestamp_ms: 0,
            key_hash: record.key.as_ref().map(|key| {
                std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(key)
            }),
            record: Packed::from(record),
            raw_headers: None,
        }
    }
}

/// A message as a record, and whether its headers say all there is; see [`headers`].
pub(crate) fn record(message: &BorrowedMessage<'_>) -> (Record, bool) {
    let (headers, exact) = headers(message);
    let record = Record {
        topic: message.topic().to_owned().into(),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers,
    };
    (record, exact)
}

/// The headers of a message, and whether they say all there is: a null value becomes an empty one, and a header whose name
/// is not UTF-8 is left out.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> (Vec<Header>, bool) {
    message
        .headers()
        .map_or_else(|| (Vec::new(), true), readable)
}

/// [`headers`] of the client's own list.
pub(crate) fn readable(native: &impl Headers) -> (Vec<Header>, bool) {
    let (packed, exact) = Packed::read(None, None, Some(native), &mut Vec::new());
    (packed.headers(), exact)
}
