//! A store, a sender, and receivers.

use std::sync::Arc;

use engine::{SharedClock, SystemClock};
use jiff::Timestamp;
use prometheus::Registry;
use schemas::{
    AnalysisResult, PostRef, Reason, Run, Submission,
    events::{
        result::{Failure, Outcome},
        submission::Origin,
    },
    identity::{RunCause, analysis_id},
    webhook::{Kind, secret, sign},
};
use store::{Attempted, SqliteStore, Store, StorePolicy, Webhook};
use tempfile::TempDir;
use trustcard_webhook::{Metrics, Sender, WebhookConfig};
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

pub const SECRET: &str = "the server's own secret";
pub const PATH: &str = "/hook";

/// A store of its own, and a sender on it.
pub struct World {
    pub store: Arc<dyn Store>,
    pub sender: Arc<Sender>,
    pub clock: SharedClock,
    pub config: WebhookConfig,
    _folder: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(WebhookConfig {
            allow_loopback: true,
            ..WebhookConfig::default()
        })
    }

    pub fn with(config: WebhookConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.db");
        let store = SqliteStore::open(&file, StorePolicy::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let clock: SharedClock = Arc::new(SystemClock);
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let sender = Sender::new(
            &config,
            SECRET.to_owned().into(),
            store.clone(),
            clock.clone(),
            metrics,
        );
        Self {
            sender: Arc::new(sender.unwrap()),
            store,
            clock,
            config,
            _folder: folder,
        }
    }

    /// A webhook of `holder` at a receiver.
    pub async fn webhook(&self, holder: &str, url: String, kinds: &[Kind]) -> Webhook {
        let webhook = Webhook {
            webhook_id: Uuid::new_v4(),
            holder: holder.to_owned(),
            url,
            kinds: kinds.iter().copied().collect(),
            created_at: self.clock.now(),
        };
        self.store.add_webhook(&webhook).await.unwrap();
        webhook
    }

    pub async fn log(&self, webhook: &Webhook) -> Vec<Attempted> {
        let id = webhook.webhook_id;
        self.store.attempts(id, 50, self.clock.now()).await.unwrap()
    }

    /// A submission of `holder`, claimed.
    pub async fn submit(&self, post_id: &str, holder: &str, origin: Origin) -> Submission {
        let submission = submission(post_id, holder, origin, self.clock.now());
        let event_id = Uuid::new_v4().to_string();
        let now = self.clock.now();
        self.store.claim(&submission, &event_id, now).await.unwrap();
        submission
    }

    /// The end of its run.
    pub async fn end(&self, submission: &Submission, outcome: Outcome) -> AnalysisResult {
        let now = self.clock.now();
        let mut result = AnalysisResult::failed(
            submission.analysis_id,
            submission.run,
            None,
            submission.post.clone(),
            Failure {
                code: Reason::PostUnavailable,
                message: "It is gone.".to_owned(),
                stage: "scrape".to_owned(),
            },
            now,
        );
        if outcome == Outcome::Completed {
            result.status = outcome;
            result.error = None;
            result.trust_score = Some(61.5);
            result.grade = Some("C".to_owned());
        }
        self.store.finish(&result, now).await.unwrap();
        result
    }
}

pub fn submission(post_id: &str, holder: &str, origin: Origin, now: Timestamp) -> Submission {
    Submission {
        analysis_id: analysis_id(post_id, now, schemas::identity::FRESHNESS_WINDOW_MS),
        run: Run {
            started_ms: now.as_millisecond(),
            cause: RunCause::Submission,
        },
        supersedes: None,
        post: PostRef::parse(&format!("https://www.instagram.com/p/{post_id}/"), 2_000).unwrap(),
        force: false,
        origin,
        owner: Some(holder.to_owned()),
    }
}

pub fn single() -> Origin {
    Origin::Single {
        request_id: Uuid::new_v4().to_string(),
    }
}

/// A receiver that answers every message so.
pub async fn receiver(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(PATH))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

pub fn address(server: &MockServer) -> String {
    format!("{}{PATH}", server.uri())
}

pub async fn received(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

/// Whether a receiver that knows the webhook's secret believes the request.
pub fn is_signed(request: &Request, webhook: &Webhook) -> bool {
    let text = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    let at = text("webhook-timestamp").parse().unwrap();
    let secret = secret(SECRET.as_bytes(), webhook.webhook_id);
    sign(&secret, &text("webhook-id"), at, &request.body) == Some(text("webhook-signature"))
}
