//! /api/reports/{analysis_id}: the report card, its form, its pictures.

use axum::{
    body::Bytes,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use uuid::Uuid;

use super::feedback;
use crate::{
    caller::Caller,
    error::{ApiError, Code},
    extract::AnalysisId,
    openapi::refusals::Refusal,
    pages::{self, Notice, Page, Readers, form::Form, preview::Preview},
    state::AppState,
};

/// Media types of pictures that browsers show and that can hold no script.
const PICTURES: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/// A file that somebody else made is shown as a picture or not at all, on our own pages alone.
const CONFINED: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox; frame-ancestors 'none'",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (header::CACHE_CONTROL, "private, max-age=3600"),
];

/// Query of a card after a vote.
const COUNTED: &str = "vote=counted";

/// One analysis as a page
///
/// A card for people: score, what was checked, every reason, the text with what was found in it, pictures, sources, and what readers
/// think. It needs no script. To browsers errors are pages too.
#[utoipa::path(
    get,
    path = "/api/reports/{analysis_id}",
    operation_id = "get_report",
    tag = "results",
    params(("analysis_id" = Uuid, Path, description = "As it was answered to the submission.")),
    responses(
        (status = 200, description = "The page, whatever the state of the analysis.", body = String, content_type = "text/html"),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn report(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
    RawQuery(query): RawQuery,
) -> Result<Page, ApiError> {
    let (row, readers) = tokio::join!(state.analysis(id), readers(&state, id));
    let readers = match query.as_deref() {
        Some(COUNTED) => readers.with(Notice::Counted, ""),
        _ => readers,
    };
    state.pages.report(&*row?, &state.policy, &readers)
}

/// The card is worth reading without them.
async fn readers(state: &AppState, id: Uuid) -> Readers {
    let votes = feedback::votes(state, id, feedback::COMMENTS).await.ok();
    Readers::of(votes.as_ref(), state.config.max_comment_length)
}

/// The card's form, sent without a script: takes a vote and goes back to the card. What is wrong with it is told on the card, which
/// keeps the comment.
pub async fn vote(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (limit, deadline) = (state.config.max_body_bytes, state.config.body_timeout());
    let form = Form::read(request, limit, deadline).await?;
    let (opinion, comment) = (form.field("vote_type"), form.field("comment"));
    let longest = state.config.max_comment_length;
    let taken = match feedback::parse_fields(&opinion, &comment, longest) {
        Ok((opinion, comment)) => feedback::take(&state, id, &caller, opinion, comment).await,
        Err(error) => Err(error),
    };
    let error = match taken {
        Ok(_) => {
            let card = format!("/api/reports/{id}?{COUNTED}#readers");
            return Ok(Redirect::to(&card).into_response());
        }
        Err(error) if [Code::Conflict, Code::InvalidInput].contains(&error.code()) => error,
        Err(error) => return Err(error),
    };
    let (row, readers) = tokio::join!(state.analysis(id), readers(&state, id));
    let why = match error.code() {
        Code::InvalidInput if opinion.is_empty() => "Choose one of the three first.".to_owned(),
        _ => error.message().to_owned(),
    };
    let readers = readers.with(Notice::Refused { why }, &comment);
    let page = state.pages.report(&*row?, &state.policy, &readers)?;
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Ok((status, page).into_response())
}

/// A picture of the post, as it was fetched: `{index}` is its place among the post's media.
pub async fn picture(
    State(state): State<AppState>,
    Path((id, index)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let no_picture = || {
        ApiError::not_found(
            "picture",
            &index,
            "There is no such picture, or it is not kept any more.",
        )
    };
    let id = Uuid::try_parse(&id).map_err(|_| no_picture())?;
    let index: u32 = index.parse().map_err(|_| no_picture())?;
    let row = state.analysis(id).await?;
    let result = row.current_result(&state.policy).ok_or_else(no_picture)?;
    let media = pages::media(result).into_iter();
    // A video is no picture; its still has the same place.
    let mut blobs = media
        .filter(|file| file.media_index == index)
        .filter_map(|file| file.blob);
    let blob = blobs
        .find(|blob| PICTURES.contains(&blob.content_type.as_str()))
        .ok_or_else(no_picture)?;
    let bytes: Bytes = state.blobs.get(&blob).await.map_err(|error| {
        // Files go by their own retention, and where an API has no way to them, cards have no pictures.
        tracing::debug!(%error, "a picture is not shown");
        no_picture()
    })?;
    let media_type = [(header::CONTENT_TYPE, blob.content_type)];
    Ok((CONFINED, media_type, bytes).into_response())
}

/// The card as a picture, for where its address is shared.
pub async fn preview(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
) -> Result<Response, ApiError> {
    let row = state.analysis(id).await?;
    let preview = Preview::of(&row, &state.policy, &state.config.app_name);
    let drawn = tokio::task::spawn_blocking(move || preview.png()).await;
    let png = drawn.map_err(|error| {
        tracing::error!(%error, "a preview can't be drawn");
        ApiError::internal()
    })?;
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    Ok((headers, png).into_response())
}
