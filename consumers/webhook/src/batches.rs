//! Looks which batches have ended. A batch may end without any result of its own, because earlier analyses answered all of it; so the end
//! of a batch is not read from results but from its rows.
//!
//! A batch is looked at after a second, and then each time it has become a tenth older, a minute at most: what a look costs does not
//! matter, and nobody waits a tenth longer than the batch took.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use engine::{SharedClock, lifecycle::Shutdown};
use jiff::Timestamp;
use schemas::webhook::{BatchEnded, Kind, Notification};
use store::{BatchProgress, OpenBatch, Store, StoreError, Webhook};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::{
    config::WebhookConfig,
    metrics::End,
    sender::{Sender, Told},
};

const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(60);
/// Share of a batch's age until it is looked at again.
const SHARE: u32 = 10;
/// Waits between attempts to tell of a batch, the last for every further one.
const WAITS: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(300),
    Duration::from_secs(1_800),
    Duration::from_secs(3_600),
];

/// Looks after open batches.
pub struct Batches {
    sender: Arc<Sender>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    config: WebhookConfig,
    /// When to look at each again, and how often telling has failed.
    next: HashMap<Uuid, (Instant, usize)>,
}

impl Batches {
    /// Tells by `sender`.
    #[must_use]
    pub fn new(
        config: &WebhookConfig,
        sender: Arc<Sender>,
        store: Arc<dyn Store>,
        clock: SharedClock,
    ) -> Self {
        Self {
            sender,
            store,
            clock,
            config: config.clone(),
            next: HashMap::new(),
        }
    }

    /// Looks again and again, until `shutdown`.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.config.sweep_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.wait() => return }
            let round = self.round().await;
            if let Err(error) = &round
                && !away
            {
                tracing::warn!(%error, "which batches have ended is not known; it is tried again");
            }
            away = round.is_err();
        }
    }

    /// Looks at each batch that is due.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn round(&mut self) -> Result<(), StoreError> {
        let open = self.store.open_batches().await?;
        if open.is_empty() {
            self.next.clear();
            return Ok(());
        }
        let webhooks = self.store.webhooks().await?;
        let ids: HashSet<Uuid> = open.iter().map(|one| one.batch_id).collect();
        self.next.retain(|batch_id, _| ids.contains(batch_id));
        let now = Instant::now();
        for batch in open {
            let due = self
                .next
                .get(&batch.batch_id)
                .is_none_or(|(at, _)| *at <= now);
            if !due {
                continue;
            }
            match self.look(&batch, &webhooks).await {
                // It must not keep the others from being looked at.
                Err(StoreError::Corrupt(detail)) => {
                    tracing::error!(batch_id = %batch.batch_id, detail, "a batch can't be read back; it is looked at again");
                    self.next.insert(batch.batch_id, (now + LATEST, 0));
                }
                looked => looked?,
            }
        }
        Ok(())
    }

    async fn look(&mut self, open: &OpenBatch, webhooks: &[Webhook]) -> Result<(), StoreError> {
        let listeners: Vec<&Webhook> = webhooks
            .iter()
            .filter(|one| one.holder == open.holder && one.kinds.contains(&Kind::BatchCompleted))
            .collect();
        let (id, now) = (open.batch_id, self.clock.now());
        let progress = match listeners.is_empty() {
            true => None,
            false => self.store.batch(id, now).await?,
        };
        let Some(progress) = progress else {
            return self.close(id).await;
        };
        let Some(completed_at) = progress.completed_at else {
            let wait = until_next_look(progress.created_at, now);
            self.next.insert(id, (Instant::now() + wait, 0));
            return Ok(());
        };
        let message = Notification::of_batch(ended(&progress, completed_at));
        let mut all_told = true;
        for webhook in listeners {
            all_told &= self.sender.tell(webhook, &message).await? == Told::Done;
        }
        if all_told {
            return self.close(id).await;
        }
        let give_up = self.config.give_up_s.saturating_mul(1_000);
        if now
            .as_millisecond()
            .saturating_sub(completed_at.as_millisecond())
            >= i64::try_from(give_up).unwrap_or(i64::MAX)
        {
            tracing::warn!(batch_id = %id, holder = open.holder, "nobody could be told that a batch has ended; given up");
            self.sender.metrics().count(message.kind, End::GivenUp);
            return self.close(id).await;
        }
        let failures = self.next.get(&id).map_or(0, |(_, failures)| *failures);
        let wait = WAITS[failures.min(WAITS.len() - 1)];
        self.next.insert(id, (Instant::now() + wait, failures + 1));
        Ok(())
    }

    async fn close(&mut self, batch_id: Uuid) -> Result<(), StoreError> {
        self.store.close_batch(batch_id).await?;
        self.next.remove(&batch_id);
        Ok(())
    }
}

fn ended(progress: &BatchProgress, completed_at: Timestamp) -> BatchEnded {
    BatchEnded {
        batch_id: progress.batch.batch_id,
        completed: progress.counts.completed,
        failed: progress.counts.failed,
        reused: progress.reused,
        created_at: progress.created_at,
        completed_at,
    }
}

fn until_next_look(created_at: Timestamp, now: Timestamp) -> Duration {
    let age = Duration::try_from(now.duration_since(created_at)).unwrap_or_default();
    (age / SHARE).clamp(SOONEST, LATEST)
}
