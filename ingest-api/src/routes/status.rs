//! GET /status: version, settings and counts, for operators.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, extract::State};
use serde_json::{Value, json};
use store::Heartbeat;

use super::{
    cache,
    health::{PATIENCE, backlog, heartbeats},
};
use crate::{openapi::shapes, state::AppState};

/// Version, settings and counts
///
/// Answers within a second or two even when the store hangs; what is not known then is null.
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "get_status",
    tag = "monitoring",
    responses((status = 200, description = "What is known now.", body = shapes::Status))
)]
pub async fn status(State(state): State<AppState>) -> Json<Value> {
    let counting = async {
        let asked = state.store.totals(state.clock.now());
        tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
    };
    let (totals, beats, cache) =
        tokio::join!(counting, heartbeats(&state), cache::told_in_time(&state));
    let database = totals.map(|totals| {
        json!({
            "total_analyses": totals.sum(),
            "completed": totals.completed,
            "pending": totals.pending,
            "processing": totals.processing,
            "failed": totals.failed,
        })
    });
    let detail = |key| {
        beats
            .as_deref()
            .map_or_else(Vec::new, |beats| details(beats, key))
    };
    Json(json!({
        "application": {
            "name": state.config.app_name,
            "version": state.version,
            "commit": state.commit,
            "environment": state.config.environment.name(),
        },
        "configuration": {
            "rate_limiting_enabled": state.config.rate_limit.enabled,
            "metrics_enabled": state.config.enable_metrics,
            "debug_mode": state.config.debug_mode(),
        },
        "database": database,
        "cache": cache,
        "stages": beats.as_deref().map(roles),
        "runtime": detail("runtime"),
        "models": detail("models"),
    }))
}

/// Living members, their versions and how far they are behind, by role. Instance names stay inside.
fn roles(beats: &[Heartbeat]) -> Value {
    let mut roles: BTreeMap<&str, (u32, BTreeSet<&str>)> = BTreeMap::new();
    for beat in beats {
        let (members, versions) = roles.entry(&beat.role).or_default();
        *members += 1;
        versions.insert(&beat.version);
    }
    roles
        .into_iter()
        .map(|(role, (members, versions))| {
            let lag = backlog(beats, role, "lag");
            let told = json!({ "members": members, "versions": versions, "lag": lag });
            (role.to_owned(), told)
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The different values that detect's members report under `key`: one, unless they disagree.
fn details(beats: &[Heartbeat], key: &str) -> Vec<Value> {
    let mut values = Vec::new();
    for beat in beats.iter().filter(|beat| beat.role == "detect") {
        if let Some(value) = beat.details.get(key)
            && !values.contains(value)
        {
            values.push(value.clone());
        }
    }
    values
}
