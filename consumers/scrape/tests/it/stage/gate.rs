//! What closes the stage's gate: an upstream that is down, and a store that is away.

use std::sync::{Arc, OnceLock};

use engine::{GateState, Outcome, Stage};
use schemas::Reason;
use serde_json::json;
use trustcard_scrape::circuit::Breaker;
use wiremock::ResponseTemplate;

use super::{Bench, photo, scraped};
use crate::adapters::QUERY_PATH;

#[tokio::test]
async fn when_the_upstream_fails_for_every_post_the_gate_closes_and_nothing_is_asked() {
    let bench = Bench::new(|_, _| ResponseTemplate::new(429)).await;
    assert_eq!(bench.stage.gate().state(), GateState::Open);
    for n in 0..5 {
        let outcome = bench.process(&bench.message(&format!("post{n}"), n)).await;
        assert_eq!(outcome, Outcome::retry(Reason::UpstreamRateLimited));
    }
    assert_eq!(bench.stage.gate().state(), GateState::Closed);
    assert_eq!(bench.stage.circuit().name(), "open");
    let outcome = bench.process(&bench.message("post9", 9)).await;
    assert_eq!(outcome, Outcome::retry(Reason::CircuitOpen));
    assert_eq!(bench.requests(QUERY_PATH).await, 5);
}

#[tokio::test]
async fn one_post_opens_the_circuit_when_the_upstream_is_down_but_not_when_it_may_be_at_fault() {
    let bench = Bench::new(|_, _| ResponseTemplate::new(502)).await;
    let message = bench.message("CHAIm2sHSQZ", 1);
    for _ in 0..5 {
        let outcome = bench.process(&message).await;
        assert_eq!(outcome, Outcome::retry(Reason::UpstreamError));
    }
    assert_eq!(bench.stage.gate().state(), GateState::Closed);

    let bench = Bench::new(|_, _| ResponseTemplate::new(200).set_body_json(json!({}))).await;
    let message = bench.message("CHAIm2sHSQZ", 1);
    for _ in 0..6 {
        let outcome = bench.process(&message).await;
        assert_eq!(outcome, Outcome::retry(Reason::UpstreamShapeChanged));
    }
    assert_eq!(bench.stage.gate().state(), GateState::Open);
}

#[tokio::test]
async fn a_request_that_waited_while_the_circuit_opened_is_not_sent() {
    let circuit: Arc<OnceLock<Breaker>> = Arc::default();
    let shared = Arc::clone(&circuit);
    // The first answer sends for fresh cookies, and when that request is to be made the circuit is open.
    let bench = Bench::new(move |_, _| {
        let breaker = shared.get().unwrap();
        while let Some(ticket) = breaker.admit() {
            ticket.failed(None);
        }
        ResponseTemplate::new(403)
    })
    .await;
    circuit.set(bench.stage.circuit()).unwrap();
    let outcome = bench.process(&bench.message("CHAIm2sHSQZ", 1)).await;
    assert_eq!(outcome, Outcome::retry(Reason::CircuitOpen));
    assert_eq!(bench.server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn while_the_store_is_away_one_message_at_a_time_tries_the_way() {
    let bench = Bench::new(photo).await;
    let messages = [
        bench.message("CHAIm2sHSQZ", 1),
        bench.message("../../etc", 2),
    ];
    // Another process keeps the database to itself, for longer than the store waits for it.
    let other = rusqlite::Connection::open(bench.folder.path().join("db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcomes = bench.stage.process(messages.to_vec()).await.unwrap();
    let [away, rejected] = [
        Outcome::retry(Reason::StoreUnavailable),
        Outcome::Reject(Reason::SchemaMismatch),
    ];
    assert_eq!(outcomes, [away, rejected.clone()]);
    assert_eq!(bench.stage.gate().state(), GateState::Probe);
    // Says nothing about the store.
    assert_eq!(bench.process(&messages[1]).await, rejected);
    assert_eq!(bench.stage.gate().state(), GateState::Probe);
    other.execute_batch("ROLLBACK").unwrap();
    scraped(&bench.process(&messages[0]).await);
    assert_eq!(bench.stage.gate().state(), GateState::Open);
}

#[tokio::test]
async fn a_row_that_cant_be_read_back_is_no_outage() {
    let bench = Bench::new(photo).await;
    let other = rusqlite::Connection::open(bench.folder.path().join("db")).unwrap();
    other
        .execute_batch("INSERT INTO posts VALUES ('CHAIm2sHSQZ', 0, 'null', 9e15)")
        .unwrap();
    let outcome = bench.process(&bench.message("CHAIm2sHSQZ", 1)).await;
    assert_eq!(outcome, Outcome::retry(Reason::StoreUnavailable));
    assert_eq!(bench.stage.gate().state(), GateState::Open);
}

#[tokio::test]
async fn posts_that_are_gone_do_not_open_the_circuit() {
    let bench = Bench::new(|_, _| {
        ResponseTemplate::new(200)
            .set_body_json(json!({"errors": [{"code": 4_630_001}], "data": null}))
    })
    .await;
    for n in 0..20 {
        bench.process(&bench.message(&format!("post{n}"), n)).await;
    }
    assert_eq!(bench.stage.gate().state(), GateState::Open);
}
