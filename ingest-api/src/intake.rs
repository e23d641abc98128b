//! The one way in: URL, post, analysis, submission; room at the broker, row, publish, and back out of what the broker did not
//! acknowledge. Both endpoints take it.

use jiff::Timestamp;
use schemas::{PostRef, Record, Run, Submission, events::submission::Origin, identity, topics};
use store::NewBatch;
use tracing::Instrument;
use uuid::Uuid;

use crate::{error::ApiError, state::AppState};

/// The submission of a post at `now`. `forced` is the salt of an analysis that must be a new one.
#[must_use]
pub fn submission(
    state: &AppState,
    post: PostRef,
    origin: Origin,
    forced: Option<&str>,
    now: Timestamp,
) -> Submission {
    let analysis_id: Uuid = match forced {
        Some(salt) => identity::forced_analysis_id(&post.post_id, salt),
        None => identity::analysis_id(&post.post_id, now, state.config.freshness_window_ms()),
    };
    Submission {
        analysis_id,
        run: Run::submitted(now),
        post,
        force: forced.is_some(),
        origin,
    }
}

/// Accepts submissions and says of each, in order, whether the broker acknowledged it. What it did not acknowledge leaves no
/// trace. Goes on to its end even if the caller hangs up, so that no row is left behind without its record.
///
/// # Errors
/// 503 when there is no room at the broker or it acknowledged nothing; 500 when the store did not take them. Nothing is
/// accepted then.
pub async fn accept(
    state: &AppState,
    submissions: Vec<Submission>,
    batch: Option<NewBatch>,
    now: Timestamp,
) -> Result<Vec<bool>, ApiError> {
    let state = state.clone();
    let work = async move { accept_all(&state, &submissions, batch.as_ref(), now).await };
    tokio::spawn(work.in_current_span())
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "intake broke");
            Err(ApiError::internal())
        })
}

async fn accept_all(
    state: &AppState,
    submissions: &[Submission],
    batch: Option<&NewBatch>,
    now: Timestamp,
) -> Result<Vec<bool>, ApiError> {
    let records = submissions
        .iter()
        .map(|submission| schemas::encode(topics::SUBMISSIONS, submission))
        .collect::<Result<Vec<Record>, _>>()
        .map_err(|error| {
            tracing::error!(%error, "a submission can't be written");
            ApiError::internal()
        })?;
    let reserved = state.publisher.reserve(records).map_err(|error| {
        tracing::warn!(%error, "submissions refused");
        ApiError::broker_unavailable()
    })?;
    state
        .store
        .accept(submissions, batch, now)
        .await
        .map_err(|error| ApiError::database("accept submissions", &error))?;

    let answers = reserved.publish().await;
    let acknowledged: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    let refused: Vec<Submission> = submissions
        .iter()
        .zip(&acknowledged)
        .filter(|(_, acknowledged)| !**acknowledged)
        .map(|(submission, _)| submission.clone())
        .collect();
    state
        .metrics
        .submitted
        .inc_by((submissions.len() - refused.len()) as u64);
    if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
        tracing::warn!(%error, refused = refused.len(), "the broker did not acknowledge submissions");
        if let Err(error) = state.store.retract(&refused).await {
            tracing::error!(%error, refused = refused.len(), "refused submissions could not be taken back");
        }
        if refused.len() == submissions.len() {
            return Err(ApiError::broker_unavailable());
        }
    }
    Ok(acknowledged)
}
