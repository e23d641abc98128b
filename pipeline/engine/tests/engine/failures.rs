//! Stages that break, gates that close, brokers that refuse.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use schemas::{Reason, topics};
use tokio::sync::Semaphore;
use trustcard_engine::{Gate, GateState, Kafka, Outcome, StageError};

use crate::support::{
    IN, Log, OUT, Rig, STAGE, TestStage, config, forward, note, notes, read, to, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_only_the_message_that_causes_it() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..64)).await;
    let stage = TestStage::each(|message| {
        assert_ne!(message.event.id, 7, "the stage breaks down on this one");
        forward(message)
    });
    let started = rig.start(stage, config());
    rig.settled(64).await;
    started.drain().await.unwrap();
    let rest: Vec<u32> = (0..64).filter(|id| *id != 7).collect();
    assert_eq!(rig.ids(OUT).await, rest);
    let letters = rig.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(read(&letters[0].1), note(7));
    let letter = &letters[0].0;
    assert_eq!((letter.code, letter.attempts), (Reason::StagePanicked, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_a_batch_costs_only_the_message_that_causes_it() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..64)).await;
    let (all_read, batches) = (Arc::new(Semaphore::new(0)), Log::<usize>::default());
    let (wait, log) = (Arc::clone(&all_read), batches.clone());
    let stage = TestStage::new(move |batch| {
        let (wait, log) = (Arc::clone(&wait), log.clone());
        async move {
            let _passes = wait.acquire().await.unwrap();
            if batch.iter().any(|message| message.event.id == 50) {
                log.lock().unwrap().push(batch.len());
                return Err(StageError::new(Reason::StoreUnavailable, "a bad row"));
            }
            Ok(batch.iter().map(forward).collect())
        }
    });
    let mut config = config();
    config.concurrency = 1;
    let started = rig.start(stage, config);
    until("all are read, so that batches are full", async || {
        rig.metric(r#"trustcard_in_flight_records{task_name="echo"}"#) == 64.0
    })
    .await;
    all_read.add_permits(1);
    rig.settled(64).await;
    started.drain().await.unwrap();
    let rest: Vec<u32> = (0..64).filter(|id| *id != 50).collect();
    assert_eq!(rig.ids(OUT).await, rest);
    let letters = rig.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(read(&letters[0].1), note(50));
    assert_eq!(letters[0].0.attempts, 5);
    let batches = batches.lock().unwrap();
    assert!(batches[0] > 1, "{batches:?}");
    assert_eq!(batches[1..], [1; 5], "alone, and only there it counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_recovers_before_the_attempts_run_out_loses_nothing() {
    let rig = Rig::new(2);
    rig.publish(&notes(0..100)).await;
    let calls = AtomicU32::new(0);
    let stage = TestStage::new(move |batch| {
        let storm = calls.fetch_add(1, Ordering::Relaxed) < 40;
        async move {
            if storm {
                return Err(StageError::new(Reason::StoreUnavailable, "no answer"));
            }
            Ok(batch.iter().map(forward).collect())
        }
    });
    let mut config = config();
    config.retry.attempts = 100;
    let started = rig.start(stage, config);
    rig.settled(100).await;
    started.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..100).collect::<Vec<_>>());
    assert!(rig.dead_letters().await.is_empty());
    let retried = rig.metric(r#"trustcard_tasks_total{status="retry",task_name="echo"}"#);
    assert!(retried >= 40.0, "{retried}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_stays_broken_or_answers_nonsense_ends_in_dead_letters_with_its_reason() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..20)).await;
    // Batches hold one message, so that a stage can be broken for half of them.
    let stage = TestStage::new(|batch| async move {
        match batch[0].event.id % 2 {
            0 => Err(StageError::new(Reason::BlobUnavailable, "gone")),
            _ => Ok(vec![forward(&batch[0]), forward(&batch[0])]),
        }
    });
    let mut config = config();
    config.batch_size = 1;
    config.retry.attempts = 3;
    let started = rig.start(stage, config);
    rig.settled(20).await;
    started.drain().await.unwrap();
    assert_eq!(rig.written(OUT).await, 0);
    let letters = rig.dead_letters().await;
    assert_eq!(letters.len(), 20);
    for (letter, record) in letters {
        let code = match read(&record).id % 2 {
            0 => Reason::BlobUnavailable,
            _ => Reason::StagePanicked,
        };
        assert_eq!((letter.code, letter.attempts), (code, 3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_gate_is_closed_nothing_runs_and_nothing_counts_and_a_probe_is_one_message() {
    let rig = Rig::new(2);
    let gate = Arc::new(Gate::open());
    let broken = Arc::new(AtomicBool::new(true));
    let calls: Log<usize> = Log::default();
    let (closes, fails, log) = (Arc::clone(&gate), Arc::clone(&broken), calls.clone());
    let watch = gate.watch();
    let stage = TestStage::new(move |batch| {
        log.lock().unwrap().push(batch.len());
        let failed = fails.load(Ordering::Relaxed);
        if failed {
            closes.set(GateState::Closed);
        }
        async move {
            let decide = |message| match failed {
                true => Outcome::retry(Reason::UpstreamUnreachable),
                false => forward(message),
            };
            Ok(batch.iter().map(decide).collect())
        }
    })
    .gate(watch);
    let mut config = config();
    // One counted failure would be the end of a message.
    config.retry.attempts = 1;
    // So that no batch begun before the gate was closed runs after that.
    config.concurrency = 1;
    let started = rig.start(stage, config);
    rig.publish(&notes(0..500)).await;

    let paused = || rig.metric(r#"trustcard_paused{task_name="echo"}"#);
    until("partitions are paused", async || paused() == 1.0).await;
    for _ in 0..3 {
        let before = calls.lock().unwrap().len();
        gate.set(GateState::Probe);
        until("a probe ran", async || calls.lock().unwrap().len() > before).await;
        until("it closed the gate", async || {
            gate.watch().state() == GateState::Closed
        })
        .await;
        assert_eq!(
            calls.lock().unwrap()[before..],
            [1],
            "one probe of one message"
        );
    }
    assert_eq!(rig.written(OUT).await, 0);
    assert!(rig.committed().await.is_empty());

    broken.store(false, Ordering::Relaxed);
    gate.set(GateState::Open);
    rig.settled(500).await;
    until("partitions go on", async || paused() == 0.0).await;
    started.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..500).collect::<Vec<_>>());
    assert!(rig.dead_letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_a_dead_letter_travels_with_it_and_is_asked_for_until_it_is_there() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..10)).await;
    let asked = Arc::new(AtomicU32::new(0));
    let may_answer = Arc::new(AtomicBool::new(false));
    let (count, answers) = (Arc::clone(&asked), Arc::clone(&may_answer));
    let stage = TestStage::each(|message| match message.event.id {
        0 => Outcome::Reject(Reason::PostUndecodable),
        _ => forward(message),
    })
    .on_dead_letter(move |id, letter| {
        assert_eq!((id, letter.code), (0, Reason::PostUndecodable));
        count.fetch_add(1, Ordering::Relaxed);
        if answers.load(Ordering::Relaxed) {
            return Ok(vec![to(OUT, &note(999))]);
        }
        Err(StageError::new(Reason::StoreUnavailable, "later"))
    });
    let started = rig.start(stage, config());
    until("asked again and again", async || {
        asked.load(Ordering::Relaxed) >= 5
    })
    .await;
    assert!(rig.committed().await.is_empty(), "the offset does not move");
    assert!(rig.dead_letters().await.is_empty());
    may_answer.store(true, Ordering::Relaxed);
    rig.settled(10).await;
    started.drain().await.unwrap();
    let expected: Vec<u32> = (1..10).chain([999]).collect();
    assert_eq!(rig.ids(OUT).await, expected);
    assert_eq!(rig.dead_letters().await.len(), 1);
}

/// A broker of the test's own, which can be told to refuse. It can't move between threads, so it stays in the test's future.
fn cluster() -> (
    MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
    Rig,
) {
    let cluster = MockCluster::new(1).unwrap();
    for topic in [IN, OUT, &topics::dead_letters(STAGE)] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let kafka = Kafka::new(cluster.bootstrap_servers(), Default::default());
    (cluster, Rig::on(kafka))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_broker_refuses_a_dead_letter_the_offset_does_not_move_and_it_is_written_later() {
    let (cluster, rig) = cluster();
    rig.publish(&notes(0..10)).await;
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 10_000];
    cluster.request_errors(RDKafkaApiKey::Produce, &refused);
    let stage = TestStage::each(|_| Outcome::Reject(Reason::PostUndecodable));
    let started = rig.start(stage, config());
    let failures = || rig.metric(r#"trustcard_commit_failures_total{task_name="echo"}"#);
    until("commits failed", async || failures() >= 3.0).await;
    assert!(rig.committed().await.is_empty(), "no offset has moved");
    assert_eq!(rig.written(&topics::dead_letters(STAGE)).await, 0);
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    rig.settled(10).await;
    started.drain().await.unwrap();
    let mut dead: Vec<u32> = rig
        .dead_letters()
        .await
        .iter()
        .map(|(_, r)| read(r).id)
        .collect();
    dead.dedup();
    assert_eq!(dead, (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_offsets_are_refused_outputs_are_not_written_again() {
    let (cluster, rig) = cluster();
    rig.publish(&notes(0..10)).await;
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 2];
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &refused);
    let started = rig.start(TestStage::each(forward), config());
    rig.settled(10).await;
    started.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..10).collect::<Vec<_>>());
    assert_eq!(
        rig.metric(r#"trustcard_commit_failures_total{task_name="echo"}"#),
        2.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_whose_client_has_failed_for_good_publishes_again_without_a_restart() {
    let (cluster, rig) = cluster();
    let publisher = rig.publisher();
    let send = async |id| {
        let reserved = publisher.reserve(vec![to(IN, &note(id))]).unwrap();
        reserved.publish().await.remove(0)
    };
    send(0).await.unwrap();
    // The broker has lost sequence numbers of records it never acknowledged: fatal for an idempotent client.
    let fatal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER];
    cluster.request_errors(RDKafkaApiKey::Produce, &fatal);
    send(1).await.unwrap_err();
    send(2).await.unwrap();
    assert_eq!(rig.ids(IN).await, [0, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_back_finds_everything_still_there() {
    let (cluster, rig) = cluster();
    rig.publish(&notes(0..50)).await;
    let started = rig.start(TestStage::each(forward), config());
    rig.settled(50).await;
    cluster.broker_down(-1).unwrap();
    let publisher = rig.publisher();
    until("it is seen to be gone", async || {
        !publisher.broker_reachable(Duration::from_millis(200)).await
    })
    .await;
    cluster.broker_up(-1).unwrap();
    until("it is seen to be back", async || {
        publisher.broker_reachable(Duration::from_secs(1)).await
    })
    .await;
    rig.publish(&notes(50..100)).await;
    rig.settled(100).await;
    started.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..100).collect::<Vec<_>>());
}
