//! Each outcome ends where it should, in the right order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use schemas::Reason;
use tokio::sync::Semaphore;
use trustcard_engine::Outcome;

use crate::support::{Log, Note, OUT, Rig, TestStage, config, forward, note, notes, read, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forward_skip_retry_and_reject_each_end_where_they_should() {
    let rig = Rig::new(3);
    rig.publish(&notes(0..200)).await;
    let stage = TestStage::each(|message| match message.event.id % 4 {
        0 => forward(message),
        1 => Outcome::Skip(Reason::DuplicateSubmission),
        2 if message.meta.attempt < 3 => Outcome::retry(Reason::UpstreamTimeout),
        2 => forward(message),
        _ => Outcome::Reject(Reason::PostUndecodable),
    });
    let started = rig.start(stage, config());
    rig.settled(200).await;
    assert!(rig.readiness.missing().is_empty());
    started.drain().await.unwrap();

    let even: Vec<u32> = (0..200).filter(|id| id % 2 == 0).collect();
    assert_eq!(rig.ids(OUT).await, even);
    let letters = rig.dead_letters().await;
    let mut dead: Vec<u32> = letters.iter().map(|(_, record)| read(record).id).collect();
    dead.sort_unstable();
    let rejected: Vec<u32> = (0..200).filter(|id| id % 4 == 3).collect();
    assert_eq!(dead, rejected);
    for (letter, _) in &letters {
        assert_eq!((letter.code, letter.attempts), (Reason::PostUndecodable, 1));
    }

    let tasks = |status| {
        rig.metric(&format!(
            r#"trustcard_tasks_total{{status="{status}",task_name="echo"}}"#
        ))
    };
    let counted = [tasks("success"), tasks("failure"), tasks("retry")];
    assert_eq!(counted, [150.0, 50.0, 100.0]);
    let reason = |outcome, reason| {
        rig.metric(&format!(
            r#"trustcard_stage_reasons_total{{outcome="{outcome}",reason="{reason}",task_name="echo"}}"#
        ))
    };
    let reasons = [
        reason("skip", "duplicate_submission"),
        reason("retry", "upstream_timeout"),
        reason("reject", "post_undecodable"),
    ];
    assert_eq!(reasons, [50.0, 100.0, 50.0]);
    assert_eq!(
        rig.metric(r#"trustcard_dead_letters_total{code="post_undecodable",task_name="echo"}"#),
        50.0
    );
    assert_eq!(
        rig.metric(r#"trustcard_in_flight_records{task_name="echo"}"#),
        0.0
    );
    assert_eq!(rig.metric(r#"trustcard_held_bytes{task_name="echo"}"#), 0.0);
    assert_eq!(
        rig.metric(r#"trustcard_task_duration_seconds_count{task_name="echo"}"#),
        300.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_complete_in_any_order_but_are_committed_in_the_order_of_their_offsets() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..100)).await;
    let first_may_end = Arc::new(Semaphore::new(0));
    let finished: Log<u32> = Log::default();
    let (gate, log) = (Arc::clone(&first_may_end), Arc::clone(&finished));
    let stage = TestStage::new(move |batch| {
        let (gate, log) = (Arc::clone(&gate), Arc::clone(&log));
        async move {
            if batch.iter().any(|message| message.event.id == 0) {
                gate.acquire().await.unwrap().forget();
            }
            let mut log = log.lock().unwrap();
            log.extend(batch.iter().map(|message| message.event.id));
            if log.len() == 99 {
                gate.add_permits(1);
            }
            Ok(batch.iter().map(forward).collect())
        }
    });
    let mut config = config();
    config.batch_size = 1;
    let started = rig.start(stage, config);
    rig.settled(100).await;
    started.drain().await.unwrap();
    let finished = finished.lock().unwrap().clone();
    assert_eq!(finished.last(), Some(&0), "the first message ended last");
    let order: Vec<u32> = rig.contents(OUT).await.iter().map(|r| read(r).id).collect();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_key_run_one_at_a_time_and_in_order_even_when_they_are_retried() {
    let rig = Rig::new(2);
    let sent: Vec<Note> = (0..300)
        .map(|id| Note {
            key: format!("key-{}", id % 7),
            ..note(id)
        })
        .collect();
    rig.publish(&sent).await;
    let running: Log<String> = Log::default();
    let done: Arc<Mutex<HashMap<String, Vec<u32>>>> = Arc::default();
    let (now, seen) = (Arc::clone(&running), Arc::clone(&done));
    let stage = TestStage::new(move |batch| {
        let (now, seen) = (Arc::clone(&now), Arc::clone(&seen));
        async move {
            for message in &batch {
                let mut now = now.lock().unwrap();
                assert!(!now.contains(&message.event.key), "one at a time");
                now.push(message.event.key.clone());
            }
            tokio::task::yield_now().await;
            let mut outcomes = Vec::new();
            for message in &batch {
                now.lock().unwrap().retain(|key| *key != message.event.key);
                if message.event.id % 5 == 0 && message.meta.attempt == 1 {
                    outcomes.push(Outcome::retry(Reason::UpstreamTimeout));
                    continue;
                }
                let mut seen = seen.lock().unwrap();
                let seen = seen.entry(message.event.key.clone()).or_default();
                seen.push(message.event.id);
                outcomes.push(forward(message));
            }
            Ok(outcomes)
        }
    });
    let started = rig.start(stage, config());
    rig.settled(300).await;
    started.drain().await.unwrap();
    let done = done.lock().unwrap();
    assert_eq!(done.len(), 7);
    for (key, ids) in done.iter() {
        let expected = sent.iter().filter(|note| note.key == *key).map(|n| n.id);
        assert_eq!(*ids, expected.collect::<Vec<_>>(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_interval_is_committed_before_its_time_is_over() {
    let rig = Rig::new(2);
    let mut config = config();
    config.commit_interval_ms = 10 * 60 * 1_000;
    config.commit_max_records = 50;
    let started = rig.start(TestStage::each(forward), config);
    // The first commit comes at once, the others only because there is so much to commit.
    rig.publish(&notes(0..2_000)).await;
    until(
        "all but the rest of an interval are committed",
        async || rig.committed().await.values().sum::<i64>() > 2_000 - 50,
    )
    .await;
    started.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..2_000).collect::<Vec<_>>());
}
