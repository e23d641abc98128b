//! The headers of a consumed record, all values in one piece of memory: records are many and their headers small.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::{Bytes, BytesMut};
use rdkafka::message::Headers as Native;
use schemas::{
    Header,
    envelope::{self, Headers},
};

/// Room for one value; more is made where it is needed.
const ROOM: usize = 48;

/// Headers that are read by name, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    /// Each name, and where in `memory` its value ends; it begins where the one before ends.
    names: Vec<(Cow<'static, str>, usize)>,
    /// The values, and what was put behind them.
    memory: Bytes,
}

impl Headers for Packed {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let index = self.names.iter().position(|(own, _)| own == name)?;
        self.memory.get(self.start(index)..self.names.get(index)?.1)
    }
}

impl Packed {
    /// Reads the client's own list, and whether that is all it says: a null value becomes an empty one, and a header whose name
    /// is not UTF-8 is left out. Behind the values the memory holds `more`, whose pieces the last part of the answer is.
    pub(super) fn read<const N: usize>(
        native: Option<&impl Native>,
        more: [Option<&[u8]>; N],
    ) -> (Self, bool, [Option<Bytes>; N]) {
        let count = native.map_or(0, Native::count);
        let behind: usize = more.iter().flatten().map(|part| part.len()).sum();
        let mut memory = BytesMut::with_capacity(count * ROOM + behind);
        let mut names = Vec::with_capacity(count);
        let mut exact = true;
        for index in 0..count {
            // The client panics on a name that is not UTF-8, and offers no other way to read it.
            match catch_unwind(AssertUnwindSafe(|| native?.try_get(index))) {
                Ok(Some(header)) => {
                    exact &= header.value.is_some();
                    memory.extend_from_slice(header.value.unwrap_or_default());
                    names.push((envelope::header_name(header.key), memory.len()));
                }
                _ => exact = false,
            }
        }
        let mut end = memory.len();
        let pieces = more.map(|part| {
            let start = end;
            memory.extend_from_slice(part?);
            end = memory.len();
            Some(start..end)
        });
        let memory = memory.freeze();
        let pieces = pieces.map(|piece| Some(memory.slice(piece?)));
        (Self { names, memory }, exact, pieces)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Bytes of names and values.
    pub(crate) fn size(&self) -> usize {
        let names = self.names.iter().map(|(name, _)| name.len());
        names.sum::<usize>() + self.names.last().map_or(0, |(_, end)| *end)
    }

    /// Keeps the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.names.truncate(len);
    }

    /// The same, each on its own.
    pub(crate) fn unpack(&self) -> Vec<Header> {
        let headers = self.names.iter().enumerate().map(|(index, (name, end))| {
            Header::new(name.clone(), self.memory.slice(self.start(index)..*end))
        });
        headers.collect()
    }

    fn start(&self, index: usize) -> usize {
        let before = index
            .checked_sub(1)
            .and_then(|before| self.names.get(before));
        before.map_or(0, |(_, end)| *end)
    }
}

#[cfg(test)]
impl From<Vec<Header>> for Packed {
    fn from(headers: Vec<Header>) -> Self {
        let mut memory = BytesMut::new();
        let names = headers.into_iter().map(|header| {
            memory.extend_from_slice(&header.value);
            (header.name, memory.len())
        });
        let names = names.collect();
        Self {
            names,
            memory: memory.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedHeaders;

    use super::*;

    #[test]
    fn what_the_client_lists_is_found_by_name_and_comes_out_in_order_with_what_lies_behind_it() {
        let native = OwnedHeaders::new()
            .insert(rdkafka::message::Header {
                key: "ce_id",
                value: Some("1"),
            })
            .insert(rdkafka::message::Header {
                key: "own",
                value: Some(""),
            })
            .insert(rdkafka::message::Header {
                key: "ce_id",
                value: Some("second"),
            });
        let (packed, exact, [key, none, value]) = Packed::read(
            Some(&native),
            [Some(b"key".as_slice()), None, Some(b"value")],
        );
        assert!(exact);
        assert_eq!(packed.value("ce_id"), Some(b"1".as_slice()));
        assert_eq!(packed.value("own"), Some(b"".as_slice()));
        assert_eq!(packed.value("value"), None);
        let expected = [("ce_id", "1"), ("own", ""), ("ce_id", "second")];
        let expected = expected.map(|(name, value)| Header::new(name, value));
        assert_eq!(packed.unpack(), expected);
        assert_eq!((packed.len(), packed.size()), (3, 5 + 1 + 3 + 5 + 6));
        assert_eq!(key.as_deref(), Some(b"key".as_slice()));
        assert_eq!((none, value.as_deref()), (None, Some(b"value".as_slice())));
    }

    #[test]
    fn a_null_value_becomes_an_empty_one_and_that_is_said() {
        let native = OwnedHeaders::new().insert(rdkafka::message::Header::<&str> {
            key: "own",
            value: None,
        });
        let (packed, exact, []) = Packed::read(Some(&native), []);
        assert!(!exact);
        assert_eq!(packed.value("own"), Some(b"".as_slice()));
    }
}
