//! Lag of groups: on the embedded broker here, on a real one in `real`, against what Kafka's own tool says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use schemas::topics;
use trustcard_engine::{
    Clock, Kafka, SystemClock,
    lag::{Lag, LagError, Monitor, PartitionLag, Pattern, State, Watched},
};

use crate::support::{IN, Rig, STAGE, TestStage, config, forward, notes};

mod real;

/// A clock that stands still.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn watched(group: &str, topics: &[&str]) -> Watched {
    Watched {
        group: group.to_owned(),
        topics: topics.iter().map(ToString::to_string).collect(),
    }
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

    let before = monitor.round().await.unwrap();
    let partitions = of(&before, &group);
    let sum = |partitions: &[PartitionLag]| partitions.iter().map(|p| p.lag.unwrap()).sum::<i64>();
    assert_eq!((partitions.len(), sum(partitions)), (2, 7));
    assert!(partitions.iter().all(|p| p.state == State::NoCommit));
    assert!(partitions.iter().any(|p| p.lag_seconds > Some(0.0)));
    assert!(before.complete());

    let started = rig.start(TestStage::each(forward), config());
    rig.settled(7).await;
    started.drain().await.unwrap();
    let after = monitor.round().await.unwrap();
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
    let lag = monitor.round().await.unwrap();
    assert_eq!(of(&lag, "a")[0].lag, Some(3));
    assert!(lag.problem.is_some() && !lag.complete());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_broker_answers_there_is_an_error_and_no_lag() {
    // Taken and given back: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let kafka = Kafka::new(format!("127.0.0.1:{port}"), BTreeMap::new());
    let own = vec![watched("a", &[IN])];
    let mut monitor = Monitor::new(&kafka, own, Vec::new(), Arc::new(SystemClock)).unwrap();
    for _ in 0..2 {
        let answer = tokio::time::timeout(Duration::from_secs(60), monitor.round()).await;
        let error = answer.unwrap().unwrap_err();
        assert!(matches!(error, LagError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&port.to_string()));
    }
}
