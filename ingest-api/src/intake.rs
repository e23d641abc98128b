//! The one way in: URL, post, analysis, submission; room at the broker, row, publish, and back out of what the broker did not
//! acknowledge. Both endpoints take it.

use std::borrow::Cow;

use engine::publisher::Reserved;
use jiff::Timestamp;
use schemas::{PostRef, Run, Submission, events::submission::Origin, identity, topics};
use store::NewBatch;
use tracing::Instrument;
use uuid::Uuid;

use crate::{error::ApiError, state::AppState};

/// The submission of a post at `now`. `owner` is the holder of the key it was sent with; `forced` is the salt of an analysis that must be a new one.
#[must_use]
pub fn submission(
    state: &AppState,
    post: PostRef,
    origin: Origin,
    owner: Option<String>,
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
        supersedes: None,
        post,
        force: forced.is_some(),
        origin,
        owner,
    }
}

/// Accepts the submissions the broker has room for and says of each of all, in order, whether the broker acknowledged it. What
/// it did not acknowledge leaves no trace; what it had no room for counts among the refused URLs of `batch`. The first `straight` of
/// them take the straight way, the others that of bulk. Goes on to its end even if the caller hangs up, so that no row is left behind
/// without its record.
///
/// # Errors
/// 503 when there is room for none at the broker or it acknowledged none; 500 when the store did not take them. Nothing is
/// accepted then.
pub async fn accept(
    state: &AppState,
    submissions: Vec<Submission>,
    straight: usize,
    batch: Option<NewBatch>,
    now: Timestamp,
) -> Result<Vec<bool>, ApiError> {
    let state = state.clone();
    let work = async move { accept_all(&state, &submissions, straight, batch, now).await };
    tokio::spawn(work.in_current_span())
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "intake broke");
            Err(ApiError::task(&error.id().to_string(), "intake"))
        })
}

async fn accept_all(
    state: &AppState,
    submissions: &[Submission],
    straight: usize,
    batch: Option<NewBatch>,
    now: Timestamp,
) -> Result<Vec<bool>, ApiError> {
    let (reserved, without_room) = reserve(state, submissions, straight)?;
    let mut acknowledged = vec![true; submissions.len()];
    for &place in &without_room {
        acknowledged[place] = false;
    }
    let submissions = kept(submissions, &acknowledged);
    let batch = batch.map(|batch| NewBatch {
        rejected: batch
            .rejected
            .saturating_add(u32::try_from(without_room.len()).unwrap_or(u32::MAX)),
        ..batch
    });
    state
        .store
        .accept(&submissions, batch.as_ref(), now)
        .await
        .map_err(|error| ApiError::database("accept submissions", &error))?;

    let answers = reserved.publish().await;
    let with_room = acknowledged.iter_mut().filter(|with_room| **with_room);
    for (acknowledged, answer) in with_room.zip(&answers) {
        *acknowledged = answer.is_ok();
    }
    let taken = acknowledged.iter().filter(|taken| **taken).count();
    state.metrics.submitted.inc_by(taken as u64);
    if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
        let failed: Vec<_> = answers.iter().map(Result::is_err).collect();
        let refused = kept(&submissions, &failed);
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

/// The submissions whose place is marked; all of them as they are where all are.
fn kept<'a>(submissions: &'a [Submission], marks: &[bool]) -> Cow<'a, [Submission]> {
    if marks.iter().all(|mark| *mark) {
        return Cow::Borrowed(submissions);
    }
    let marked = submissions.iter().zip(marks).filter(|(_, mark)| **mark);
    marked.map(|(submission, _)| submission.clone()).collect()
}

/// Asks the broker for the room of each on its own, so that one full partition does not refuse what goes to another. Beside what there is
/// room for: the places of those there is none for.
fn reserve(
    state: &AppState,
    submissions: &[Submission],
    straight: usize,
) -> Result<(Reserved, Vec<usize>), ApiError> {
    let encoded = submissions.iter().enumerate().map(|(place, submission)| {
        let topic = match place < straight {
            true => topics::SUBMISSIONS,
            false => topics::SUBMISSIONS_BULK,
        };
        schemas::encode(topic, submission)
    });
    let records = encoded.collect::<Result<_, _>>().map_err(|error| {
        tracing::error!(%error, "a submission can't be written");
        ApiError::internal()
    })?;
    let (reserved, refused) = state.publisher.reserve_each(records);
    if let Some((_, error)) = refused.last() {
        tracing::warn!(%error, refused = refused.len(), "no room for submissions");
        if refused.len() == submissions.len() {
            return Err(ApiError::broker_unavailable());
        }
    }
    Ok((
        reserved,
        refused.into_iter().map(|(place, _)| place).collect(),
    ))
}
