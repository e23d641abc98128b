//! Records that no stage can read, each of its own kind.

use bytes::Bytes;
use uuid::Uuid;

use crate::read::Seen;

/// The kinds there are.
pub(super) const KINDS: u64 = 7;

/// The `n`-th poisonous record for the submissions topic; the kind is `n` modulo [`KINDS`]. `good` is a record that can be read.
pub(super) fn record(n: u64, good: &Seen) -> Seen {
    let mut record = good.clone();
    record.key = Some(Bytes::from(format!("poison-{n:06}")));
    record
        .headers
        .push(("poison".to_owned(), Some(Bytes::from(n.to_string()))));
    // An event of its own: `dlq show` finds its letter by it.
    let id = Uuid::from_u128(u128::from(n)).to_string();
    set(&mut record, "ce_id", id);
    match n % KINDS {
        0 => record.value = Some(Bytes::from_static(b"{\"analysis_id\": \"not closed")),
        1 => record.value = Some(Bytes::from_static(b"{\"other\": \"schema\"}")),
        2 => record.value = Some(Bytes::new()),
        3 => record.value = Some(Bytes::from(vec![b'x'; 900 * 1024])),
        4 => record.value = Some(Bytes::from_static(b"{\"url\": \"\xff\xfe\x80\"}")),
        5 => set(&mut record, "ce_type", "trustcard.post.submitted.v99"),
        _ => record.headers.retain(|(name, _)| !name.starts_with("ce_")),
    }
    record
}

fn set(record: &mut Seen, name: &str, value: impl Into<Bytes>) {
    let value = value.into();
    for (_, old) in record.headers.iter_mut().filter(|(n, _)| n == name) {
        *old = Some(value.clone());
    }
}
