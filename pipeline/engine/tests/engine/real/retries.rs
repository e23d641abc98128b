//! Records of retry topics wait until they are due, and nothing waits for them.

use std::sync::{Arc, Mutex};

use schemas::{retry::Retry, topics};
use trustcard_engine::{Clock, RunnerConfig, SystemClock};

use super::{exactly_once::config, rig::Rig};
use crate::support::{TestStage, note, notes, to, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_waits_until_it_is_due_and_the_input_flows_on() {
    let rig = Rig::new(2).await;
    let retry_topic = topics::retry(rig.stage, 1);
    rig.create(&[(&retry_topic, 1)]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, forward) = (Arc::clone(&seen), rig.forward());
    let stage = TestStage::each(move |message| {
        let now = SystemClock.now().as_millisecond();
        log.lock().unwrap().push((message.event.id, now));
        forward(message)
    });
    let due_ms = SystemClock.now().as_millisecond() + 3_000;
    let retry = |id: u32, due_ms: i64| {
        Retry {
            due_ms,
            attempts: 5,
            first_failure: SystemClock.now(),
            topic: rig.input.to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
        }
        .record(rig.stage, 1, to(rig.input, &note(id)))
    };
    // One that is due, one that is not, and one behind it.
    rig.send(vec![
        retry(100, 0),
        retry(101, due_ms),
        retry(102, due_ms + 1),
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
        rig.ids().await.len() >= 101
    })
    .await;
    rig.complete(103).await;
    let seen = seen.lock().unwrap().clone();
    let at = |id: u32| seen.iter().find(|(seen, _)| *seen == id).unwrap().1;
    assert!(
        at(100) < due_ms && (0..100).all(|id| at(id) < due_ms),
        "{seen:?}"
    );
    assert!(at(101) >= due_ms && at(102) > due_ms, "{seen:?}");
    until("the retries are committed", async || {
        rig.offset(&retry_topic).await == 3
    })
    .await;
    started.drain().await.unwrap();
}
