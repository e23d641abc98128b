//! The requests.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Analysis, Batch, BatchAnswer, Error, Page, Status};

/// A request that has not been answered after this long is given up.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The shortest wait, also where the API names none, and the longest that it is believed to mean.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a batch is looked at: soon at first, then so seldom that an hour of it is within the limit of reads.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const SLOWEST_LOOK: Duration = Duration::from_millis(1500);

/// TrustCard's API, as one caller sees it. Cheap to clone; connections are shared.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<SecretString>,
}

impl Client {
    /// The API at `base`, such as `https://trustcard.example`, asked with `key`. Where the process has chosen no TLS provider yet, it
    /// gets ring.
    ///
    /// # Errors
    /// [`Error::Setup`] when the system has no certificates, for one.
    pub fn new(base: &str, key: Option<SecretString>) -> Result<Self, Error> {
        // One that is there already stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(Error::Setup)?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            key,
        })
    }

    /// Its address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Submits posts, at most 10,000. `idempotency_key` (at most 255 characters) names the request: sent again with the same URLs
    /// it is the same batch, so it can be repeated after any failure.
    ///
    /// # Errors
    /// [`Error::Later`] when there is no room, or the same request is still being worked on.
    pub async fn submit_batch(
        &self,
        urls: &[String],
        idempotency_key: &str,
    ) -> Result<BatchAnswer, Error> {
        let request = self
            .request(Method::POST, "/api/analyze/batch")
            .header("idempotency-key", idempotency_key)
            .json(&json!({ "urls": urls }));
        let (mut answer, after): (BatchAnswer, _) = self.told(request).await?;
        answer.retry_after = after;
        Ok(answer)
    }

    /// How far a batch is; `None` when there is none that belongs to the caller.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn batch(&self, batch_id: Uuid) -> Result<Option<Batch>, Error> {
        self.get(&format!("/api/batches/{batch_id}")).await
    }

    /// Looks at a batch again and again until every item has ended.
    #[must_use]
    pub fn watch_batch(&self, batch_id: Uuid) -> BatchWatch<'_> {
        BatchWatch {
            client: self,
            batch_id,
            pause: None,
            done: false,
        }
    }

    /// One analysis; `None` when there is none, or its acceptance is so fresh that it has no row yet.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn analysis(&self, analysis_id: Uuid) -> Result<Option<Analysis>, Error> {
        self.get(&format!("/api/results/{analysis_id}")).await
    }

    /// The newest analyses, at most 100, those of one status where it is given.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn analyses(&self, limit: u32, status: Option<Status>) -> Result<Page, Error> {
        let status = status.map(|status| format!("&status={}", status.name()));
        let path = format!("/api/results?limit={limit}{}", status.unwrap_or_default());
        self.answer(self.request(Method::GET, &path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    /// What is at a path; `None` where nothing is.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        match self.answer(self.request(Method::GET, path)).await {
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        self.told(request).await.map(|(answer, _)| answer)
    }

    /// The answer to a request, and how long the API asks to wait before the next.
    async fn told<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<(T, Option<Duration>), Error> {
        let unreachable = |source| Error::Unreachable {
            base: self.base.clone(),
            source,
        };
        let answer = request.send().await.map_err(unreachable)?;
        let (status, after) = (answer.status(), retry_after(answer.headers()));
        let body = answer.bytes().await.map_err(unreachable)?;
        match status {
            _ if status.is_success() => Ok((serde_json::from_slice(&body)?, after)),
            StatusCode::CONFLICT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE => Err(Error::Later {
                status: status.as_u16(),
                after: after.unwrap_or(SHORTEST_WAIT),
            }),
            _ => {
                let error: Value = serde_json::from_slice(&body).unwrap_or_default();
                let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
                Err(Error::Refused {
                    status: status.as_u16(),
                    code: text("error"),
                    message: text("message"),
                    details: error["details"].clone(),
                })
            }
        }
    }
}

/// Looks at a batch, see [`Client::watch_batch`].
#[derive(Debug)]
pub struct BatchWatch<'a> {
    client: &'a Client,
    batch_id: Uuid,
    /// Before the next look; `None` before the first.
    pause: Option<Duration>,
    done: bool,
}

impl BatchWatch<'_> {
    /// The next look, a moment after the last one; `None` after the one that found every item ended.
    ///
    /// # Errors
    /// [`Error::UnknownBatch`], or what broke.
    pub async fn next(&mut self) -> Result<Option<Batch>, Error> {
        if self.done {
            return Ok(None);
        }
        if let Some(pause) = self.pause {
            tokio::time::sleep(pause).await;
        }
        let slower = self.pause.map_or(FIRST_LOOK, |pause| pause * 6 / 5);
        self.pause = Some(slower.min(SLOWEST_LOOK));
        let batch = patient(async || self.client.batch(self.batch_id).await).await?;
        let batch = batch.ok_or(Error::UnknownBatch(self.batch_id))?;
        self.done = batch.is_done();
        Ok(Some(batch))
    }
}

/// Asks again for as long as the API says to come back later.
///
/// # Errors
/// Every error but [`Error::Later`].
pub async fn patient<T>(mut ask: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match ask().await {
            Err(Error::Later { after, .. }) => tokio::time::sleep(after).await,
            answer => return answer,
        }
    }
}

/// The seconds of Retry-After.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(SHORTEST_WAIT, LONGEST_WAIT))
}
