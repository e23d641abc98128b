//! POST and GET /api/reports/{analysis_id}/feedback: what readers think of a result, one vote a voter.

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use jiff::Timestamp;
use schemas::{FeedbackGiven, topics};
use serde::Serialize;
use store::{Opinion, Vote, VoteComment, VoteSummary, Votes};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    body::{Members, read_json},
    caller::Caller,
    error::{ApiError, FieldError},
    extract::AnalysisId,
    openapi::{refusals::Refusal, shapes::FeedbackRequest},
    state::AppState,
};

/// Newest comments that are shown.
pub const COMMENTS: usize = 10;

/// The answer to a vote, 201.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VoteTaken)]
pub struct Taken {
    /// The same in words.
    message: &'static str,
    /// The vote's own id.
    feedback_id: Uuid,
    /// All votes, this one included.
    summary: VoteSummary,
}

/// What readers think, 200.
#[derive(Debug, Serialize, ToSchema)]
pub struct Feedback {
    /// What they voted on.
    analysis_id: Uuid,
    /// All votes.
    summary: VoteSummary,
    /// The newest with a comment, newest first.
    recent_comments: Vec<Comment>,
}

/// Why somebody voted so.
#[derive(Debug, Serialize, ToSchema)]
struct Comment {
    /// What the voter thinks.
    vote_type: Opinion,
    /// Why.
    comment: String,
    /// When it was given.
    created_at: Timestamp,
}

impl From<VoteComment> for Comment {
    fn from(comment: VoteComment) -> Self {
        Self {
            vote_type: comment.opinion,
            comment: comment.comment,
            created_at: comment.at,
        }
    }
}

/// Say what you think of a result
///
/// One vote per voter and analysis: the voter is the holder of the key, or else the address, by a name from which nobody learns
/// either.
#[utoipa::path(
    post,
    path = "/api/reports/{analysis_id}/feedback",
    operation_id = "give_feedback",
    tag = "feedback",
    security((), ("key" = [])),
    params(("analysis_id" = Uuid, Path, description = "As it was answered to the submission.")),
    request_body(content = FeedbackRequest, examples(
        ("vote" = (summary = "A vote", value = json!({ "vote_type": "misleading", "comment": "The picture is from 2019." })))
    )),
    responses(
        (status = 201, description = "It was counted.", body = Taken),
        Refusal<400>,
        Refusal<404>,
        Refusal<409>,
        Refusal<413>,
        Refusal<415>,
        Refusal<422>
    )
)]
pub async fn give(
    State(state): State<AppState>,
    AnalysisId(analysis_id): AnalysisId,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<Taken>), ApiError> {
    let (limit, deadline) = (state.config.max_body_bytes, state.config.body_timeout());
    let body = read_json(request, limit, deadline).await?;
    let (opinion, comment) = parse(&body, state.config.max_comment_length)?;
    let feedback_id = take(&state, analysis_id, &caller, opinion, comment).await?;
    let taken = Taken {
        message: "Thank you, your vote was counted.",
        feedback_id,
        summary: votes(&state, analysis_id, 0).await?.summary,
    };
    Ok((StatusCode::CREATED, Json(taken)))
}

/// Takes a vote; its id.
///
/// # Errors
/// 404 when there is no such analysis, 409 when its voter has voted before, 500 when the store does not take it.
pub async fn take(
    state: &AppState,
    analysis_id: Uuid,
    caller: &Caller,
    opinion: Opinion,
    comment: Option<String>,
) -> Result<Uuid, ApiError> {
    must_exist(state, analysis_id).await?;
    let voter = match caller.holder() {
        Some(holder) => state.pseudonyms.of_holder("vote", &holder.name),
        None => state.pseudonyms.of_address("vote", caller.address),
    };
    let vote = Vote {
        feedback_id: Uuid::new_v4(),
        analysis_id,
        voter: hex::encode(voter),
        opinion,
        comment,
        at: state.clock.now(),
    };
    let taken = state
        .store
        .vote(&vote)
        .await
        .map_err(|error| ApiError::database("take vote", &error))?;
    if !taken {
        return Err(ApiError::conflict(
            "You have voted on this analysis before; that vote stands.",
        ));
    }
    state.metrics.voted(opinion);
    let feedback_id = vote.feedback_id;
    tell(state, vote).await;
    Ok(feedback_id)
}

/// Publishes a vote that was counted. One that the broker does not take stays counted: totals come from the store, and the voter
/// could not vote again. So readers of the topic may miss votes of a time when the broker was away.
async fn tell(state: &AppState, vote: Vote) {
    let given = FeedbackGiven {
        feedback_id: vote.feedback_id,
        analysis_id: vote.analysis_id,
        vote_type: vote.opinion,
        comment: vote.comment,
        given_at: vote.at,
    };
    let unpublished = |error: &dyn std::fmt::Display| {
        tracing::warn!(feedback_id = %given.feedback_id, %error, "a vote is counted but was not published");
    };
    let record = match schemas::encode(topics::FEEDBACK, &given) {
        Ok(record) => record,
        Err(error) => return unpublished(&error),
    };
    let reserved = match state.publisher.reserve(vec![record]) {
        Ok(reserved) => reserved,
        Err(error) => return unpublished(&error),
    };
    for answer in reserved.publish().await {
        if let Err(error) = answer {
            unpublished(&error);
        }
    }
}

/// What readers think of a result
///
/// All votes, and the ten newest comments.
#[utoipa::path(
    get,
    path = "/api/reports/{analysis_id}/feedback",
    operation_id = "get_feedback",
    tag = "feedback",
    params(("analysis_id" = Uuid, Path, description = "As it was answered to the submission.")),
    responses(
        (status = 200, description = "What they think now.", body = Feedback),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn read(
    State(state): State<AppState>,
    AnalysisId(analysis_id): AnalysisId,
) -> Result<Json<Feedback>, ApiError> {
    must_exist(&state, analysis_id).await?;
    let votes = votes(&state, analysis_id, COMMENTS).await?;
    Ok(Json(Feedback {
        analysis_id,
        summary: votes.summary,
        recent_comments: votes.comments.into_iter().map(Comment::from).collect(),
    }))
}

/// Asks the store itself: a vote on an analysis that another replica has just deleted would outlive it.
async fn must_exist(state: &AppState, id: Uuid) -> Result<(), ApiError> {
    let row = state.store.analysis(id, state.clock.now()).await;
    let row = row.map_err(|error| ApiError::database("read analysis", &error))?;
    row.map(|_| ()).ok_or_else(|| ApiError::no_analysis(id))
}

/// All votes on an analysis, and so many of the newest comments.
///
/// # Errors
/// 500 when the store does not tell.
pub async fn votes(state: &AppState, id: Uuid, comments: usize) -> Result<Votes, ApiError> {
    let votes = state.store.votes(id, comments, state.clock.now()).await;
    votes.map_err(|error| ApiError::database("count votes", &error))
}

fn parse(body: &[u8], longest: usize) -> Result<(Opinion, Option<String>), ApiError> {
    let members = Members::of(body)?;
    let opinion = members.string("vote_type").and_then(opinion);
    let comment = members
        .optional_string("comment")
        .and_then(|text| text.map_or(Ok(None), |text| comment(&text, longest)));
    both(opinion, comment)
}

/// A vote of these two, as a form sends them.
///
/// # Errors
/// 422 when one can't be.
pub fn parse_fields(
    vote_type: &str,
    text: &str,
    longest: usize,
) -> Result<(Opinion, Option<String>), ApiError> {
    both(opinion(vote_type.to_owned()), comment(text, longest))
}

fn both<A, B>(a: Result<A, FieldError>, b: Result<B, FieldError>) -> Result<(A, B), ApiError> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(ApiError::invalid(
            a.err().into_iter().chain(b.err()).collect(),
        )),
    }
}

fn opinion(text: String) -> Result<Opinion, FieldError> {
    Opinion::from_name(&text)
        .ok_or_else(|| FieldError::new("vote_type", text, "must be accurate, misleading or false"))
}

/// A comment without the white space around it; an empty one is none.
fn comment(text: &str, longest: usize) -> Result<Option<String>, FieldError> {
    let text = text.trim();
    let fault = |message: String| Err(FieldError::new("comment", text, message));
    let length = text.chars().count();
    if length > longest {
        return fault(format!("has {length} characters, {longest} are possible"));
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return fault("must not hold control characters".to_owned());
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(body: &str) -> Vec<String> {
        let error = parse(body.as_bytes(), 5).unwrap_err().body("r");
        let errors = error["details"]["errors"].as_array().unwrap().clone();
        let told = errors.iter().map(|one| {
            let text = |key: &str| one[key].as_str().unwrap().to_owned();
            format!("{}: {}", text("field"), text("message"))
        });
        told.collect()
    }

    #[test]
    fn a_vote_is_read_in_any_case_and_its_comment_without_white_space() {
        let read = |body: &str| parse(body.as_bytes(), 5).unwrap();
        assert_eq!(read(r#"{"vote_type":"FALSE"}"#), (Opinion::False, None));
        for (comment, kept) in [
            ("null", None),
            ("\"\"", None),
            ("\"  \\n \"", None),
            ("\" a b \"", Some("a b")),
            ("\"  12345  \"", Some("12345")),
            (
                "\"\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\"",
                Some("\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}"),
            ),
            ("\"a\\nb\"", Some("a\nb")),
        ] {
            let body = format!(r#"{{"vote_type":"Misleading","comment":{comment}}}"#);
            assert_eq!(read(&body), (Opinion::Misleading, kept.map(str::to_owned)));
        }
    }

    #[test]
    fn every_field_at_fault_is_told_at_once() {
        let missing = ["vote_type: is required"];
        assert_eq!(faults("{}"), missing);
        assert_eq!(faults(r#"{"vote_type":null}"#), missing);
        assert_eq!(
            faults(r#"{"vote_type":"maybe","comment":"123456"}"#),
            [
                "vote_type: must be accurate, misleading or false",
                "comment: has 6 characters, 5 are possible"
            ]
        );
        assert_eq!(
            faults(r#"{"vote_type":1,"comment":{}}"#),
            ["vote_type: must be a string", "comment: must be a string"]
        );
        for comment in ["a\\u0000", "\\u001b[2J", "\\u0085a"] {
            let body = format!(r#"{{"vote_type":"false","comment":"x{comment}"}}"#);
            assert_eq!(faults(&body).len(), 1, "{comment}");
        }
        let surrogate = r#"{"vote_type":"false","comment":"\ud800"}"#;
        assert_eq!(faults(surrogate), ["comment: must be a string"]);
        let twice = r#"{"vote_type":"false","vote_type":"accurate"}"#;
        assert_eq!(faults(twice), ["vote_type: is given more than once"]);
    }
}
