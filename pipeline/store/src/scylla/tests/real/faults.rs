//! A server that cuts, stalls, delays and refuses: every call ends, none is sent more than twice, few wait, and afterwards
//! everything is right.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Keyspace,
    proxy::{Fault, MARK, Proxy},
};
use crate::{
    Claim, Operations, Reuse, ScyllaConfig, ScyllaStore, Status, Store, StoreError, StorePolicy,
    contract::{at, claim, completed, row, single, state},
};

const REFUSALS: [Fault; 3] = [Fault::Overloaded, Fault::WriteTimeout, Fault::Unavailable];

struct Rig {
    store: Arc<ScyllaStore>,
    proxy: Proxy,
    _keyspace: Keyspace,
}

async fn rig(change: impl FnOnce(&mut ScyllaConfig)) -> Rig {
    let keyspace = Keyspace::take().await;
    let mut config = keyspace.config.clone();
    let proxy = Proxy::start(&config.nodes[0]).await;
    config.nodes = vec![proxy.address.to_string()];
    config.request_timeout_ms = 2_000;
    change(&mut config);
    let store = ScyllaStore::open(&config, StorePolicy::default())
        .await
        .unwrap();
    Rig {
        store: Arc::new(store),
        proxy,
        _keyspace: keyspace,
    }
}

impl Rig {
    /// One statement with the mark.
    async fn call(&self, number: usize) -> crate::Result<()> {
        let sha = format!("{MARK}{number}");
        let finding = serde_json::json!({ "status": "failed" });
        self.store.keep_finding(&sha, "d", &finding, at(0)).await
    }

    async fn calls(&self, count: usize) -> Vec<crate::Result<()>> {
        join_all((0..count).map(|number| self.call(number))).await
    }

    /// Until the way is whole again.
    async fn recovered(&self) {
        self.proxy.spoil(Fault::Pass, 0);
        let until = Instant::now() + Duration::from_secs(60);
        while self.call(0).await.is_err() {
            assert!(Instant::now() < until, "it does not recover");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn unavailable(outcome: &crate::Result<()>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn a_server_that_refuses_everything_gets_a_fifth_more_and_not_a_storm() {
    let rig = rig(|_| {}).await;
    for fault in REFUSALS {
        rig.proxy.seen();
        rig.proxy.spoil(fault, usize::MAX);
        let outcomes = rig.calls(100).await;
        assert!(outcomes.iter().all(unavailable), "{fault:?}: {outcomes:?}");
        let seen = rig.proxy.seen();
        // What was saved up since the store was opened adds at most a few.
        assert!((100..=140).contains(&seen), "{fault:?}: {seen}");
        rig.recovered().await;
        rig.store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn one_refusal_is_made_good_by_a_second_try() {
    let rig = rig(|_| {}).await;
    for fault in [REFUSALS.as_slice(), &[Fault::Cut]].concat() {
        // Earns the second try.
        assert!(rig.calls(10).await.iter().all(Result::is_ok));
        rig.proxy.seen();
        rig.proxy.spoil(fault, 1);
        let outcome = rig.call(0).await;
        let seen = rig.proxy.seen();
        if fault == Fault::Cut {
            // The connection may still be down when the second try comes.
            assert!(outcome.is_ok() || unavailable(&outcome), "{outcome:?}");
            rig.recovered().await;
        } else {
            outcome.unwrap();
            assert_eq!(seen, 2, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn connections_cut_in_a_reply_end_calls_at_once_and_come_back() {
    let rig = rig(|_| {}).await;
    rig.proxy.spoil(Fault::Cut, usize::MAX);
    let outcomes = timeout(Duration::from_secs(60), rig.calls(50))
        .await
        .unwrap();
    assert!(outcomes.iter().all(unavailable), "{outcomes:?}");
    let seen = rig.proxy.seen();
    assert!((1..=100).contains(&seen), "{seen}");
    rig.recovered().await;
    assert!(rig.calls(50).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_stall_ends_by_the_time_limit_and_few_wait() {
    let rig = rig(|config| {
        config.request_timeout_ms = 500;
        config.max_in_flight = 4;
        config.max_waiting = 8;
    })
    .await;
    rig.proxy.seen();
    rig.proxy.spoil(Fault::Stall, usize::MAX);
    let outcomes = timeout(Duration::from_secs(30), rig.calls(100))
        .await
        .unwrap();
    assert!(outcomes.iter().all(unavailable), "{outcomes:?}");
    let refused = outcomes.iter().filter(|outcome| {
        matches!(outcome, Err(StoreError::Unavailable(reason)) if reason.contains("too many"))
    });
    assert_eq!(refused.count(), 88, "4 on their way, 8 waiting");
    let seen = rig.proxy.seen();
    assert!((4..=24).contains(&seen), "{seen}");
    rig.recovered().await;
    assert!(rig.calls(4).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let rig = rig(|_| {}).await;
    rig.proxy.seen();
    rig.proxy
        .spoil(Fault::Delay(Duration::from_millis(200)), usize::MAX);
    for number in 0..3 {
        rig.call(number).await.unwrap();
    }
    assert_eq!(rig.proxy.seen(), 3, "none was sent twice");
}

#[tokio::test]
async fn work_that_is_tried_until_it_succeeds_loses_nothing() {
    let rig = rig(|config| config.request_timeout_ms = 500).await;
    let store: Arc<dyn Store> = rig.store.clone();
    let faults = [
        Fault::Overloaded,
        Fault::Cut,
        Fault::WriteTimeout,
        Fault::Stall,
        Fault::Unavailable,
    ];
    let mut failures = 0;
    for (number, fault) in (0..20).zip(faults.into_iter().cycle()) {
        let post = format!("{MARK}{number}");
        let submission = single(&post, number, "r");
        let result = completed(&post, submission.run, number + 10, 80.0);
        // Two in a row: the second try of a statement fails as well.
        rig.proxy.spoil(fault, 2);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let done = async {
                let event = format!("event-{number}");
                store
                    .project(std::slice::from_ref(&submission), at(number))
                    .await?;
                let claim = store.claim(&submission, &event, at(number)).await?;
                assert!(matches!(claim, Claim::Own | Claim::Finished), "{claim:?}");
                store.finish(&result, at(number + 10)).await
            };
            match done.await {
                Ok(_) => break,
                Err(error) => {
                    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                    assert!(Instant::now() < until, "{error}");
                    failures += 1;
                }
            }
        }
    }
    assert!(failures > 0, "nothing was spoiled");
    rig.recovered().await;
    for number in 0..20 {
        let post = format!("{MARK}{number}");
        let state = state(&store, &post, 100).await;
        assert_eq!(state, Some((Status::Completed, 100)), "{post}");
        assert!(row(&store, &post, 100).await.unwrap().result.is_some());
        let late = single(&post, 50, "late");
        assert_eq!(claim(&store, &late, 100).await, Claim::Finished);
    }
    assert_eq!(store.totals(at(100)).await.unwrap().completed, 20);
}
