//! Instances that end, die, join and leave.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};
use schemas::topics;
use tokio::sync::Semaphore;
use trustcard_engine::{ConsumerError, RunnerError};

use crate::support::{
    IN, Note, OUT, Rig, STAGE, Started, TestStage, config, forward, note, notes, until,
};

/// Starts a stage that forwards as many messages as it has permits for.
fn throttled(
    rig: &Rig,
    concurrency: usize,
    permits: &Arc<Semaphore>,
    done: &Arc<AtomicUsize>,
) -> Started {
    let (permits, done) = (Arc::clone(permits), Arc::clone(done));
    let stage = TestStage::new(move |batch| {
        let (permits, done) = (Arc::clone(&permits), Arc::clone(&done));
        async move {
            permits.acquire().await.unwrap().forget();
            done.fetch_add(1, Ordering::Relaxed);
            Ok(batch.iter().map(forward).collect())
        }
    });
    let mut config = config();
    config.batch_size = 1;
    config.concurrency = concurrency;
    rig.start(stage, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_instance_commits_what_it_began_and_the_next_goes_on_without_repeating_it() {
    let rig = Rig::new(3);
    rig.publish(&notes(0..200)).await;
    let (permits, done) = (Arc::new(Semaphore::new(80)), Arc::default());
    let first = throttled(&rig, 4, &permits, &done);
    until("80 are done", async || done.load(Ordering::Relaxed) == 80).await;
    // Four more are under way and will end during the drain.
    let drained = tokio::spawn(first.drain());
    permits.add_permits(4);
    drained.await.unwrap().unwrap();
    let settled: i64 = rig.committed().await.values().sum();
    assert!((80..=84).contains(&settled), "{settled}");
    assert_eq!(rig.written(OUT).await, usize::try_from(settled).unwrap());

    let second = rig.start(TestStage::each(forward), config());
    rig.settled(200).await;
    second.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_instance_died_in_the_middle_nothing_is_missing() {
    let rig = Rig::new(3);
    rig.publish(&notes(0..300)).await;
    let (permits, done) = (Arc::new(Semaphore::new(100)), Arc::default());
    let first = throttled(&rig, 4, &permits, &done);
    until("100 are done", async || done.load(Ordering::Relaxed) == 100).await;
    drop(first);
    let second = rig.start(TestStage::each(forward), config());
    rig.settled(300).await;
    second.drain().await.unwrap();
    let ids: BTreeSet<u32> = rig.ids(OUT).await.into_iter().collect();
    assert_eq!(ids, (0..300).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_does_not_end_in_time_is_left_and_its_messages_are_redone() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..10)).await;
    let (permits, done) = (Arc::new(Semaphore::new(2)), Arc::default());
    let first = throttled(&rig, 1, &permits, &done);
    until("2 are committed", async || {
        rig.committed().await.get(&0) == Some(&2)
    })
    .await;
    let mut first = first;
    first.shutdown.begin();
    first.end().await.unwrap();
    assert_eq!(rig.ids(OUT).await, [0, 1]);
    let second = rig.start(TestStage::each(forward), config());
    rig.settled(10).await;
    second.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_join_and_leave_share_the_work_and_lose_none_of_it() {
    let rig = Rig::new(4);
    let first = rig.start(TestStage::each(forward), config());
    let mut sent = 0;
    let mut more = async |rig: &Rig| {
        rig.publish(&notes(sent..sent + 100)).await;
        sent += 100;
        sent as usize
    };
    let n = more(&rig).await;
    rig.settled(n).await;
    let done: Arc<AtomicUsize> = Arc::default();
    let plenty = Arc::new(Semaphore::new(100_000));
    let second = throttled(&rig, 4, &plenty, &done);
    until("the second works too", async || {
        let n = more(&rig).await;
        rig.settled(n).await;
        done.load(Ordering::Relaxed) > 0
    })
    .await;
    first.drain().await.unwrap();
    let n = more(&rig).await;
    rig.settled(n).await;
    second.drain().await.unwrap();
    let ids: BTreeSet<u32> = rig.ids(OUT).await.into_iter().collect();
    assert_eq!(ids.len(), n);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committed_offset_that_the_topic_does_not_hold_is_an_error_and_never_a_reset() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..10)).await;
    let bootstrap = rig.kafka.bootstrap().to_owned();
    let committed = tokio::task::spawn_blocking(move || {
        let member: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", topics::group(STAGE))
            .create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(IN, 0, Offset::Offset(5_000))?;
        member.commit(&list, CommitMode::Sync)
    });
    committed.await.unwrap().unwrap();
    let mut started = rig.start(TestStage::each(forward), config());
    let error = started.end().await.unwrap_err();
    let lost = matches!(&error, RunnerError::Consumer(ConsumerError::OffsetOutOfRange { topic, .. }) if topic == IN);
    assert!(lost, "{error}");
    assert!(rig.readiness.missing()[STAGE].contains("committed offset"));
    assert_eq!(rig.written(OUT).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_stage_pauses_its_partitions_instead_of_filling_memory() {
    let rig = Rig::new(2);
    let big = |id| Note {
        text: "x".repeat(200),
        ..note(id)
    };
    rig.publish(&(0..4_000).map(big).collect::<Vec<_>>()).await;
    let permits = Arc::new(Semaphore::new(0));
    let stage = {
        let permits = Arc::clone(&permits);
        TestStage::new(move |batch| {
            let permits = Arc::clone(&permits);
            async move {
                permits.acquire().await.unwrap().forget();
                Ok(batch.iter().map(forward).collect())
            }
        })
    };
    let mut config = config();
    config.max_in_flight_records = 100;
    let started = rig.start(stage, config);
    let paused = || rig.metric(r#"trustcard_paused{task_name="echo"}"#);
    let held = || rig.metric(r#"trustcard_in_flight_records{task_name="echo"}"#);
    // A runner that gets no processor is waited for in the same way, so being paused alone says nothing.
    until(
        "partitions are paused, with as much read as may be",
        async || paused() == 1.0 && held() >= 100.0,
    )
    .await;
    let held = held();
    // What was handed over at once may overshoot the limit, by one batch of the poll thread.
    assert!(held <= 600.0, "{held}");
    permits.add_permits(10_000);
    rig.settled(4_000).await;
    started.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..4_000).collect::<Vec<_>>());
    assert_eq!(rig.metric(r#"trustcard_queue_size{task_name="echo"}"#), 0.0);
}
