use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use prometheus::Registry;
use schemas::Event;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::{
    clock::SystemClock,
    consumer::Fetched,
    gate::Gate,
    metrics::EngineMetrics,
    retry::RetryConfig,
    stage::{Message, Outcome, StageError},
};

#[derive(Debug, Serialize, Deserialize)]
struct Note(i64);

impl Event for Note {
    const TYPE: &'static str = "test.note.v1";
    const SOURCE: &'static str = "/test";
    const SCHEMA: &'static str = "note";

    fn id(&self) -> Uuid {
        Uuid::nil()
    }

    fn key(&self) -> String {
        self.0.to_string()
    }

    fn time(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A stage whose store refuses at once, for so many turns.
struct Refused {
    gate: Gate,
    refusals: usize,
    turns: AtomicUsize,
}

#[async_trait]
impl Stage for Refused {
    type In = Note;

    fn name(&self) -> &'static str {
        "refused"
    }

    fn input(&self) -> &'static str {
        "in"
    }

    async fn process(&self, batch: Vec<Message<Note>>) -> Result<Vec<Outcome>, StageError> {
        if self.turns.fetch_add(1, Ordering::Relaxed) < self.refusals {
            self.gate.set(GateState::Probe);
            return Err(StageError::new(Reason::StoreUnavailable, "refused"));
        }
        self.gate.set(GateState::Open);
        Ok(batch.iter().map(|_| Outcome::Forward(Vec::new())).collect())
    }

    fn gate(&self) -> GateWatch {
        self.gate.watch()
    }
}

/// A desk with `count` messages on it.
fn desk(count: i64, refusals: usize) -> Desk<Refused> {
    let stage = Refused {
        gate: Gate::open(),
        refusals,
        turns: AtomicUsize::new(0),
    };
    let config = RunnerConfig {
        batch_size: 1,
        concurrency: 1,
        ..RunnerConfig::default()
    };
    let metrics = EngineMetrics::new(&Registry::new()).unwrap();
    let mut desk = Desk::new(
        Arc::new(stage),
        config,
        Arc::new(SystemClock),
        metrics.stage("refused"),
    );
    let at = TopicPartition::new("in", 0);
    desk.assigned(vec![at.clone()], 1);
    let records = (0..count).map(|offset| {
        let record = schemas::encode("in", &Note(offset)).unwrap();
        Fetched::of(at.clone(), offset, &record)
    });
    desk.read(Batch {
        epoch: 1,
        records: records.collect(),
    });
    desk
}

/// Goes on as the runner does until nothing is left to run; when each turn began, in seconds.
async fn turns(desk: &mut Desk<Refused>) -> Vec<f64> {
    let began = Instant::now();
    let mut turns = Vec::new();
    loop {
        desk.dispatch();
        if let Some(finished) = desk.running.join_next().await {
            turns.push(began.elapsed().as_secs_f64());
            desk.finished(finished.unwrap());
        } else if let Some(due) = desk.next_due() {
            assert!(due > Instant::now(), "what is due has not begun");
            tokio::time::sleep_until(due).await;
        } else {
            return turns;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_at_once_is_asked_no_more_often_than_the_pause_allows() {
    const REFUSALS: usize = 60;
    let mut desk = desk(1_000, REFUSALS);
    let turns = turns(&mut desk).await;
    assert_eq!(turns.len(), 1_000 + REFUSALS, "every message ended");
    let (refused, well) = turns.split_at(REFUSALS);
    let pauses: Vec<f64> = refused.windows(2).map(|two| two[1] - two[0]).collect();
    let jitter = RetryConfig::default().jitter;
    let shortest = 0.2 * (1.0 - jitter);
    assert!(pauses.iter().all(|pause| *pause >= shortest), "{pauses:?}");
    let settled = pauses.iter().skip(5);
    assert!(
        settled.clone().all(|pause| (0.99..=1.01).contains(pause)),
        "{pauses:?}"
    );
    let after = well[0] - refused[REFUSALS - 1];
    assert!(
        after <= 1.01,
        "back at work {after} s after the way is clear"
    );
}
