//! Records of retry topics wait until they are due, and nothing waits for them.

use std::sync::{Arc, Mutex};

use schemas::{retry::Retry, topics};
use trustcard_engine::{Clock, RunnerConfig, SystemClock};

use super::{exactly_once::config, rig::Rig};
use crate::support::{TestStage, note, notes, to, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_waits_until_it_is_due_and_the_input_flows_on() {
    let rig = Rig::new(2).await;
    let tiers = [1, 2].map(|tier| topics::retry(rig.stage, tier));
    rig.create(&[(&tiers[0], 1), (&tiers[1], 1)]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, forward) = (Arc::clone(&seen), rig.forward());
    let stage = TestStage::each(move |message| {
        let now = SystemClock.now().as_millisecond();
        log.lock().unwrap().push((message.event.id, now));
        forward(message)
    });
    let now_ms = SystemClock.now().as_millisecond();
    let (soon_ms, never_ms) = (now_ms + 3_000, now_ms + 3_600_000);
    let retry = |tier: usize, id: u32, due_ms: i64| {
        Retry {
            due_ms,
            attempts: 5,
            first_failure: SystemClock.now(),
            topic: rig.input.to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
        }
        .record(rig.stage, tier, to(rig.input, &note(id)))
    };
    // One that is due, one that will not be while this test runs, and one behind it; then two that soon are.
    rig.send(vec![
        retry(1, 100, 0),
        retry(1, 101, never_ms),
        retry(1, 102, 0),
        retry(2, 103, soon_ms),
        retry(2, 104, soon_ms + 1),
    ])
    .await;
    rig.publish(&notes(0..100)).await;
    // The third tier does not exist on this broker.
    let started = rig.start(
        stage,
        RunnerConfig {
            retry_topics_ms: vec![30_000, 300_000, 3_600_000],
            ..config()
        },
    );
    until("what may flow has come", async || {
        rig.ids().await.len() >= 103
    })
    .await;
    until("what is done is committed", async || {
        (rig.offset(&tiers[0]).await, rig.offset(&tiers[1]).await) == (1, 2)
    })
    .await;
    let seen = seen.lock().unwrap().clone();
    let at = |id: u32| seen.iter().find(|(seen, _)| *seen == id).map(|(_, at)| *at);
    assert!((0..=100).all(|id| at(id).is_some()), "{seen:?}");
    assert!(
        at(103) >= Some(soon_ms) && at(104) > Some(soon_ms),
        "{seen:?}"
    );
    assert!(at(101).is_none() && at(102).is_none(), "{seen:?}");
    started.drain().await.unwrap();
}
