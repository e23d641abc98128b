//! The `record` stage, in the real runner.

use std::{sync::Arc, time::Duration};

use engine::{
    EngineMetrics, Runner, RunnerConfig, RunnerError, lifecycle::Shutdown, retry::RetryConfig,
};
use prometheus::Registry;
use schemas::topics;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use trustcard_ingest_api::Record;

use crate::support::{Api, url};

/// Runs `record`, which may try each message only once: every failure that counts makes a dead letter.
fn record(api: &Api, shutdown: &Shutdown) -> (Registry, JoinHandle<Result<(), RunnerError>>) {
    let registry = Registry::new();
    let metrics = EngineMetrics::new(&registry).unwrap();
    let config = RunnerConfig {
        retry: RetryConfig {
            attempts: 1,
            initial_ms: 10,
            max_ms: 50,
            ..RetryConfig::default()
        },
        ..RunnerConfig::default()
    };
    let runner = Runner::new(
        Arc::new(Record::new(api.store.clone(), api.clock.clone())),
        api.broker.as_ref().unwrap().kafka(),
        config,
        &metrics,
        api.clock.clone(),
        api.readiness.part("record", "joining its group"),
    );
    (registry, tokio::spawn(runner.run(shutdown.clone())))
}

async fn batch(api: &Api, codes: &[&str]) -> (String, Vec<String>) {
    let urls: Vec<String> = codes.iter().map(|code| url(code)).collect();
    let answer = api
        .post("/api/analyze/batch", &json!({ "urls": urls }))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let told = answer.json();
    let ids = told["items"].as_array().unwrap().iter();
    let ids = ids.map(|item| item["analysis_id"].as_str().unwrap().to_owned());
    (told["batch_id"].as_str().unwrap().to_owned(), ids.collect())
}

/// Asks until the row of an analysis is there.
async fn until_projected(api: &Api, id: &str) -> Value {
    for _ in 0..2000 {
        let answer = api.get(&format!("/api/results/{id}")).await;
        if answer.status == 200 {
            return answer.json();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{id} was never projected");
}

/// How many attempts of `record` ended with `status`.
fn attempts(registry: &Registry, status: &str) -> f64 {
    let families = registry.gather();
    let family = families
        .iter()
        .find(|family| family.name() == "trustcard_tasks_total");
    let samples = family.map_or(&[][..], |family| family.get_metric());
    samples
        .iter()
        .filter(|sample| {
            sample
                .get_label()
                .iter()
                .any(|label| label.value() == status)
        })
        .map(|sample| sample.get_counter().value())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_batch_appear_and_a_store_that_is_away_for_a_while_costs_no_submission() {
    let mut api = Api::start().await;
    let (batch_id, ids) = batch(&api, &["P1", "P2", "P3"]).await;
    api.get(&format!("/api/results/{}", ids[0]))
        .await
        .error(404, "RESOURCE_NOT_FOUND");

    let lock = rusqlite::Connection::open(&api.database).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let shutdown = Shutdown::new();
    let (registry, runner) = record(&api, &shutdown);
    for _ in 0..3000 {
        if attempts(&registry, "retry") > 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(attempts(&registry, "retry") > 0.0, "the store was away");
    lock.execute_batch("ROLLBACK").unwrap();

    for id in &ids {
        let row = until_projected(&api, id).await;
        assert_eq!(row["status"], "pending");
    }
    assert_eq!(attempts(&registry, "failure"), 0.0);
    let letters = api.records_of(topics::dead_letters("record")).await;
    assert_eq!(letters, 0);
    let progress = api.get_json(&format!("/api/batches/{batch_id}")).await;
    assert_eq!(progress["counts"]["pending"], 3);

    let (_, more) = batch(&api, &["P4"]).await;
    until_projected(&api, &more[0]).await;
    let listed = api.get_json("/api/results?status=pending").await;
    assert_eq!(listed["analyses"].as_array().unwrap().len(), 4);

    shutdown.begin();
    let ended = tokio::time::timeout(Duration::from_secs(20), runner).await;
    ended.unwrap().unwrap().unwrap();
    drop(api.broker.take());
}
