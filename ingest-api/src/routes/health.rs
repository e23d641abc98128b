//! GET /health: the state of everything the service needs. Each question is given up after a second, so that the answer comes
//! even when a dependency hangs. (/health/live and /health/ready are the engine's, the same in every role.)

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemas::topics;
use serde::Serialize;
use store::Heartbeat;
use utoipa::ToSchema;

use crate::state::AppState;

/// Longest wait for one dependency.
pub const PATIENCE: Duration = Duration::from_secs(1);

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
/// Stages without a living member and an open circuit to the upstream are `degraded`, with 200: what was accepted waits.
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
        ("stages", stages(beats)),
        ("instagram", instagram(beats)),
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

fn stages(beats: Option<&[Heartbeat]>) -> Check {
    let Some(beats) = beats else {
        return Check::new(Health::Degraded, "not known: the store does not tell");
    };
    let members = topics::STAGES.map(|stage| {
        let living = beats.iter().filter(|beat| beat.role == stage).count();
        (stage, living)
    });
    let told: Vec<String> = members
        .iter()
        .map(|(stage, living)| format!("{stage} {living}"))
        .collect();
    let message = format!("live members: {}", told.join(", "));
    if members.iter().all(|(_, living)| *living > 0) {
        Check::new(Health::Healthy, message)
    } else {
        Check::new(Health::Degraded, message)
    }
}

fn instagram(beats: Option<&[Heartbeat]>) -> Check {
    let Some(beats) = beats else {
        return Check::new(Health::Degraded, "not known: the store does not tell");
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
    fn a_stage_without_a_living_member_degrades() {
        let mut beats: Vec<_> = topics::STAGES.iter().map(|s| beat(s, json!({}))).collect();
        assert_eq!(stages(Some(&beats)).status, Health::Healthy);
        beats.retain(|beat| beat.role != "detect");
        let check = stages(Some(&beats));
        assert_eq!(check.status, Health::Degraded);
        assert!(check.message.contains("detect 0"), "{}", check.message);
        assert_eq!(stages(None).status, Health::Degraded);
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
