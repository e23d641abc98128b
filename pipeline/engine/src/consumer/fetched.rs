//! A consumed record, detached from the client's memory: copied once, into one piece, and never again.

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Headers, Message as _, OwnedHeaders};
use schemas::Header;

use super::packed::Packed;
use crate::ledger::TopicPartition;

/// A consumed record.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) at: TopicPartition,
    pub(crate) offset: i64,
    /// Milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Packed,
    /// The headers as they came, where `headers` can't express them: a null value, or a name that is not UTF-8.
    pub(crate) raw_headers: Option<OwnedHeaders>,
}

impl Fetched {
    pub(super) fn detach(at: TopicPartition, message: &BorrowedMessage<'_>) -> Self {
        let native = message.headers();
        let (headers, exact, [key, value]) =
            Packed::read(native, [message.key(), message.payload()]);
        Self {
            at,
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            key,
            value,
            raw_headers: native.filter(|_| !exact).map(|headers| headers.detach()),
            headers,
        }
    }

    /// A record as if it had been read.
    #[cfg(test)]
    pub(crate) fn of(at: TopicPartition, offset: i64, record: schemas::Record) -> Self {
        Self {
            at,
            offset,
            timestamp_ms: 0,
            key: record.key,
            value: record.value,
            headers: record.headers.into(),
            raw_headers: None,
        }
    }

    /// Bytes it holds.
    pub(crate) fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + self.headers.size()
    }
}

/// The headers of a message, and whether they say all there is: a null value becomes an empty one, and a header whose name
/// is not UTF-8 is left out.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> (Vec<Header>, bool) {
    let (packed, exact, []) = Packed::read(message.headers(), []);
    (packed.unpack(), exact)
}

/// [`headers`] of the client's own list.
pub(crate) fn readable(native: &impl Headers) -> (Vec<Header>, bool) {
    let (packed, exact, []) = Packed::read(Some(native), []);
    (packed.unpack(), exact)
}
