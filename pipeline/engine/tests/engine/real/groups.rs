//! Members that join and leave, under every protocol.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use schemas::{Reason, Record, topics};
use tokio::sync::Semaphore;
use trustcard_engine::{
    Archive, Assignor, GroupConfig, GroupProtocol, Instance, Kafka, Outcome, RunnerConfig,
};

use super::{
    exactly_once::config,
    rig::{Rig, Started},
};
use crate::support::{TestStage, notes, read, until};

const COOPERATIVE: GroupConfig = GroupConfig {
    protocol: GroupProtocol::Classic,
    assignor: Assignor::CooperativeSticky,
};
const EAGER: GroupConfig = GroupConfig {
    protocol: GroupProtocol::Classic,
    assignor: Assignor::Range,
};
const BROKER: GroupConfig = GroupConfig {
    protocol: GroupProtocol::Consumer,
    assignor: Assignor::CooperativeSticky,
};

/// Partitions that an instance has worked on.
type Worked = Arc<Mutex<BTreeSet<i32>>>;

fn worker(rig: &Rig) -> (TestStage, Worked) {
    let (worked, forward) = (Worked::default(), rig.forward());
    let log = Arc::clone(&worked);
    let stage = TestStage::each(move |message| {
        log.lock().unwrap().insert(message.meta.partition);
        forward(message)
    });
    (stage, worked)
}

fn partitions(worked: &Worked) -> BTreeSet<i32> {
    worked.lock().unwrap().clone()
}

/// Instances come and go while notes come in without a pause.
async fn join_and_leave(group: GroupConfig) {
    let rig = Rig::new(6).await.with_group(group);
    let mut sent = 0;
    let mut members: Vec<Started> = Vec::new();
    for round in 0..8 {
        let (stage, worked) = worker(&rig);
        members.push(rig.start(stage, config()));
        // Until the newcomer has work.
        while partitions(&worked).is_empty() {
            rig.publish(&notes(sent..sent + 60)).await;
            sent += 60;
        }
        if round % 2 == 1 {
            let leaving = members.remove(0);
            let left = tokio::spawn(leaving.drain());
            while !left.is_finished() {
                rig.publish(&notes(sent..sent + 60)).await;
                sent += 60;
            }
            left.await.unwrap().unwrap();
        }
    }
    rig.complete(sent).await;
    for member in members {
        member.drain().await.unwrap();
    }
    rig.complete(sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_cooperatively_lose_and_repeat_nothing() {
    join_and_leave(COOPERATIVE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_eagerly_lose_and_repeat_nothing() {
    join_and_leave(EAGER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_by_the_brokers_protocol_lose_and_repeat_nothing() {
    join_and_leave(BROKER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_member_keeps_its_partitions_over_a_restart() {
    let rig = Rig::new(4).await;
    let start = |name: &str| {
        let patient = [("session.timeout.ms".to_owned(), "120000".to_owned())];
        let kafka = Kafka::new(&rig.bootstrap, patient.into());
        let (stage, worked) = worker(&rig);
        let kafka = kafka.with_instance(Instance::named(name));
        (rig.start_on(kafka, stage, config()), worked)
    };
    let (first, firsts) = start("one");
    let (second, seconds) = start("two");
    let mut sent = 0;
    while partitions(&seconds).is_empty() || partitions(&firsts).is_empty() {
        rig.publish(&notes(sent..sent + 100)).await;
        sent += 100;
        rig.complete(sent).await;
    }
    first.drain().await.unwrap();
    seconds.lock().unwrap().clear();
    rig.publish(&notes(sent..sent + 100)).await;
    sent += 100;
    until("the one that stayed works", async || {
        !partitions(&seconds).is_empty()
    })
    .await;
    let (first, firsts) = start("one");
    rig.complete(sent).await;
    let both = partitions(&seconds).len() + partitions(&firsts).len();
    assert_eq!(both, 4, "nothing has moved");
    first.drain().await.unwrap();
    second.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stage_ends_after_its_partition_has_moved_counts_for_nothing() {
    let rig = Rig::new(2).await;
    rig.publish(&notes(0..100)).await;
    let (entered, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (at, go, output) = (Arc::clone(&entered), Arc::clone(&release), rig.forward());
    let stuck = TestStage::new(move |batch| {
        let (at, go, output) = (Arc::clone(&at), Arc::clone(&go), output.clone());
        async move {
            at.add_permits(1);
            let _passes = go.acquire().await.unwrap();
            Ok(batch.iter().map(output).collect::<Vec<Outcome>>())
        }
    });
    let hanging = rig.start(
        stuck,
        RunnerConfig {
            drain_ms: 200,
            ..config()
        },
    );
    let _begun = entered.acquire().await.unwrap();
    let (stage, worked) = worker(&rig);
    let other = rig.start(stage, config());
    until("the other works", async || !partitions(&worked).is_empty()).await;
    // What the first began under its former assignment ends now, too late for one of the partitions.
    release.add_permits(1_000);
    rig.complete(100).await;
    hanging.drain().await.unwrap();
    other.drain().await.unwrap();
    rig.complete(100).await;
}

/// Keeps dead letters only once it may.
struct Locked {
    entered: Semaphore,
    key: Semaphore,
}

#[async_trait]
impl Archive for Locked {
    async fn keep(&self, _: Vec<Record>) -> Result<(), String> {
        self.entered.add_permits(1);
        let _passes = self.key.acquire().await.map_err(|e| e.to_string())?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_hangs_delays_a_rebalance_for_the_drain_time_and_writes_nothing_of_what_was_taken_away()
 {
    // Eagerly, so that whatever the commit under way holds is taken away, if only for a moment.
    let rig = Rig::new(2).await.with_group(EAGER);
    rig.publish(&notes(0..100)).await;
    let reject = || TestStage::each(|_| Outcome::Reject(Reason::PostUndecodable));
    let archive = Arc::new(Locked {
        entered: Semaphore::new(0),
        key: Semaphore::new(0),
    });
    let hanging = rig.start_on(
        rig.kafka()
            .with_archive(Arc::clone(&archive) as Arc<dyn Archive>),
        reject(),
        RunnerConfig {
            drain_ms: 200,
            ..unlimited()
        },
    );
    let _under_way = archive.entered.acquire().await.unwrap();
    let other = rig.start(reject(), unlimited());
    let dead = topics::dead_letters(rig.stage);
    until("the other has taken partitions over", async || {
        !rig.committed(&dead).await.is_empty()
    })
    .await;
    archive.key.add_permits(1_000);
    until("every letter is there", async || {
        rig.committed(&dead).await.len() >= 100
    })
    .await;
    assert!(hanging.transactions("aborted") >= 1);
    hanging.drain().await.unwrap();
    other.drain().await.unwrap();
    let letters = rig.committed(&dead).await;
    let mut ids: Vec<u32> = letters.iter().map(|letter| read(letter).id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
}

/// As many dead letters as there are.
fn unlimited() -> RunnerConfig {
    let mut config = config();
    config.limits.run_length = 10_000;
    config.limits.window = 100_000;
    config
}
