//! Commands that speak to a running TrustCard over its API.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::exit::Failure;

pub mod results;
pub mod submit;

/// The API, as its callers see it.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: Option<SecretString>,
}

/// The answer to a batch.
#[derive(Debug, Deserialize)]
pub struct BatchAnswer {
    /// The batch.
    pub batch_id: Uuid,
    /// URLs accepted.
    pub accepted: u32,
    /// URLs that repeat another of the same request.
    pub duplicates: u32,
    /// URLs refused.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// The accepted ones.
    #[serde(default)]
    pub items: Vec<Item>,
}

/// A refused URL.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub struct Rejected {
    /// Place in the request, from 0.
    pub index: usize,
    /// The URL as sent.
    pub url: String,
    /// Why: its code and a message.
    pub error: Value,
    /// Whether the same URL may be accepted later.
    #[serde(default)]
    pub retryable: bool,
}

/// An accepted URL.
#[derive(Debug, Deserialize)]
pub struct Item {
    /// The analysis.
    pub analysis_id: Uuid,
    /// The post.
    pub post_id: String,
}

/// Progress of a batch.
#[derive(Debug, Clone, Deserialize)]
pub struct BatchProgress {
    /// Items by status.
    pub counts: Counts,
    /// All items.
    pub total: u64,
}

/// Items by status.
#[derive(Debug, Clone, Deserialize)]
pub struct Counts {
    /// Ended with a score.
    pub completed: u64,
    /// Ended without one.
    pub failed: u64,
}

impl BatchProgress {
    /// Items that ended.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.counts.completed + self.counts.failed
    }
}

/// What became of a batch request.
#[derive(Debug)]
pub enum Batch {
    /// Taken, wholly or in part.
    Taken(BatchAnswer),
    /// Not now: try again after this long.
    Later(Duration),
}

impl Api {
    /// The API at `base`, asked with `key`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str, key: Option<SecretString>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            key,
        })
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// When the API can't be reached or refuses the whole request.
    pub async fn submit(&self, urls: &[String]) -> Result<Batch> {
        let request = self
            .request(Method::POST, "/api/analyze/batch")
            .json(&json!({ "urls": urls }));
        let answer = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE
            || answer.status() == StatusCode::TOO_MANY_REQUESTS
        {
            return Ok(Batch::Later(retry_after(&answer)));
        }
        Ok(Batch::Taken(self.read(answer).await?))
    }

    /// How far a batch has come; `None` when the API does not know it yet.
    ///
    /// # Errors
    /// When the API can't be reached or fails.
    pub async fn batch(&self, batch_id: Uuid) -> Result<Option<BatchProgress>> {
        self.get(&format!("/api/batches/{batch_id}")).await
    }

    /// One analysis; `None` when the API does not know it (yet).
    ///
    /// # Errors
    /// When the API can't be reached or fails.
    pub async fn result(&self, analysis_id: Uuid) -> Result<Option<Value>> {
        self.get(&format!("/api/results/{analysis_id}")).await
    }

    /// The newest analyses.
    ///
    /// # Errors
    /// When the API can't be reached or fails.
    pub async fn list(&self, limit: u32, status: Option<&str>) -> Result<Vec<Value>> {
        let status = status
            .map(|status| format!("&status={status}"))
            .unwrap_or_default();
        let page: Value = self
            .get(&format!("/api/results?limit={limit}{status}"))
            .await?
            .unwrap_or_default();
        Ok(page["analyses"].as_array().cloned().unwrap_or_default())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let answer = loop {
            let request = self.request(Method::GET, path).send();
            let answer = request.await.map_err(|error| self.unreachable(&error))?;
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                break answer;
            }
            tokio::time::sleep(retry_after(&answer)).await;
        };
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.read(answer).await.map(Some)
    }

    async fn read<T: DeserializeOwned>(&self, answer: Response) -> Result<T> {
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .context("the API's answer was cut off")?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .context("the API answered in a shape this version does not know");
        }
        let error: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = error["message"].as_str().unwrap_or("no message").to_owned();
        anyhow::bail!("the API answered {status}: {message} {}", error["details"])
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::Unavailable(format!(
            "no answer from the API at {} ({error}); is `trustcard up` running? Another address: --api or TRUSTCARD_URL",
            self.base
        ))
    }
}

fn retry_after(answer: &Response) -> Duration {
    let header = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok());
    Duration::from_secs(
        header
            .and_then(|value| value.parse().ok())
            .unwrap_or(1)
            .clamp(1, 60),
    )
}
