//! The one way in: URL, post, analysis, submission; room at the broker, row, publish, and back out of what the broker did not
//! acknowledge. Both endpoints take it.

use engine::publisher::Reserved;
use futures::future::join_all;
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
    let work = async move { accept_all(&state, submissions, straight, batch, now).await };
    tokio::spawn(work.in_current_span())
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "intake broke");
            Err(ApiError::task(&error.id().to_string(), "intake"))
        })
}

async fn accept_all(
    state: &AppState,
    submissions: Vec<Submission>,
    straight: usize,
    batch: Option<NewBatch>,
    now: Timestamp,
) -> Result<Vec<bool>, ApiError> {
    let mut acknowledged = vec![false; submissions.len()];
    let Roomy {
        places,
        submissions,
        reserved,
    } = Roomy::of(state, submissions, straight)?;
    let without_room = acknowledged.len() - submissions.len();
    let batch = batch.map(|batch| NewBatch {
        rejected: batch
            .rejected
            .saturating_add(u32::try_from(without_room).unwrap_or(u32::MAX)),
        ..batch
    });
    state
        .store
        .accept(&submissions, batch.as_ref(), now)
        .await
        .map_err(|error| ApiError::database("accept submissions", &error))?;

    let answers = join_all(reserved.into_iter().map(Reserved::publish)).await;
    let mut refused = Vec::new();
    for ((place, submission), answer) in places.into_iter().zip(&submissions).zip(&answers) {
        acknowledged[place] = answer.iter().all(Result::is_ok);
        if !acknowledged[place] {
            refused.push(submission.clone());
        }
    }
    state
        .metrics
        .submitted
        .inc_by((submissions.len() - refused.len()) as u64);
    if let Some(error) = answers
        .iter()
        .flatten()
        .find_map(|answer| answer.as_ref().err())
    {
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

/// The submissions that the broker has room for, in their order; the three lists run side by side.
struct Roomy {
    /// Their places among all.
    places: Vec<usize>,
    submissions: Vec<Submission>,
    reserved: Vec<Reserved>,
}

impl Roomy {
    /// Asks for the room of each on its own, so that one full partition does not refuse what goes to another.
    fn of(state: &AppState, all: Vec<Submission>, straight: usize) -> Result<Self, ApiError> {
        let count = all.len();
        let mut roomy = Self {
            places: Vec::with_capacity(count),
            submissions: Vec::with_capacity(count),
            reserved: Vec::with_capacity(count),
        };
        let mut full = None;
        for (place, submission) in all.into_iter().enumerate() {
            let topic = match place < straight {
                true => topics::SUBMISSIONS,
                false => topics::SUBMISSIONS_BULK,
            };
            let record = schemas::encode(topic, &submission).map_err(|error| {
                tracing::error!(%error, "a submission can't be written");
                ApiError::internal()
            })?;
            match state.publisher.reserve(vec![record]) {
                Ok(reserved) => {
                    roomy.places.push(place);
                    roomy.submissions.push(submission);
                    roomy.reserved.push(reserved);
                }
                Err(error) => full = Some(error),
            }
        }
        if let Some(error) = full {
            tracing::warn!(%error, refused = count - roomy.places.len(), "no room for submissions");
            if roomy.places.is_empty() {
                return Err(ApiError::broker_unavailable());
            }
        }
        Ok(roomy)
    }
}
