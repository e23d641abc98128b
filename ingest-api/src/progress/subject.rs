//! What can be listened to: a batch, or one analysis.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use store::{BatchProgress, StoreError};
use uuid::Uuid;

use crate::{
    cache::Results,
    views::{AnalysisProgress, BatchView},
};

/// What subjects are read with.
#[derive(Clone)]
pub struct Source {
    /// Rows and batches.
    pub store: Arc<dyn store::Store>,
    /// The policy the store obeys.
    pub policy: Arc<store::StorePolicy>,
    /// Results that were asked for a moment ago.
    pub results: Results,
}

/// How far something is, and how that is told.
pub trait Subject: PartialEq + Send + Sync + Sized + 'static {
    /// Its kind, as the metric's label has it.
    const KIND: &str;

    /// What is told.
    type View: Serialize;

    /// Whose progress it is.
    fn id(&self) -> Uuid;

    /// Whether nothing comes after it.
    fn ended(&self) -> bool;

    /// The id of its event: two of the same id tell the same.
    fn event_id(&self) -> String;

    /// What is told.
    fn view(&self) -> Self::View;

    /// How far it is now; `None` when there is no such thing any more.
    fn look(
        source: &Source,
        id: Uuid,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Self>, StoreError>> + Send;
}

impl Subject for BatchProgress {
    const KIND: &str = "batch";

    type View = BatchView;

    fn id(&self) -> Uuid {
        self.batch.batch_id
    }

    fn ended(&self) -> bool {
        self.completed_at.is_some()
    }

    fn event_id(&self) -> String {
        let counts = self.counts;
        let numbers = [
            counts.pending,
            counts.processing,
            counts.completed,
            counts.failed,
            self.reused,
        ];
        numbers.map(|number| number.to_string()).join("-")
    }

    fn view(&self) -> BatchView {
        BatchView::of(self)
    }

    async fn look(source: &Source, id: Uuid, now: Timestamp) -> Result<Option<Self>, StoreError> {
        source.store.batch(id, now).await
    }
}

impl Subject for AnalysisProgress {
    const KIND: &str = "analysis";

    type View = Self;

    fn id(&self) -> Uuid {
        self.analysis_id
    }

    fn ended(&self) -> bool {
        self.completed_at.is_some()
    }

    fn event_id(&self) -> String {
        // A later run of the same post ends at another time.
        let ended = self.completed_at.map_or(0, Timestamp::as_millisecond);
        format!("{}-{ended}", self.progress)
    }

    fn view(&self) -> Self {
        self.clone()
    }

    async fn look(source: &Source, id: Uuid, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let Source {
            store,
            policy,
            results,
        } = source;
        let row = results.analysis(&**store, policy, id, now).await?;
        Ok(row.map(|row| Self::of(&row, policy)))
    }
}
