//! Bodies that have no type of their own elsewhere: requests are read member by member ([`crate::body`]), and some answers are
//! put together where they are written. Tests hold live answers against them.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Schemas of requests: their members need not all be there.
pub const REQUESTS: &[&str] = &[
    "AnalyzeRequest",
    "BatchRequest",
    "FeedbackRequest",
    "WebhookRequest",
];

/// The header that makes a request one that may be sent again.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyKeyHeader {
    /// 1 to 255 printable characters. For a day the same request with the same key is done once and its answer told again; another
    /// body with it is 422, and while the first is being worked on it is 409.
    #[param(
        rename = "Idempotency-Key",
        max_length = 255,
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    pub idempotency_key: Option<String>,
}

/// One event of a stream.
#[derive(Debug, ToSchema)]
pub struct ServerSentEvent {
    /// `progress`, and at the end `done`.
    pub event: String,
    /// What to send as Last-Event-ID after a cut.
    pub id: String,
    /// Wait so long before joining again, in milliseconds.
    pub retry: u32,
    /// A JSON document.
    pub data: String,
}

/// A post to look at.
#[derive(Debug, ToSchema)]
pub struct AnalyzeRequest {
    /// Address of the post. Scheme and host may be in any case; what follows `?` or `#` is dropped; /p/X and /reel/X are one post.
    #[schema(
        max_length = 2000,
        pattern = r"^https?://((www\.|m\.)?instagram\.com|instagr\.am)/(p|reel|reels|tv|[A-Za-z0-9_][A-Za-z0-9_.]{0,29}/(p|reel))/[A-Za-z0-9_-]{1,64}/?([?#][!-~]*)?$",
        example = "https://www.instagram.com/p/DTCsatire01/"
    )]
    pub url: String,
    /// Begin a new analysis even if there is one of this week.
    pub force: Option<bool>,
}

/// Posts to look at.
#[derive(Debug, ToSchema)]
pub struct BatchRequest {
    /// Addresses of posts. One that can't be taken becomes an entry of `rejected` and never fails the rest.
    #[schema(
        min_items = 1,
        max_items = 10_000,
        example = json!(["https://www.instagram.com/p/DTCsatire01/", "https://www.instagram.com/reel/DTCevents01/"])
    )]
    pub urls: Vec<String>,
}

/// Posts to look at, one a line: its address, or an object with `url` and the caller's `client_ref`. Empty lines count for nothing.
#[derive(Debug, ToSchema)]
#[schema(pattern = "[!-~]")]
pub struct BatchLines(pub String);

/// What a reader thinks of a result.
#[derive(Debug, ToSchema)]
pub struct FeedbackRequest {
    /// `accurate`, `misleading` or `false`, in any case.
    #[schema(
        pattern = "^([Aa][Cc][Cc][Uu][Rr][Aa][Tt][Ee]|[Mm][Ii][Ss][Ll][Ee][Aa][Dd][Ii][Nn][Gg]|[Ff][Aa][Ll][Ss][Ee])$",
        example = "misleading"
    )]
    pub vote_type: String,
    /// Why; surrounding white space is dropped, and nothing left is no comment.
    #[schema(
        max_length = 1000,
        pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$",
        example = "The picture is from 2019."
    )]
    pub comment: Option<String>,
}

/// Where to tell, and of what.
#[derive(Debug, ToSchema)]
pub struct WebhookRequest {
    /// Address that messages are posted to: https, a public host by its name, the usual port.
    #[schema(
        max_length = 2000,
        pattern = r"^https://[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(/[!-~]*)?$",
        example = "https://hooks.partner.example/trustcard"
    )]
    pub url: String,
    /// `analysis.completed`, `analysis.failed`, `batch.completed`; all of them when it is not given.
    #[schema(
        min_items = 1,
        max_items = 3,
        pattern = r"^(analysis\.completed|analysis\.failed|batch\.completed)$"
    )]
    pub events: Option<Vec<String>>,
}

/// What a probe is told.
#[derive(Debug, ToSchema)]
pub struct Probe {
    /// `alive`, `ready` or `not_ready`.
    pub status: String,
}

/// What operators are told. What is not known, because the store does not tell in time, is null.
#[derive(Debug, ToSchema)]
#[schema(as = SystemStatus)]
pub struct Status {
    /// What runs.
    pub application: Application,
    /// How it is set.
    pub configuration: Configuration,
    /// Analyses by status.
    pub database: Option<Analyses>,
    /// What is kept for reuse.
    pub cache: Option<crate::routes::cache::Stats>,
    /// Living members by role.
    pub stages: Option<BTreeMap<String, Members>>,
    /// The inference runtimes of the detect stage: one, unless its members disagree.
    pub runtime: Vec<Value>,
    /// Its models, likewise.
    pub models: Vec<Value>,
}

/// What runs.
#[derive(Debug, ToSchema)]
pub struct Application {
    /// APP_NAME.
    pub name: String,
    /// Of the binary.
    pub version: String,
    /// What it was built from; `unknown` where nobody said.
    pub commit: String,
    /// development, staging or production.
    pub environment: String,
}

/// How it is set.
#[derive(Debug, ToSchema)]
pub struct Configuration {
    /// RATE_LIMIT_ENABLED.
    pub rate_limiting_enabled: bool,
    /// ENABLE_METRICS.
    pub metrics_enabled: bool,
    /// DEBUG.
    pub debug_mode: bool,
}

/// Analyses by status.
#[derive(Debug, ToSchema)]
pub struct Analyses {
    /// All of them.
    pub total_analyses: u64,
    /// Ended with a score.
    pub completed: u64,
    /// Accepted, not begun.
    pub pending: u64,
    /// Begun.
    pub processing: u64,
    /// Ended without a score.
    pub failed: u64,
}

/// Living members of a role.
#[derive(Debug, ToSchema)]
pub struct Members {
    /// How many.
    pub members: u32,
    /// Their versions.
    pub versions: Vec<String>,
    /// Records that they are behind; null where no living member says.
    pub lag: Option<u64>,
}
