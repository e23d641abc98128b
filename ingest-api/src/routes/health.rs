//! GET /health: the state of everything the service needs. Each question is given up in time for an answer within a second, even
//! when a dependency hangs. (/health/live and /health/ready are the engine's, the same in every role.)

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemas::topics;
use serde::Serialize;
use serde_json::Value;
use store::Heartbeat;
use utoipa::ToSchema;

use crate::state::AppState;

/// Longest wait for one dependency: all are asked at once, and the answer is to be there within a second.
pub const PATIENCE: Duration = Duration::from_millis(750);

/// What can be said of roles when their signs of life can't be read.
const UNKNOWN: &str = "not known: the store does not tell";

/// How something is; the worst of all is the answer's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HealthStatus)]
enum Health {
    /// As it should be.
    Healthy,
    /// It works, or will go on by itself.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// How one thing is.
#[derive(Debug, Serialize, ToSchema)]
struct Check {
    /// How it is.
    status: Health,
    /// The same in words.
    message: String,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthReport)]
struct Report {
    /// The worst of all checks.
    status: Health,
    /// By what was checked.
    checks: BTreeMap<&'static str, Check>,
}

impl Check {
    fn new(status: Health, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

/// State of everything the service needs
///
/// Stages without a living member, or too far behind, and an open circuit to the upstream are `degraded`, with 200: what was accepted waits.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "get_health",
    tag = "monitoring",
    responses(
        (status = 200, description = "Healthy or degraded.", body = Report),
        (status = 503, description = "Store or broker can't be reached.", body = Report)
    )
)]
pub async fn health(State(state): State<AppState>) -> Response {
    let (database, broker, beats) =
        tokio::join!(database(&state), broker(&state), heartbeats(&state));
    let beats = beats.as_deref();
    let checks = BTreeMap::from([
        ("database", database),
        ("broker", broker),
        ("stages", stages(beats, state.config.max_healthy_lag)),
        ("instagram", instagram(beats)),
        ("models", models(beats)),
    ]);
    let status = checks
        .values()
        .map(|check| check.status)
        .max()
        .unwrap_or(Health::Healthy);
    let code = if status == Health::Unhealthy {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (code, Json(Report { status, checks })).into_response()
}

/// Signs of life of all roles; `None` when the store does not tell in time.
pub async fn heartbeats(state: &AppState) -> Option<Vec<Heartbeat>> {
    let asked = state.store.heartbeats(state.clock.now());
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
}

/// The sum of a number that all living members of a stage report; `None` when none of them does.
pub fn backlog(beats: &[Heartbeat], stage: &str, number: &str) -> Option<u64> {
    let members = beats.iter().filter(|beat| beat.role == stage);
    let told = members.filter_map(|beat| beat.details.get(number)?.as_u64());
    told.reduce(u64::saturating_add)
}

async fn database(state: &AppState) -> Check {
    match tokio::time::timeout(PATIENCE, state.store.ping()).await {
        Ok(Ok(())) => Check::new(Health::Healthy, "answers"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store is away");
            Check::new(Health::Unhealthy, "can't be reached")
        }
        Err(_) => Check::new(Health::Unhealthy, "does not answer in time"),
    }
}

async fn broker(state: &AppState) -> Check {
    match tokio::time::timeout(PATIENCE, state.publisher.broker_reachable(PATIENCE)).await {
        Ok(true) => Check::new(Health::Healthy, "answers"),
        Ok(false) => Check::new(Health::Unhealthy, "can't be reached"),
        Err(_) => Check::new(Health::Unhealthy, "does not answer in time"),
    }
}

fn stages(beats: Option<&[Heartbeat]>, max_lag: u64) -> Check {
    let Some(beats) = beats else {
        return Check::new(Health::Degraded, UNKNOWN);
    };
    let mut status = Health::Healthy;
    let told = topics::STAGES.map(|stage| {
        let living = beats.iter().filter(|beat| beat.role == stage).count();
        let lag = backlog(beats, stage, "lag");
        if living == 0 || lag.is_some_and(|lag| lag > max_lag) {
            status = Health::Degraded;
        }
        let lag = lag.map_or_else(|| "not known".to_owned(), |lag| lag.to_string());
        format!("{stage} {living} (lag {lag})")
    });
    Check::new(status, format!("live members: {}", told.join(", ")))
}

/// Never more than a word about them: what can't be checked is told with each result.
fn models(beats: Option<&[Heartbeat]>) -> Check {
    let Some(beats) = beats else {
        return Check::new(Health::Degraded, UNKNOWN);
    };
    let mut members = beats.iter().filter(|beat| beat.role == "detect").peekable();
    if members.peek().is_none() {
        return Check::new(Health::Degraded, "not known: no detector lives");
    }
    let told = members.map(|beat| {
        let runtime = beat.details.get("runtime").and_then(Value::as_str);
        let models = beat.details.get("models").and_then(Value::as_array);
        let skipped = models
            .into_iter()
            .flatten()
            .filter(|model| !model["skipped"].is_null());
        match (runtime, skipped.count()) {
            (None, _) => "off: pictures are not checked".to_owned(),
            (Some(runtime), 0) => format!("run on {runtime}"),
            (Some(runtime), skipped) => format!("run on {runtime}, {skipped} skipped"),
        }
    });
    let told: BTreeSet<String> = told.collect();
    let told: Vec<String> = told.into_iter().collect();
    Check::new(Health::Healthy, told.join("; "))
}

fn instagram(beats: Option<&[Heartbeat]>) -> Check {
    let Some(beats) = beats else {
        return Check::new(Health::Degraded, UNKNOWN);
    };
    let circuits: Vec<&str> = beats
        .iter()
        .filter(|beat| beat.role == "scrape")
        .filter_map(|beat| beat.details.get("circuit")?.as_str())
        .collect();
    if circuits.is_empty() {
        return Check::new(Health::Degraded, "not known: no scraper lives");
    }
    let closed = circuits
        .iter()
        .filter(|circuit| **circuit == "closed")
        .count();
    let message = format!("circuit closed on {closed} of {} scrapers", circuits.len());
    if closed == circuits.len() {
        Check::new(Health::Healthy, message)
    } else {
        Check::new(Health::Degraded, message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn beat(role: &str, details: serde_json::Value) -> Heartbeat {
        Heartbeat {
            role: role.to_owned(),
            instance: "i".to_owned(),
            version: "0".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            details,
        }
    }

    #[test]
    fn a_stage_without_a_living_member_or_far_behind_degrades() {
        let lag = |lag: u64| json!({ "lag": lag });
        let mut beats: Vec<_> = topics::STAGES.iter().map(|s| beat(s, lag(5))).collect();
        let check = stages(Some(&beats), 9);
        assert_eq!(check.status, Health::Healthy);
        assert!(
            check.message.contains("score 1 (lag 5)"),
            "{}",
            check.message
        );
        beats.push(beat("score", lag(5)));
        let check = stages(Some(&beats), 9);
        assert_eq!(check.status, Health::Degraded);
        assert!(
            check.message.contains("score 2 (lag 10)"),
            "{}",
            check.message
        );
        assert_eq!(stages(Some(&beats), 10).status, Health::Healthy);
        beats.retain(|beat| beat.role != "detect");
        let check = stages(Some(&beats), 10);
        assert_eq!(check.status, Health::Degraded);
        assert!(
            check.message.contains("detect 0 (lag not known)"),
            "{}",
            check.message
        );
        assert_eq!(stages(None, 10).status, Health::Degraded);
    }

    #[test]
    fn models_are_told_of_and_degrade_nothing_by_being_off() {
        let of = |details| models(Some(&[beat("detect", details)]));
        let off = of(json!({ "runtime": null, "models": [] }));
        assert_eq!(
            (off.status, off.message.contains("off")),
            (Health::Healthy, true)
        );
        let one = json!([{ "name": "a", "skipped": null }, { "name": "b", "skipped": "runtime" }]);
        let on = of(json!({ "runtime": "onnxruntime 1.32.0", "models": one }));
        assert_eq!(on.message, "run on onnxruntime 1.32.0, 1 skipped");
        assert_eq!(models(Some(&[])).status, Health::Degraded);
        assert_eq!(models(None).status, Health::Degraded);
    }

    #[test]
    fn there_is_time_for_the_answer_within_a_second() {
        assert!(PATIENCE < Duration::from_secs(1));
    }

    #[test]
    fn an_open_circuit_degrades() {
        let closed = beat("scrape", json!({ "circuit": "closed" }));
        let open = beat("scrape", json!({ "circuit": "open" }));
        assert_eq!(
            instagram(Some(std::slice::from_ref(&closed))).status,
            Health::Healthy
        );
        assert_eq!(instagram(Some(&[closed, open])).status, Health::Degraded);
        assert_eq!(instagram(Some(&[])).status, Health::Degraded);
        assert_eq!(instagram(None).status, Health::Degraded);
    }
}
