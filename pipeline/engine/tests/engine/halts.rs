//! A stage that stops itself, stays so, and goes on when it is released.

use std::sync::Arc;

use jiff::Timestamp;
use schemas::Reason;
use trustcard_engine::{Halt, HaltStore, Outcome};

use crate::{
    ground::{Ground, Halts, ids},
    support::{STAGE, TestStage, notes, to, until},
};

impl Ground {
    /// Whether it stands still and says so.
    async fn stands_still(&self, halts: &Halts) {
        let reason = self.halted_for(halts).await;
        let halted = format!(r#"trustcard_stage_halted{{task_name="{}"}}"#, self.stage);
        let why = format!(
            r#"trustcard_stage_halt_reason{{reason="{reason}",task_name="{}"}}"#,
            self.stage
        );
        let paused = format!(r#"trustcard_paused{{task_name="{}"}}"#, self.stage);
        until(
            "it stands still, unready, with its partitions paused",
            async || {
                let missing = self.readiness.missing();
                let told = missing.get(STAGE).is_some_and(|why| why.contains(&reason));
                told && [&halted, &why, &paused]
                    .iter()
                    .all(|line| self.metric(line) == 1.0)
            },
        )
        .await;
    }

    async fn halted_for(&self, halts: &Halts) -> String {
        until("it is halted", async || halts.of(self.stage).is_some()).await;
        halts.of(self.stage).unwrap().reason
    }

    async fn send_notes(&self, ids: std::ops::Range<u32>) {
        let records = notes(ids);
        self.send(records.iter().map(|note| to(self.input, note)).collect())
            .await;
    }
}

/// A deploy that rejects everything.
fn broken() -> TestStage {
    TestStage::each(|_| Outcome::Reject(Reason::PostUndecodable))
}

async fn a_stage_that_rejects_everything(ground: Ground) {
    let halts = Arc::new(Halts::default());
    let ground = ground.with_halts(&halts);
    ground.send_notes(0..3_000).await;
    let started = ground.run(broken(), ground.config());
    ground.stands_still(&halts).await;
    assert_eq!(
        ground.halted_for(&halts).await,
        "100 dead letters in a row, the last: post_undecodable"
    );
    started.drain().await.unwrap();
    // What was given up was never written: dead letters are those below the offsets, no more.
    let dead = ids(&ground.dead().await);
    assert!(dead.len() < 1_000, "{}", dead.len());
    assert_eq!(ground.done().await, dead.len());

    // A restart stays stopped, whatever comes in.
    let started = ground.run(broken(), ground.config());
    ground.stands_still(&halts).await;
    ground.send_notes(3_000..3_010).await;
    started.drain().await.unwrap();
    assert_eq!(ids(&ground.dead().await), dead);
    assert_eq!(ground.done().await, dead.len());

    // Mended and released it goes on where it was.
    let started = ground.run(TestStage::each(ground.forward()), ground.config());
    ground.stands_still(&halts).await;
    assert_eq!(ground.done().await, dead.len());
    halts.release(ground.stage);
    until("all are done", async || ground.done().await == 3_010).await;
    assert!(ground.readiness.missing().is_empty());
    let halted = format!(r#"trustcard_stage_halted{{task_name="{}"}}"#, ground.stage);
    assert_eq!(ground.metric(&halted), 0.0);
    started.drain().await.unwrap();
    let mut all = ids(&ground.read(&ground.out).await);
    all.extend(&dead);
    all.sort_unstable();
    assert_eq!(all, (0..3_010).collect::<Vec<_>>());
    assert_eq!(ids(&ground.dead().await), dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_rejects_everything_stops_itself_until_it_is_released() {
    a_stage_that_rejects_everything(Ground::embedded(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_another_instance_has_halted_stands_still_too() {
    let halts = Arc::new(Halts::default());
    let ground = Ground::embedded(2).with_halts(&halts);
    ground.send_notes(0..10).await;
    let started = ground.run(TestStage::each(ground.forward()), ground.config());
    until("all are done", async || ground.done().await == 10).await;
    let halt = Halt {
        reason: "told by another".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    };
    halts.halt(ground.stage, &halt).await.unwrap();
    ground.stands_still(&halts).await;
    ground.send_notes(10..20).await;
    halts.release(ground.stage);
    until("all are done", async || ground.done().await == 20).await;
    started.drain().await.unwrap();
    assert_eq!(
        ids(&ground.read(&ground.out).await),
        (0..20).collect::<Vec<_>>()
    );
}

/// On a real broker, in transactions.
mod real {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stage_that_rejects_everything_stops_itself_until_it_is_released() {
        a_stage_that_rejects_everything(Ground::real(3, |_| false).await).await;
    }
}
