//! Every output exactly once for a read-committed reader.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::Semaphore;
use trustcard_engine::{Guarantee, RunnerConfig, RunnerError};

use super::rig::Rig;
use crate::support::{self, TestStage, note, notes, to, until};

pub fn config() -> RunnerConfig {
    RunnerConfig {
        delivery: Guarantee::ExactlyOnce,
        ..support::config()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_output_is_there_once_and_a_restart_repeats_none() {
    let rig = Rig::new(3).await;
    let first = rig.start(TestStage::each(rig.forward()), config());
    rig.publish(&notes(0..2_000)).await;
    rig.complete(2_000).await;
    first.drain().await.unwrap();
    let second = rig.start(TestStage::each(rig.forward()), config());
    rig.publish(&notes(2_000..4_000)).await;
    rig.complete(4_000).await;
    rig.settled(4_000).await;
    assert!(second.transactions("committed") > 0);
    second.drain().await.unwrap();
    assert_eq!(rig.ids().await.len(), 4_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_die_in_the_middle_leave_no_output_out_and_none_twice() {
    let rig = Rig::new(3).await;
    rig.publish(&notes(0..6_000)).await;
    for _ in 0..4 {
        // Each may do so much and no more; it dies with some of it committed, some in a transaction, some only done.
        let (permits, forward) = (Arc::new(Semaphore::new(1_000)), rig.forward());
        let stage = TestStage::new(move |batch| {
            let (permits, forward) = (Arc::clone(&permits), forward.clone());
            async move {
                let count = u32::try_from(batch.len()).unwrap();
                permits.acquire_many(count).await.unwrap().forget();
                Ok(batch.iter().map(forward).collect())
            }
        });
        // The same name each time, so that what the dead one left open is over at once.
        let doomed = rig.start_as(
            "survivor",
            stage,
            RunnerConfig {
                commit_max_records: 100,
                ..config()
            },
        );
        until("it is in the middle", async || {
            doomed.transactions("committed") >= 2
        })
        .await;
        drop(doomed);
    }
    let last = rig.start_as("survivor", TestStage::each(rig.forward()), config());
    rig.complete(6_000).await;
    rig.settled(6_000).await;
    last.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_can_not_succeed_is_aborted_and_redone() {
    let rig = Rig::new(2).await;
    rig.publish(&notes(0..200)).await;
    let (output, calls) = (rig.output, Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&calls);
    // A record of 3 MiB is refused by the broker; at the second try it is small.
    let stage = TestStage::each(move |message| {
        let mut big = message.event.clone();
        if big.id == 100 && count.fetch_add(1, Ordering::Relaxed) < 2 {
            big.text = support::noise(3 << 20);
        }
        trustcard_engine::Outcome::Forward(vec![to(output, &big)])
    });
    let started = rig.start(
        stage,
        RunnerConfig {
            output_limit_bytes: 16 << 20,
            ..config()
        },
    );
    rig.complete(200).await;
    rig.settled(200).await;
    assert_eq!(started.transactions("aborted"), 2);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    started.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_of_two_instances_with_one_name_is_fenced_and_writes_nothing_more() {
    let rig = Rig::new(2).await;
    rig.publish(&notes(0..100)).await;
    let mut older = rig.start_as("twin", TestStage::each(rig.forward()), config());
    rig.complete(100).await;
    let newer = rig.start_as("twin", TestStage::each(rig.forward()), config());
    newer.ready().await;
    let mut sent = 100;
    // Both work on: the group gives the newer one its share, or with static membership all.
    while !older.ended() {
        rig.publish(&notes(sent..sent + 10)).await;
        sent += 10;
    }
    let error = older.end().await.unwrap_err();
    assert!(matches!(error, RunnerError::Fenced), "{error}");
    rig.publish(&[note(sent)]).await;
    rig.complete(sent + 1).await;
    newer.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_whose_transactional_id_was_taken_over_ends_its_instance() {
    let rig = Rig::new(2).await;
    rig.publish(&notes(0..100)).await;
    let mut started = rig.start_as("taken", TestStage::each(rig.forward()), config());
    rig.complete(100).await;
    // Not a member of the group, so that only the producer can tell.
    rig.take_over("taken").await;
    rig.publish(&notes(100..200)).await;
    let error = started.end().await.unwrap_err();
    assert!(matches!(error, RunnerError::Fenced), "{error}");
    assert_eq!(started.transactions("fenced"), 1);
    assert_eq!(rig.ids().await, (0..100).collect::<Vec<_>>());
}
