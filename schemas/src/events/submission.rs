//! `trustcard.submissions`: a partner wants this post analysed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, PostRef, Run, identity};

/// One accepted URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submission {
    /// The analysis it asks for.
    pub analysis_id: Uuid,
    /// The run it would begin; another submission may have begun one already.
    pub run: Run,
    /// The run whose end this run replaces; absent where a submission began the run.
    pub supersedes: Option<Run>,
    /// The post.
    pub post: PostRef,
    /// Whether a post scraped earlier must not be reused.
    pub force: bool,
    /// What the URL came in.
    pub origin: Origin,
    /// Whose key it was sent with; absent where it was sent without one.
    pub owner: Option<String>,
}

/// What a URL came in. Together with the run it makes every accepted URL distinct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// A request of its own.
    Single {
        /// Id of the HTTP request.
        request_id: String,
    },
    /// A batch.
    Batch {
        /// The batch.
        batch_id: Uuid,
        /// Place in the batch as it was sent, from 0.
        index: u32,
    },
}

impl Event for Submission {
    const TYPE: &'static str = "trustcard.post.submitted.v1";
    const SOURCE: &'static str = "/trustcard/ingest-api";
    const SCHEMA: &'static str = "post-submitted";

    fn id(&self) -> Uuid {
        let (analysis, run) = (
            self.analysis_id.to_string(),
            self.run.started_ms.to_string(),
        );
        match &self.origin {
            Origin::Single { request_id } => {
                identity::derive(&[Self::TYPE, &analysis, &run, request_id])
            }
            Origin::Batch { batch_id, index } => identity::derive(&[
                Self::TYPE,
                &analysis,
                &run,
                &batch_id.to_string(),
                &index.to_string(),
            ]),
        }
    }

    fn key(&self) -> String {
        self.post.post_id.clone()
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.run.started_ms).unwrap_or_default()
    }
}
