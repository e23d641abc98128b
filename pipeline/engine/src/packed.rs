//! A record in one piece of memory: its key, its value and its headers. Records wait by the thousand, those that were read for their
//! turn and those that will be produced for their commit, and change hands between threads; every piece would have to be made, fetched from far
//! memory, counted and given back by itself.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use rdkafka::message::Headers as Native;
use schemas::{
    Header, Record,
    envelope::{self, Headers},
};

/// Bytes of one length before a header.
const LENGTH: usize = size_of::<u32>();

/// Key, value and headers of a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    /// The key, the value, then for each header the length of its name, the length of its value, its name and its value.
    memory: Box<[u8]>,
    /// Length of the key, where there is one.
    key: Option<u32>,
    /// Length of the value, where there is one.
    value: Option<u32>,
    /// How many headers there are.
    headers: u32,
    /// Bytes of key, value, names and values.
    size: u32,
}

impl Headers for Packed {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.pairs();
        pairs.find_map(|(own, value)| (own == name.as_bytes()).then_some(value))
    }
}

impl Packed {
    /// Reads key, value and the client's own list of headers, and whether that list says no more than this: a null value becomes an
    /// empty one, and a header whose name is not UTF-8 is left out. `scratch` is where it is put together.
    pub(crate) fn read(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        native: Option<&impl Native>,
        scratch: &mut Vec<u8>,
    ) -> (Self, bool) {
        let count = native.map_or(0, Native::count);
        let mut packing = Packing::new(key, value, scratch);
        for index in 0..count {
            // The client panics on a name that is not UTF-8, and offers no other way to read it.
            match catch_unwind(AssertUnwindSafe(|| native?.try_get(index))) {
                Ok(Some(header)) => {
                    packing.exact &= header.value.is_some();
                    packing.header(header.key, header.value.unwrap_or_default());
                }
                _ => packing.exact = false,
            }
        }
        let Packing { packed, exact, .. } = packing;
        let memory = scratch.as_slice().into();
        (Self { memory, ..packed }, exact)
    }

    /// The key.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.memory.get(..length(self.key?))
    }

    /// The value.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        let start = length(self.key.unwrap_or_default());
        self.memory.get(start..start + length(self.value?))
    }

    /// How many headers there are.
    pub(crate) const fn header_count(&self) -> usize {
        length(self.headers)
    }

    /// Bytes of key, value, names and values.
    pub(crate) const fn size(&self) -> usize {
        length(self.size)
    }

    /// Keeps the first `count` headers.
    pub(crate) fn keep_headers(&mut self, count: usize) {
        self.headers = self.headers.min(short(count));
        let headers = self.pairs().map(|(name, value)| name.len() + value.len());
        self.size = short(self.body() + headers.sum::<usize>());
    }

    /// The headers, each on its own.
    pub(crate) fn headers(&self) -> Vec<Header> {
        let pairs = self.pairs().map(|(name, value)| {
            Header::new(
                envelope::header_name(&String::from_utf8_lossy(name)),
                Bytes::copy_from_slice(value),
            )
        });
        pairs.collect()
    }

    /// The record in pieces, for this topic.
    pub(crate) fn unpacked(&self, topic: Cow<'static, str>) -> Record {
        Record {
            topic,
            key: self.key().map(Bytes::copy_from_slice),
            value: self.value().map(Bytes::copy_from_slice),
            headers: self.headers(),
        }
    }

    /// Bytes of key and value.
    fn body(&self) -> usize {
        length(self.key.unwrap_or_default()) + length(self.value.unwrap_or_default())
    }

    /// Names and values of the headers.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.memory.get(self.body()..).unwrap_or_default();
        (0..self.headers).map_while(move |_| {
            let (name, behind) = rest.split_first_chunk::<LENGTH>()?;
            let (value, behind) = behind.split_first_chunk::<LENGTH>()?;
            let (name, behind) = behind.split_at_checked(length(u32::from_ne_bytes(*name)))?;
            let (value, behind) = behind.split_at_checked(length(u32::from_ne_bytes(*value)))?;
            rest = behind;
            Some((name, value))
        })
    }
}

impl From<&Record> for Packed {
    fn from(record: &Record) -> Self {
        let lengths = record.headers.len() * 2 * LENGTH;
        let mut memory = Vec::with_capacity(record.size() + lengths);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let mut packing = Packing::new(key, value, &mut memory);
        for header in &record.headers {
            packing.header(&header.name, &header.value);
        }
        let packed = packing.packed;
        Self {
            memory: memory.into_boxed_slice(),
            ..packed
        }
    }
}

/// A record that is being put together.
struct Packing<'a> {
    scratch: &'a mut Vec<u8>,
    /// The record, but for its memory.
    packed: Packed,
    /// Whether it says all there is.
    exact: bool,
}

impl<'a> Packing<'a> {
    fn new(key: Option<&[u8]>, value: Option<&[u8]>, scratch: &'a mut Vec<u8>) -> Self {
        scratch.clear();
        scratch.extend_from_slice(key.unwrap_or_default());
        scratch.extend_from_slice(value.unwrap_or_default());
        Self {
            packed: Packed {
                size: short(scratch.len()),
                key: key.map(<[u8]>::len).map(short),
                value: value.map(<[u8]>::len).map(short),
                ..Packed::default()
            },
            scratch,
            exact: true,
        }
    }

    fn header(&mut self, name: &str, value: &[u8]) {
        self.scratch
            .extend_from_slice(&short(name.len()).to_ne_bytes());
        self.scratch
            .extend_from_slice(&short(value.len()).to_ne_bytes());
        self.scratch.extend_from_slice(name.as_bytes());
        self.scratch.extend_from_slice(value);
        self.packed.headers += 1;
        self.packed.size = self
            .packed
            .size
            .saturating_add(short(name.len() + value.len()));
    }
}

/// Kafka counts the bytes of a record in 31 bits.
fn short(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

const fn length(bytes: u32) -> usize {
    bytes as usize
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedHeaders;

    use super::*;

    fn read(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        native: Option<&OwnedHeaders>,
    ) -> (Packed, bool) {
        Packed::read(key, value, native, &mut b"what was read before".to_vec())
    }

    #[test]
    fn what_the_client_gives_comes_out_as_it_was() {
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
        let (mut packed, exact) = read(Some(b"key"), Some(b"value"), Some(&native));
        assert!(exact);
        assert_eq!(Headers::value(&packed, "ce_id"), Some(b"1".as_slice()));
        assert_eq!(Headers::value(&packed, "own"), Some(b"".as_slice()));
        assert_eq!(Headers::value(&packed, "value"), None);
        let expected = [("ce_id", "1"), ("own", ""), ("ce_id", "second")];
        let expected = expected.map(|(name, value)| Header::new(name, value));
        assert_eq!(packed.headers(), expected);
        assert_eq!(packed.header_count(), 3);
        assert_eq!(packed.size(), 3 + 5 + (5 + 1) + 3 + (5 + 6));
        assert_eq!(packed.key(), Some(b"key".as_slice()));
        assert_eq!(packed.value(), Some(b"value".as_slice()));
        packed.keep_headers(1);
        assert_eq!(packed.headers(), expected.get(..1).unwrap());
        assert_eq!(packed.size(), 3 + 5 + (5 + 1));
    }

    #[test]
    fn what_is_not_there_is_no_empty_one() {
        let parts = [None, Some(b"".as_slice()), Some(b"a")];
        for key in parts {
            for value in parts {
                let (packed, exact) = read(key, value, None);
                assert_eq!((packed.key(), packed.value(), exact), (key, value, true));
            }
        }
    }

    #[test]
    fn a_null_value_becomes_an_empty_one_and_that_is_said() {
        let native = OwnedHeaders::new().insert(rdkafka::message::Header::<&str> {
            key: "own",
            value: None,
        });
        let (packed, exact) = read(None, None, Some(&native));
        assert!(!exact);
        assert_eq!(Headers::value(&packed, "own"), Some(b"".as_slice()));
    }
}
