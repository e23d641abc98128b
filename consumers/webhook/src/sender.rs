//! One message to one webhook: signed by Standard Webhooks, logged, and never again once its receiver took it.
//!
//! A message takes a key before it is sent, the way requests with an `Idempotency-Key` do, and keeps it once it was taken. So of many
//! instances one sends it, and a redo of the stage sends nothing again. A process that dies between the answer and the key's end leaves it
//! open for [`store::StorePolicy::in_flight_s`]; then it is sent again, under the same `webhook-id`.

use std::{sync::Arc, time::Duration};

use engine::SharedClock;
use jiff::Timestamp;
use outbound::{
    ClientError, HttpClient, Method, SystemLookup, UrlPolicy, header::CONTENT_TYPE, retry_after,
};
use schemas::webhook::{
    Data, ID_HEADER, Notification, SIGNATURE_HEADER, TIMESTAMP_HEADER, secret, sign,
};
use secrecy::{ExposeSecret, SecretString};
use store::{Attempted, Begun, KeptAnswer, KeyedRequest, Store, StoreError, Turn, Webhook};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use crate::{
    config::WebhookConfig,
    metrics::{End, Metrics},
    rest::Rests,
};

/// Whose keys messages take. No holder of a key has this name: it has a colon.
const OWNER: &str = "trustcard:webhook";
/// The receiver wants to be told no more.
const GONE: u16 = 410;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Its receiver has it, or wants none.
    Done,
    /// It is to be tried again, after this time at the earliest.
    Later(Option<Duration>),
}

/// Sends messages.
pub struct Sender {
    http: HttpClient,
    policy: UrlPolicy,
    config: WebhookConfig,
    secret_key: SecretString,
    store: Arc<dyn Store>,
    clock: SharedClock,
    rests: Rests,
    metrics: Metrics,
}

/// Why nothing was taken.
struct Refused {
    status: Option<u16>,
    problem: String,
    after: Option<Duration>,
}

impl Sender {
    /// A sender that signs with what is derived from the server's `secret_key`.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(
        config: &WebhookConfig,
        secret_key: SecretString,
        store: Arc<dyn Store>,
        clock: SharedClock,
        metrics: Metrics,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            http: HttpClient::new(&config.client(), Arc::new(SystemLookup))?,
            policy: config.policy(),
            rests: Rests::new(config.rest_after, Duration::from_millis(config.rest_ms)),
            config: config.clone(),
            secret_key,
            store,
            clock,
            metrics,
        })
    }

    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Tells one webhook.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn tell(
        &self,
        webhook: &Webhook,
        message: &Notification,
    ) -> Result<Told, StoreError> {
        let message_id = message.id(webhook.webhook_id);
        let request = KeyedRequest {
            owner: OWNER.to_owned(),
            key: message_id.to_string(),
            fingerprint: webhook.webhook_id.to_string(),
            token: Uuid::new_v4(),
        };
        if let Some(left) = self.rests.left(webhook.webhook_id) {
            return Ok(Told::Later(Some(left)));
        }
        let turn = match self.store.begin(&request, self.clock.now()).await? {
            Begun::Own(turn) => turn,
            Begun::InFlight => return Ok(Told::Later(None)),
            Begun::Answered(_) | Begun::Other => return Ok(Told::Done),
        };
        let began = Instant::now();
        let ended = self.post(webhook, message_id, message).await;
        let seconds = began.elapsed().as_secs_f64();
        let now = self.clock.now();
        self.log(webhook, message_id, message, &turn, &ended, now)
            .await?;
        self.rests.tried(webhook.webhook_id, ended.is_ok());
        let (taken, status, after) = match ended {
            Ok(status) => (true, status, None),
            Err(refused) => (false, refused.status.unwrap_or(0), refused.after),
        };
        if status == GONE {
            tracing::info!(webhook_id = %webhook.webhook_id, "the receiver answered that it is gone; its webhook is dropped");
            self.store.drop_webhook(webhook.webhook_id).await?;
        }
        let done = taken || status == GONE;
        let end = if taken { End::Taken } else { End::Failed };
        self.metrics.tried(message.kind, end, seconds);
        let answer = done.then(|| KeptAnswer {
            status,
            body: Vec::new(),
        });
        self.store
            .end(&request, turn.attempt, answer.as_ref(), now)
            .await?;
        Ok(if done { Told::Done } else { Told::Later(after) })
    }

    /// The status of a receiver that took it.
    async fn post(
        &self,
        webhook: &Webhook,
        message_id: Uuid,
        message: &Notification,
    ) -> Result<u16, Refused> {
        let wrong = |problem: String| Refused {
            status: None,
            problem,
            after: None,
        };
        let body = serde_json::to_vec(message).map_err(|error| wrong(error.to_string()))?;
        let url = Url::parse(&webhook.url).map_err(|error| wrong(error.to_string()))?;
        let secret = secret(
            self.secret_key.expose_secret().as_bytes(),
            webhook.webhook_id,
        );
        let (id, at_s) = (message_id.to_string(), self.clock.now().as_second());
        let signature = sign(&secret, &id, at_s, &body)
            .ok_or_else(|| wrong("the message could not be signed".to_owned()))?;
        let request = self
            .http
            .request(Method::POST, url)
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, at_s.to_string())
            .header(SIGNATURE_HEADER, signature)
            .body(body)
            .build()
            .map_err(|error| wrong(error.without_url().to_string()))?;
        let answered = self
            .http
            .send(request, &self.policy, self.config.timeout())
            .await;
        match answered {
            Ok((status, _)) if status.is_success() => Ok(status.as_u16()),
            Ok((status, headers)) => Err(Refused {
                status: Some(status.as_u16()),
                problem: format!("the receiver answered {}", status.as_u16()),
                after: retry_after(&headers),
            }),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    async fn log(
        &self,
        webhook: &Webhook,
        message_id: Uuid,
        message: &Notification,
        turn: &Turn,
        ended: &Result<u16, Refused>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (status, problem) = match ended {
            Ok(status) => (Some(*status), None),
            Err(refused) => (refused.status, Some(refused.problem.clone())),
        };
        let subject = match &message.data {
            Data::Analysis(end) => end.analysis_id,
            Data::Batch(end) => end.batch_id,
        };
        let attempt = Attempted {
            webhook_id: webhook.webhook_id,
            message_id,
            kind: message.kind,
            subject,
            attempt: turn.attempt,
            at,
            status,
            problem,
        };
        self.store.log_attempt(&attempt).await
    }
}
