//! A consumed record, detached from the client's memory: each part is copied once and never again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Bytes, BytesMut};
use rdkafka::message::{BorrowedMessage, Headers, Message as _, OwnedHeaders};
use schemas::{Header, envelope};

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
    pub(crate) headers: Vec<Header>,
    /// The headers as they came, where `headers` can't express them: a null value, or a name that is not UTF-8.
    pub(crate) raw_headers: Option<OwnedHeaders>,
}

impl Fetched {
    pub(super) fn detach(at: TopicPartition, message: &BorrowedMessage<'_>) -> Self {
        let (headers, exact) = headers(message);
        Self {
            at,
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            raw_headers: message
                .headers()
                .filter(|_| !exact)
                .map(|headers| headers.detach()),
            headers,
        }
    }

    /// Bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let headers = self.headers.iter().map(|h| h.name.len() + h.value.len());
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + headers.sum::<usize>()
    }
}

/// The headers of a message, and whether they say all there is: a null value becomes an empty one, and a header whose name
/// is not UTF-8 is left out.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> (Vec<Header>, bool) {
    message.headers().map_or((Vec::new(), true), readable)
}

/// [`headers`] of the client's own list. All values lie in one piece of memory: records are many and their headers small.
pub(crate) fn readable(native: &impl Headers) -> (Vec<Header>, bool) {
    let count = native.count();
    let mut exact = true;
    let mut names = Vec::with_capacity(count);
    let mut values = BytesMut::new();
    for index in 0..count {
        // The client panics on a name that is not UTF-8, and offers no other way to read it.
        let header = catch_unwind(AssertUnwindSafe(|| native.try_get(index)));
        match header {
            Ok(Some(header)) => {
                exact &= header.value.is_some();
                values.extend_from_slice(header.value.unwrap_or_default());
                names.push((envelope::header_name(header.key), values.len()));
            }
            _ => exact = false,
        }
    }
    let mut start = 0;
    let values = values.freeze();
    let headers = names.into_iter().map(|(name, end)| {
        let value = values.slice(start..end);
        start = end;
        Header { name, value }
    });
    (headers.collect(), exact)
}
