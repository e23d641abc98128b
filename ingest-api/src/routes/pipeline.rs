//! GET /pipeline: the stages as a flow, live, for operators.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use engine::lag::Lag;
use jiff::Timestamp;
use schemas::topics;
use serde::Serialize;
use store::Heartbeat;
use utoipa::ToSchema;

use super::{
    health::{PATIENCE, backlog, heartbeats},
    home::SCRIPT,
};
use crate::{accept::wants_json, error::ApiError, state::AppState};

/// Every stage, in the order in which records pass.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct Flow {
    /// When it was looked at.
    at: Timestamp,
    /// Whether signs of life could be read; where not, members and rates are null.
    store_answers: bool,
    /// Whether the broker told how far the stages are behind; where not, lag is null.
    broker_answers: bool,
    /// The stages.
    stages: Vec<Stage>,
}

/// One stage.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineStage)]
struct Stage {
    /// Its name.
    stage: &'static str,
    /// The topic it reads.
    input: &'static str,
    /// What it writes to: a topic, rows, or the receivers of webhooks.
    output: &'static str,
    /// How it is: `ok`, `behind`, `halted`, `dead` or `unknown`.
    state: &'static str,
    /// The same in words.
    told: String,
    /// Living members.
    members: Option<usize>,
    /// Records a second that they settled, over the last ten seconds or so.
    per_second: Option<f64>,
    /// Records that it has not processed, its retries included.
    lag: Option<i64>,
    /// Age of the oldest of them, in seconds.
    lag_seconds: Option<f64>,
    /// Records that its members work on.
    in_flight: Option<u64>,
    /// Dead letters that its members wrote since they began.
    dead_letters: Option<u64>,
}

/// The pipeline as a flow
///
/// For each stage what it reads and writes, how fast, how far behind in records and seconds, and its dead letters. JSON for who asks
/// for it, a page that keeps itself up to date for everybody else.
#[utoipa::path(
    get,
    path = "/pipeline",
    operation_id = "get_pipeline",
    tag = "monitoring",
    responses((status = 200, description = "What is known now.", content(
        (Flow = "application/json"),
        (String = "text/html")
    )))
)]
pub async fn pipeline(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let flow = Flow::of(&state).await;
    let mut response = if wants_json(&headers) {
        Json(flow).into_response()
    } else {
        state.pages.pipeline(&flow)?.into_response()
    };
    let varies = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, varies);
    Ok(response)
}

/// The script that keeps the page up to date.
pub async fn script() -> impl IntoResponse {
    (SCRIPT, include_str!("../../templates/pipeline.js"))
}

impl Flow {
    async fn of(state: &AppState) -> Self {
        let (beats, lag, halts) =
            tokio::join!(heartbeats(state), state.live_lag.now(), halts(state));
        let most = state.config.max_healthy_lag;
        let stages = topics::STAGES
            .iter()
            .zip(halts)
            .map(|(stage, halt)| Stage::of(stage, beats.as_deref(), lag.as_deref(), halt, most));
        Self {
            at: state.clock.now(),
            stages: stages.collect(),
            store_answers: beats.is_some(),
            broker_answers: lag.is_some(),
        }
    }
}

/// Why each stage stands still; `None` where it does not, or the store does not tell.
async fn halts(state: &AppState) -> [Option<String>; topics::STAGES.len()] {
    let mut halts = [const { None }; topics::STAGES.len()];
    for (stage, halt) in topics::STAGES.iter().zip(&mut halts) {
        let asked = tokio::time::timeout(PATIENCE, state.store.halted(stage)).await;
        let Ok(Ok(found)) = asked else { break };
        *halt = found.map(|found| found.reason);
    }
    halts
}

impl Stage {
    fn of(
        stage: &'static str,
        beats: Option<&[Heartbeat]>,
        lag: Option<&Lag>,
        halt: Option<String>,
        most: u64,
    ) -> Self {
        let members = beats.map(|beats| beats.iter().filter(|beat| beat.role == stage).count());
        let number = |name| beats.and_then(|beats| backlog(beats, stage, name));
        let (behind, seconds) = behind(stage, lag);
        let (state, told) = match (halt, members, behind) {
            (Some(reason), ..) => ("halted", format!("It stopped itself: {reason}")),
            (None, Some(0), _) => ("dead", "No member of it lives".to_owned()),
            (None, _, Some(lag)) if u64::try_from(lag).is_ok_and(|lag| lag > most) => {
                ("behind", format!("More than {most} records behind"))
            }
            (None, None, _) => ("unknown", "The store does not tell".to_owned()),
            (None, Some(_), _) => ("ok", "Running".to_owned()),
        };
        Self {
            stage,
            input: topics::input(stage).unwrap_or_default(),
            output: match stage {
                "admit" => topics::SUBMISSIONS,
                "scrape" => topics::POSTS,
                "detect" => topics::DETECTIONS,
                "score" => topics::RESULTS,
                "webhook" => "receivers",
                _ => "rows",
            },
            state,
            told,
            members,
            per_second: beats.and_then(|beats| rate(beats, stage)),
            lag: behind,
            lag_seconds: seconds,
            in_flight: number("in_flight"),
            dead_letters: number("dead_letters"),
        }
    }
}

/// The sum of the rates that living members tell.
fn rate(beats: &[Heartbeat], stage: &str) -> Option<f64> {
    let members = beats.iter().filter(|beat| beat.role == stage);
    let rates = members.filter_map(|beat| beat.details.get("per_second")?.as_f64());
    rates.reduce(|a, b| a + b)
}

/// Lag of a stage's group in records and seconds, as far as every partition of it is known.
fn behind(stage: &str, lag: Option<&Lag>) -> (Option<i64>, Option<f64>) {
    let name = topics::group(stage);
    let groups = lag.map_or(&[][..], |lag| &lag.groups);
    let Some(group) = groups.iter().find(|group| group.group == name) else {
        return (None, None);
    };
    let known = group.problem.is_none();
    let records = group.partitions.iter().map(|partition| partition.lag);
    let seconds = group
        .partitions
        .iter()
        .map(|partition| partition.lag_seconds);
    let sum = records.sum::<Option<i64>>().filter(|_| known);
    let oldest = seconds
        .collect::<Option<Vec<f64>>>()
        .filter(|_| known)
        .map(|ages| ages.into_iter().fold(0.0, f64::max));
    (sum, oldest)
}

#[cfg(test)]
mod tests {
    use engine::lag::{GroupLag, PartitionLag, State as Said};
    use serde_json::json;

    use super::*;

    fn beat(role: &str, per_second: f64) -> Heartbeat {
        Heartbeat {
            role: role.to_owned(),
            instance: "i".to_owned(),
            version: "0".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            details: json!({ "per_second": per_second, "in_flight": 2, "dead_letters": 1 }),
        }
    }

    fn lag(of: &[(Option<i64>, Option<f64>)]) -> Lag {
        let partition = |(lag, lag_seconds): &(Option<i64>, Option<f64>)| PartitionLag {
            topic: topics::POSTS.to_owned(),
            partition: 0,
            committed: None,
            log_start: None,
            last_stable: None,
            end: None,
            lag: *lag,
            exact: true,
            lag_seconds: *lag_seconds,
            state: Said::Ok,
        };
        Lag {
            at: Timestamp::UNIX_EPOCH,
            groups: vec![GroupLag {
                group: topics::group("detect"),
                problem: None,
                partitions: of.iter().map(partition).collect(),
            }],
            problem: None,
        }
    }

    #[test]
    fn members_are_summed_and_the_oldest_record_counts() {
        let beats = [beat("detect", 1.5), beat("detect", 2.0), beat("score", 9.0)];
        let lag = lag(&[(Some(3), Some(0.5)), (Some(4), Some(2.0))]);
        let stage = Stage::of("detect", Some(&beats), Some(&lag), None, 10);
        assert_eq!((stage.state, stage.members), ("ok", Some(2)));
        assert_eq!((stage.lag, stage.lag_seconds), (Some(7), Some(2.0)));
        assert_eq!(stage.per_second, Some(3.5));
        assert_eq!((stage.in_flight, stage.dead_letters), (Some(4), Some(2)));
        let behind = Stage::of("detect", Some(&beats), Some(&lag), None, 6);
        assert_eq!(behind.state, "behind");
    }

    #[test]
    fn what_is_not_known_is_null_and_trouble_is_told() {
        let halt = Some("10 of 10 failed".to_owned());
        let halted = Stage::of("detect", Some(&[]), None, halt, 10);
        assert_eq!(halted.state, "halted");
        assert!(halted.told.contains("10 of 10"), "{}", halted.told);
        assert_eq!(Stage::of("detect", Some(&[]), None, None, 10).state, "dead");
        let unknown = Stage::of("detect", None, None, None, 10);
        assert_eq!((unknown.state, unknown.lag), ("unknown", None));
        let partly = lag(&[(Some(3), None), (None, Some(1.0))]);
        assert_eq!(behind("detect", Some(&partly)), (None, None));
        assert_eq!(behind("score", Some(&partly)), (None, None));
    }
}
