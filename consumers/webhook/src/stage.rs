//! The stage: a result in, and every webhook told that asked for its kind and whose holder submitted the analysis. It gives nothing on. What
//! could not be told goes the way of every message that failed: tried again in process, then by way of the retry topics over
//! hours, and to the dead-letter topic in the end, from which an operator may send it back.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{
    Gate, GateState, GateWatch, Message, Outcome, SharedClock, Stage, StageError, telemetry::LOGGED,
};
use futures::future::{join_all, try_join_all};
use schemas::{
    AnalysisResult, FromResults, Reason, Record, dead_letter::DeadLetter, topics,
    webhook::Notification,
};
use store::{Store, StoreError, Webhook};
use tracing::Instrument as _;

use crate::{
    NAME,
    metrics::End,
    sender::{Sender, Told},
};

/// How long the list of webhooks is believed: a new one may miss what ends meanwhile.
const LIFE: Duration = Duration::from_secs(5);

/// The webhook stage.
pub struct WebhookStage {
    sender: Arc<Sender>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    webhooks: moka::future::Cache<(), Arc<Vec<Webhook>>>,
    gate: Gate,
}

impl WebhookStage {
    /// A stage that sends by `sender`.
    #[must_use]
    pub fn new(sender: Arc<Sender>, store: Arc<dyn Store>, clock: SharedClock) -> Self {
        let webhooks = moka::future::Cache::builder().max_capacity(1);
        Self {
            sender,
            store,
            clock,
            webhooks: webhooks.time_to_live(LIFE).build(),
            gate: Gate::open(),
        }
    }

    async fn outcome(&self, result: &AnalysisResult) -> Result<Outcome, StoreError> {
        let message = Notification::of_analysis(result);
        let mut later = None;
        let listeners = self.listeners(result, &message).await?;
        let told = listeners
            .iter()
            .map(|webhook| self.sender.tell(webhook, &message));
        for told in try_join_all(told).await? {
            if let Told::Later(after) = told {
                later = later.max(Some(after.unwrap_or_default()));
            }
        }
        Ok(match later {
            None => Outcome::Forward(Vec::new()),
            Some(after) => Outcome::Retry {
                reason: Reason::WebhookFailed,
                after: (!after.is_zero()).then_some(after),
            },
        })
    }

    /// The webhooks that are to be told of a result: one whose holder submitted the analysis since it was deleted last.
    async fn listeners(
        &self,
        result: &AnalysisResult,
        message: &Notification,
    ) -> Result<Vec<Webhook>, StoreError> {
        let mut listeners: Vec<Webhook> = self
            .webhooks()
            .await?
            .iter()
            .filter(|webhook| webhook.kinds.contains(&message.kind))
            .cloned()
            .collect();
        if listeners.is_empty() {
            return Ok(listeners);
        }
        let owners = self.store.owners(result.analysis_id).await?;
        listeners.retain(|webhook| owners.iter().any(|owner| owner.holder == webhook.holder));
        if listeners.is_empty() {
            return Ok(listeners);
        }
        let row = self
            .store
            .analysis(result.analysis_id, self.clock.now())
            .await?;
        let since_ms = row.map_or(i64::MAX, |row| row.created_at.as_millisecond());
        listeners.retain(|webhook| {
            let mut owners = owners.iter();
            owners.any(|owner| owner.holder == webhook.holder && owner.submitted_ms >= since_ms)
        });
        Ok(listeners)
    }

    async fn webhooks(&self) -> Result<Arc<Vec<Webhook>>, StoreError> {
        let read = async { self.store.webhooks().await.map(Arc::new) };
        let read = self.webhooks.try_get_with((), read).await;
        read.map_err(|error| match &*error {
            StoreError::Unavailable(detail) => StoreError::Unavailable(detail.clone()),
            StoreError::Corrupt(detail) => StoreError::Corrupt(detail.clone()),
        })
    }
}

#[async_trait]
impl Stage for WebhookStage {
    type In = FromResults;

    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> &'static str {
        topics::RESULTS
    }

    async fn process(&self, batch: Vec<Message<FromResults>>) -> Result<Vec<Outcome>, StageError> {
        let told = batch.iter().map(async |message| match &message.event {
            FromResults::Ended(result) => {
                let id = result.analysis_id;
                let span = tracing::error_span!(target: LOGGED, "analysis", analysis_id = %id);
                self.outcome(result).instrument(span).await
            }
            FromResults::Gone => Ok(Outcome::Skip(Reason::Deleted)),
        });
        let told = join_all(told).await;
        let away = told
            .iter()
            .any(|told| matches!(told, Err(StoreError::Unavailable(_))));
        // While the store is away results wait in the topic; one at a time tries the way.
        self.gate.set(if away {
            GateState::Probe
        } else {
            GateState::Open
        });
        let outcome = |told: Result<Outcome, StoreError>| {
            told.unwrap_or_else(|error| {
                tracing::warn!(%error, "store");
                Outcome::retry(Reason::StoreUnavailable)
            })
        };
        Ok(told.into_iter().map(outcome).collect())
    }

    async fn on_dead_letter(
        &self,
        message: &Message<FromResults>,
        _: &DeadLetter,
    ) -> Result<Vec<Record>, StageError> {
        if let FromResults::Ended(result) = &message.event {
            let kind = Notification::of_analysis(result).kind;
            self.sender.metrics().count(kind, End::GivenUp);
        }
        Ok(Vec::new())
    }

    fn gate(&self) -> GateWatch {
        self.gate.watch()
    }
}
