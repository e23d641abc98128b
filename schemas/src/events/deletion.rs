//! A deletion on `trustcard.detections`: the analysis is gone, and whatever comes later of a run that had begun is void. It goes
//! the way of detections, so that it stands behind those of the post that were there before it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{detections::Detections, result::for_readers};
use crate::{
    DecodeError, Event, PostRef, Record, decode,
    envelope::{Headers, Input, encode, text},
    identity, topics,
};

/// Somebody deleted an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deletion {
    /// The analysis.
    pub analysis_id: Uuid,
    /// Its post.
    pub post: PostRef,
    /// When, to the millisecond: every run that had begun by then is void.
    pub deleted_at: Timestamp,
}

impl Deletion {
    /// Tombstones for who reads results: on `results`, and on `results.latest` when the analysis is the newest of its post. They
    /// carry the attributes of the deletion and no value.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn tombstones(&self, latest: bool) -> Result<Vec<Record>, serde_json::Error> {
        let mut result = encode(topics::RESULTS, self)?;
        result.value = None;
        result.key = Some(self.analysis_id.to_string().into());
        Ok(for_readers(result, &self.post, latest))
    }
}

impl Event for Deletion {
    const TYPE: &'static str = "trustcard.analysis.deleted.v1";
    const SOURCE: &'static str = "/trustcard/ingest-api";
    const SCHEMA: &'static str = "analysis-deleted";

    fn id(&self) -> Uuid {
        let (id, at) = (
            self.analysis_id.to_string(),
            self.deleted_at.as_millisecond().to_string(),
        );
        identity::derive(&[Self::TYPE, &id, &at])
    }

    fn key(&self) -> String {
        self.post.post_id.clone()
    }

    fn time(&self) -> Timestamp {
        self.deleted_at
    }
}

/// What `trustcard.detections` carries.
#[derive(Debug, Clone, PartialEq)]
pub enum ToScore {
    /// A post whose pictures were looked at.
    Detected(Box<Detections>),
    /// An analysis that is gone.
    Deleted(Deletion),
}

impl ToScore {
    /// Whose it is.
    #[must_use]
    pub const fn analysis_id(&self) -> Uuid {
        match self {
            Self::Detected(detected) => detected.analysis_id,
            Self::Deleted(deletion) => deletion.analysis_id,
        }
    }
}

impl Input for ToScore {
    fn read(headers: &(impl Headers + ?Sized), value: Option<&[u8]>) -> Result<Self, DecodeError> {
        if text(headers, "ce_type") == Some(Deletion::TYPE) {
            return decode(headers, value).map(Self::Deleted);
        }
        decode(headers, value).map(|detected| Self::Detected(Box::new(detected)))
    }
}
