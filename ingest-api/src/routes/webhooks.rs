//! Where the holder of a key wants to be told that analyses and batches have ended: made, listed and dropped, and what became of each
//! attempt. They are told by the webhook role (`consumers/webhook`).

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use jiff::Timestamp;
use schemas::webhook::{Kind, secret};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use store::{Attempted, Webhook};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    body::{Members, echo, read_json, string},
    caller::Caller,
    error::{ApiError, FieldError},
    extract::WebhookId,
    openapi::{refusals::Refusal, shapes::WebhookRequest},
    state::AppState,
};

/// Most webhooks of a holder.
pub const MOST: usize = 5;
/// Newest attempts that are shown.
const ATTEMPTS: u32 = 100;
/// Longest address, in characters.
const LONGEST_URL: usize = 2_000;

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// Its id.
    webhook_id: Uuid,
    /// Where messages are posted.
    url: String,
    /// What it is told of.
    events: Vec<&'static str>,
    /// When it was made.
    created_at: Timestamp,
}

impl WebhookView {
    fn of(webhook: Webhook) -> Self {
        Self {
            webhook_id: webhook.webhook_id,
            url: webhook.url,
            events: webhook.kinds.iter().map(|kind| kind.name()).collect(),
            created_at: webhook.created_at,
        }
    }
}

/// A new webhook, 201.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookMade {
    /// The webhook.
    #[serde(flatten)]
    webhook: WebhookView,
    /// By this the receiver checks signatures (Standard Webhooks, HMAC-SHA256). Shown once.
    secret: String,
}

/// The holder's webhooks, 200.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookList {
    /// By age.
    webhooks: Vec<WebhookView>,
}

/// What became of attempts, 200.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deliveries {
    /// The newest first, at most 100.
    deliveries: Vec<Delivery>,
}

/// An attempt to tell.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    /// The message, `webhook-id`: the same in each of its attempts.
    message_id: Uuid,
    /// What it tells of.
    event: &'static str,
    /// The analysis or the batch.
    subject: Uuid,
    /// Which attempt it was, from 1.
    attempt: u32,
    /// When.
    at: Timestamp,
    /// The HTTP status that was answered; null when nothing was.
    status: Option<u16>,
    /// What went wrong; null when the message was taken.
    problem: Option<String>,
}

impl From<Attempted> for Delivery {
    fn from(attempt: Attempted) -> Self {
        Self {
            message_id: attempt.message_id,
            event: attempt.kind.name(),
            subject: attempt.subject,
            attempt: attempt.attempt,
            at: attempt.at,
            status: attempt.status,
            problem: attempt.problem,
        }
    }
}

/// Be told when analyses and batches end
///
/// From then on a message is posted to the address when an analysis that the holder submitted ends, and when a batch that is submitted from now on
/// does. Messages and their signatures are those of Standard Webhooks; the secret is shown in this answer alone. A receiver answers 2xx
/// within ten seconds; otherwise the message is sent again over hours, under the same `webhook-id`. 410 drops the webhook.
#[utoipa::path(
    post,
    path = "/api/webhooks",
    operation_id = "create_webhook",
    tag = "webhooks",
    security(("key" = [])),
    request_body = WebhookRequest,
    responses(
        (status = 201, description = "It is made.", body = WebhookMade),
        Refusal<400>,
        Refusal<401>,
        Refusal<409>,
        Refusal<413>,
        Refusal<415>,
        Refusal<422>
    )
)]
pub async fn create(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<WebhookMade>), ApiError> {
    let holder = holder(&caller)?;
    let (limit, deadline) = (state.config.max_body_bytes, state.config.body_timeout());
    let body = read_json(request, limit, deadline).await?;
    let (url, kinds) = parse(&state, &body)?;
    if of_holder(&state, &holder).await?.len() >= MOST {
        return Err(ApiError::conflict(
            "There are 5 webhooks of this holder, and no more are possible; drop one first.",
        ));
    }
    let webhook = Webhook {
        webhook_id: Uuid::new_v4(),
        holder,
        url,
        kinds,
        created_at: state.clock.now(),
    };
    let made = state.store.add_webhook(&webhook).await;
    made.map_err(|error| ApiError::database("make webhook", &error))?;
    let key = state.config.secret_key.expose_secret().as_bytes();
    let secret = secret(key, webhook.webhook_id);
    let made = WebhookMade {
        webhook: WebhookView::of(webhook),
        secret,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Your webhooks
///
/// By age; their secrets were shown when they were made.
#[utoipa::path(
    get,
    path = "/api/webhooks",
    operation_id = "list_webhooks",
    tag = "webhooks",
    security(("key" = [])),
    responses(
        (status = 200, description = "The webhooks of the holder.", body = WebhookList),
        Refusal<401>
    )
)]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<WebhookList>, ApiError> {
    let holder = holder(&caller)?;
    let webhooks = of_holder(&state, &holder).await?;
    Ok(Json(WebhookList {
        webhooks: webhooks.into_iter().map(WebhookView::of).collect(),
    }))
}

/// Be told no more
///
/// Messages that are on their way may still arrive.
#[utoipa::path(
    delete,
    path = "/api/webhooks/{webhook_id}",
    operation_id = "delete_webhook",
    tag = "webhooks",
    security(("key" = [])),
    params(("webhook_id" = Uuid, Path, description = "As it was answered when it was made.")),
    responses(
        (status = 200, description = "It is dropped.", body = WebhookView),
        Refusal<401>,
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<WebhookId, ApiError>,
) -> Result<Json<WebhookView>, ApiError> {
    let holder = holder(&caller)?;
    let WebhookId(id) = id?;
    let webhook = one(&state, &holder, id).await?;
    let dropped = state.store.drop_webhook(id).await;
    dropped.map_err(|error| ApiError::database("drop webhook", &error))?;
    Ok(Json(WebhookView::of(webhook)))
}

/// What became of messages
///
/// One entry an attempt, kept for 30 days.
#[utoipa::path(
    get,
    path = "/api/webhooks/{webhook_id}/deliveries",
    operation_id = "list_deliveries",
    tag = "webhooks",
    security(("key" = [])),
    params(("webhook_id" = Uuid, Path, description = "As it was answered when it was made.")),
    responses(
        (status = 200, description = "The newest attempts.", body = Deliveries),
        Refusal<401>,
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn deliveries(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<WebhookId, ApiError>,
) -> Result<Json<Deliveries>, ApiError> {
    let holder = holder(&caller)?;
    let WebhookId(id) = id?;
    one(&state, &holder, id).await?;
    let attempts = state.store.attempts(id, ATTEMPTS, state.clock.now()).await;
    let attempts = attempts.map_err(|error| ApiError::database("read deliveries", &error))?;
    Ok(Json(Deliveries {
        deliveries: attempts.into_iter().map(Delivery::from).collect(),
    }))
}

fn holder(caller: &Caller) -> Result<String, ApiError> {
    caller
        .owner()
        .ok_or_else(|| ApiError::unauthorized("A webhook"))
}

async fn of_holder(state: &AppState, holder: &str) -> Result<Vec<Webhook>, ApiError> {
    let webhooks = state.store.webhooks().await;
    let mut webhooks = webhooks.map_err(|error| ApiError::database("read webhooks", &error))?;
    webhooks.retain(|webhook| webhook.holder == holder);
    Ok(webhooks)
}

/// That of another holder is none.
async fn one(state: &AppState, holder: &str, id: Uuid) -> Result<Webhook, ApiError> {
    let webhooks = of_holder(state, holder).await?;
    let found = webhooks
        .into_iter()
        .find(|webhook| webhook.webhook_id == id);
    found
        .ok_or_else(|| ApiError::not_found("webhook", &id.to_string(), "There is no such webhook."))
}

/// Address and kinds; every fault of both.
fn parse(state: &AppState, body: &[u8]) -> Result<(String, BTreeSet<Kind>), ApiError> {
    let members = Members::of(body)?;
    let mut faults = Vec::new();
    let url = members.string("url").and_then(|url| address(state, url));
    let kinds = kinds(&members);
    let url = url.map_err(|fault| faults.push(fault));
    let kinds = kinds.map_err(|found| faults.extend(found));
    match (url, kinds) {
        (Ok(url), Ok(kinds)) => Ok((url, kinds)),
        _ => Err(ApiError::invalid(faults)),
    }
}

fn address(state: &AppState, text: String) -> Result<String, FieldError> {
    let length = text.chars().count();
    if length > LONGEST_URL {
        let message = format!("has {length} characters, {LONGEST_URL} are possible");
        return Err(FieldError::new("url", text, message));
    }
    match state.webhook_addresses.parse(&text) {
        Ok(url) => Ok(url.into()),
        Err(error) => Err(FieldError::new(
            "url",
            text,
            format!("must be the https address of a public host: {error}"),
        )),
    }
}

/// Every kind where none is named.
fn kinds(members: &Members<'_>) -> Result<BTreeSet<Kind>, Vec<FieldError>> {
    if members
        .get("events")
        .map_err(|fault| vec![fault])?
        .is_none()
    {
        return Ok(Kind::ALL.into());
    }
    let items = members
        .list("events", Kind::ALL.len())
        .map_err(|fault| vec![fault])?;
    let wrong = |value: Value, message: &str| FieldError::new("events", value, message);
    if items.count == 0 || items.count > Kind::ALL.len() {
        let message = "must hold one to three kinds of event";
        return Err(vec![wrong(Value::Null, message)]);
    }
    let (mut kinds, mut faults) = (BTreeSet::new(), Vec::new());
    for item in items.first {
        match string(item).and_then(|name| Kind::from_name(&name)) {
            Some(kind) => _ = kinds.insert(kind),
            None => faults.push(wrong(
                echo(item).into(),
                "must be analysis.completed, analysis.failed or batch.completed",
            )),
        }
    }
    if faults.is_empty() {
        Ok(kinds)
    } else {
        Err(faults)
    }
}
