//! Lag of groups: on the embedded broker here, on a real one in `real`, against what Kafka's own tool says.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use schemas::topics;
use tokio::time::Instant;
use trustcard_engine::{
    Clock, Kafka, SystemClock,
    lag::{Lag, LagError, Monitor, PartitionLag, Pattern, State, Watched},
};

use crate::support::{IN, PATIENCE, Rig, STAGE, TestStage, config, forward, notes, until};

mod real;

/// A clock that runs from a time in the past. One that stood still would seem to be set back again and again.
struct Running {
    wall: Timestamp,
    from: Instant,
}

impl Running {
    fn from(wall_ms: i64) -> Self {
        Self {
            wall: Timestamp::from_millisecond(wall_ms).unwrap(),
            from: Instant::now(),
        }
    }
}

impl Clock for Running {
    fn now(&self) -> Timestamp {
        self.wall + self.from.elapsed()
    }
}

fn watched(group: &str, topics: &[&str]) -> Watched {
    Watched {
        group: group.to_owned(),
        topics: topics.iter().map(ToString::to_string).collect(),
    }
}

/// What a monitor tells once it knows everything: what a slow broker does not say in one round it says in another.
async fn complete(monitor: &mut Monitor) -> Lag {
    let mut lag = None;
    until("everything is known", async || {
        lag = monitor.round().await.ok().filter(Lag::complete);
        lag.is_some()
    })
    .await;
    lag.unwrap()
}

/// The partitions of a group.
fn of<'a>(lag: &'a Lag, group: &str) -> &'a [PartitionLag] {
    let found = lag.groups.iter().find(|one| one.group == group);
    let found = found.unwrap_or_else(|| panic!("no {group} in {lag:#?}"));
    assert_eq!(found.problem, None);
    &found.partitions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_of_a_stage_on_the_embedded_broker_is_there_before_its_first_commit_and_falls_to_nothing()
 {
    let rig = Rig::new(2);
    rig.publish(&notes(0..7)).await;
    let group = topics::group(STAGE);
    let own = vec![watched(&group, &[IN])];
    let mut monitor = Monitor::new(&rig.kafka, own, Vec::new(), Arc::new(SystemClock)).unwrap();

    let before = complete(&mut monitor).await;
    let partitions = of(&before, &group);
    let sum = |partitions: &[PartitionLag]| partitions.iter().map(|p| p.lag.unwrap()).sum::<i64>();
    assert_eq!((partitions.len(), sum(partitions)), (2, 7));
    assert!(partitions.iter().all(|p| p.state == State::NoCommit));
    assert!(partitions.iter().any(|p| p.lag_seconds > Some(0.0)));

    let started = rig.start(TestStage::each(forward), config());
    rig.settled(7).await;
    started.drain().await.unwrap();
    let after = complete(&mut monitor).await;
    let partitions = of(&after, &group);
    assert_eq!(sum(partitions), 0);
    assert!(partitions.iter().all(|p| p.lag_seconds == Some(0.0)));
    let read = partitions.iter().filter(|p| p.end != Some(0));
    assert!(
        read.clone().count() > 0 && read.into_iter().all(|p| p.state == State::Ok),
        "{partitions:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_list_its_groups_is_said_and_the_named_ones_are_watched() {
    let rig = Rig::new(1);
    rig.publish(&notes(0..3)).await;
    let own = vec![watched("a", &[IN])];
    let foreign = vec![Pattern::new("b*")];
    let mut monitor = Monitor::new(&rig.kafka, own, foreign, Arc::new(SystemClock)).unwrap();
    until("the named one is told", async || {
        let lag = monitor.round().await.unwrap();
        assert!(lag.problem.is_some() && !lag.complete());
        of(&lag, "a")[0].lag == Some(3)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_broker_answers_there_is_an_error_and_no_lag() {
    // Nobody listens there.
    let kafka = Kafka::new("127.0.0.1:1", BTreeMap::new());
    let own = vec![watched("a", &[IN])];
    let mut monitor = Monitor::new(&kafka, own, Vec::new(), Arc::new(SystemClock)).unwrap();
    for _ in 0..2 {
        let answer = tokio::time::timeout(PATIENCE, monitor.round()).await;
        let error = answer.unwrap().unwrap_err();
        assert!(matches!(error, LagError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("127.0.0.1:1 "), "{error}");
    }
}
