//! What happens to a commit on its way to the broker and back.

use std::time::Duration;

use trustcard_engine::RunnerConfig;
use trustcard_tests::{
    kafka_proxy::{Fate, KafkaProxy, api::END_TXN},
    servers::KafkaServer,
};

use super::{exactly_once::config, rig::Rig};
use crate::support::{TestStage, notes, until};

/// Notes published in each round.
const ROUND: u32 = 50;

/// Strikes commits with each fate, so many rounds of each; every round must cost the producer, and no reader anything.
async fn strike(fates: &[Fate], rounds: u64) {
    // A commit is given up after 0.9 s.
    strike_within(fates, rounds, 3_000).await;
}

async fn strike_within(fates: &[Fate], rounds: u64, transaction_timeout_ms: u64) {
    let server = KafkaServer::start().await;
    let proxy = KafkaProxy::before(&server);
    let rig = Rig::at(server.bootstrap(), 2).await;
    let kafka = rig.kafka_at(proxy.address());
    let config = RunnerConfig {
        transaction_timeout_ms,
        ..config()
    };
    let started = rig.start_on(kafka, TestStage::each(rig.forward()), config);
    started.ready().await;
    let (mut sent, mut struck) = (0, 0);
    for fate in fates {
        for _ in 0..rounds {
            proxy.strike(END_TXN, *fate, 1);
            rig.publish(&notes(sent..sent + ROUND)).await;
            sent += ROUND;
            struck += 1;
            until("the producer was made anew", async || {
                started.transactions("rebuilt") >= struck
            })
            .await;
            rig.complete(sent).await;
        }
    }
    assert_eq!(proxy.struck(END_TXN), struck);
    assert_eq!(started.transactions("rebuilt"), struck);
    assert_eq!(started.transactions("fenced"), 0);
    rig.settled(sent).await;
    started.drain().await.unwrap();
    rig.complete(sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_sent_twice_counts_once_and_costs_the_producer() {
    strike_within(&[Fate::CutReply], 2, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_lost_or_late_answer_to_a_commit_nothing_is_torn_and_the_producer_is_made_anew() {
    let late = Fate::DelayReply(Duration::from_secs(2));
    strike(&[Fate::LoseReply, late], 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_lost_or_arrives_after_its_producer_is_gone_reaches_no_other_transaction()
{
    let late = Fate::DelayRequest(Duration::from_millis(1_500));
    strike(&[Fate::LoseRequest, late], 3).await;
}
