//! Values of the port to and from what the adapters keep.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemas::{
    Submission,
    events::{result::Outcome, submission::Origin},
    identity::RunCause::{self, DeadLetterReplay, Rescore, Submission as Submitted},
    webhook::Kind,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{BatchItem, KeyRole, NewBatch, Opinion, Result, Status, StoreError, Totals};

/// A role that gave no sign of life for this long is forgotten, in seconds.
pub(crate) const HEARTBEAT_TTL_S: u64 = 30;
/// Length of a day, in milliseconds.
pub(crate) const DAY_MS: i64 = 24 * 3600 * 1000;
/// Leases of a day are kept this long from its beginning, in seconds: two days, because clocks differ.
pub(crate) const LEASE_TTL_S: u64 = 2 * 24 * 3600;
/// Status of an item that was taken back: it stays as a mark, so that a late projection does not count it again.
pub(crate) const RETRACTED: &str = "retracted";
/// Places of a batch in one chunk.
pub(crate) const CHUNK: u32 = 1_000;

/// An accepted item in a chunk.
#[derive(Serialize, Deserialize)]
pub(crate) struct ChunkItem {
    pub(crate) index: u32,
    pub(crate) analysis_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_ref: Option<String>,
}

/// The accepted items of a batch by their chunks.
pub(crate) fn chunks(
    batch: &NewBatch,
    submissions: &[Submission],
) -> BTreeMap<u32, Vec<ChunkItem>> {
    let mut chunks: BTreeMap<u32, Vec<ChunkItem>> = BTreeMap::new();
    for submission in submissions {
        if let Some((_, index)) = batch_place(submission) {
            chunks.entry(index / CHUNK).or_default().push(ChunkItem {
                index,
                analysis_id: submission.analysis_id,
                client_ref: batch.client_refs.get(&index).cloned(),
            });
        }
    }
    chunks
}

/// Items of a chunk, `from` a place on, with how they stand: status and end by place. One without a row is pending, one that was
/// taken back is none.
pub(crate) fn items_of_chunk(
    accepted: Vec<ChunkItem>,
    from: u32,
    rows: &BTreeMap<u32, (String, Option<i64>)>,
) -> Result<Vec<BatchItem>> {
    let wanted = accepted.into_iter().filter(|item| item.index >= from);
    let items = wanted.filter_map(|item| {
        let (status, ended_ms) = match rows.get(&item.index) {
            Some((status, _)) if status == RETRACTED => return None,
            Some((status, ended_ms)) => (status_from(status), *ended_ms),
            None => (Ok(Status::Pending), None),
        };
        let item = status.and_then(|status| {
            Ok(BatchItem {
                index: item.index,
                analysis_id: item.analysis_id,
                client_ref: item.client_ref,
                status,
                ended_at: ended_ms.map(time).transpose()?,
            })
        });
        Some(item)
    });
    items.collect()
}

/// A value as JSON text.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Corrupt(format!("can't be written as JSON: {error}")))
}

/// The value in JSON text; `what` names it in the error.
pub(crate) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("{what} can't be read back: {error}")))
}

/// A stored time.
pub(crate) fn time(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms)
        .map_err(|error| StoreError::Corrupt(format!("{ms} ms is no time: {error}")))
}

/// A stored count.
pub(crate) fn count(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is no count")))
}

/// `seconds` after `ms`, both since the Unix epoch, in milliseconds.
pub(crate) fn after(ms: i64, seconds: u64) -> i64 {
    let span = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    ms.saturating_add(span)
}

/// The batch and place of a submission, if it came in a batch.
pub(crate) fn batch_place(submission: &Submission) -> Option<(Uuid, u32)> {
    match &submission.origin {
        Origin::Single { .. } => None,
        Origin::Batch { batch_id, index } => Some((*batch_id, *index)),
    }
}

pub(crate) const fn cause_name(cause: RunCause) -> &'static str {
    match cause {
        Submitted => "submission",
        DeadLetterReplay => "dead_letter_replay",
        Rescore => "rescore",
    }
}

pub(crate) fn cause_from(name: &str) -> Result<RunCause> {
    [Submitted, DeadLetterReplay, Rescore]
        .into_iter()
        .find(|cause| cause_name(*cause) == name)
        .ok_or_else(|| StoreError::Corrupt(format!("{name} is no cause of a run")))
}

pub(crate) fn outcome_from(name: &str) -> Result<Outcome> {
    [Outcome::Completed, Outcome::Failed]
        .into_iter()
        .find(|outcome| outcome.name() == name)
        .ok_or_else(|| StoreError::Corrupt(format!("{name} is no outcome")))
}

pub(crate) fn status_from(name: &str) -> Result<Status> {
    Status::from_name(name).ok_or_else(|| StoreError::Corrupt(format!("{name} is no status")))
}

pub(crate) fn role_from(name: &str) -> Result<KeyRole> {
    KeyRole::from_name(name).ok_or_else(|| StoreError::Corrupt(format!("{name} is no role")))
}

pub(crate) fn kind_from(name: &str) -> Result<Kind> {
    Kind::from_name(name).ok_or_else(|| StoreError::Corrupt(format!("webhooks tell of no {name}")))
}

/// Kinds by their names. One that a later release knows is left out: nobody here could tell of it.
pub(crate) fn kinds_from(names: &[String]) -> BTreeSet<Kind> {
    names
        .iter()
        .filter_map(|name| Kind::from_name(name))
        .collect()
}

/// A status of HTTP.
pub(crate) fn status_code(status: i32) -> Result<u16> {
    u16::try_from(status).map_err(|_| StoreError::Corrupt(format!("{status} is no status")))
}

pub(crate) fn opinion_from(name: &str) -> Result<Opinion> {
    Opinion::from_name(name).ok_or_else(|| StoreError::Corrupt(format!("{name} is no opinion")))
}

impl Totals {
    pub(crate) fn of(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Pending => &mut self.pending,
            Status::Processing => &mut self.processing,
            Status::Completed => &mut self.completed,
            Status::Failed => &mut self.failed,
        }
    }
}
