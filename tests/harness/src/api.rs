//! A client of the HTTP API, as a partner would write one.

use serde_json::{Value, json};

use crate::wait::until;

/// One API.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    /// Its base address.
    pub url: String,
}

impl Api {
    /// A client of the API at this base address.
    ///
    /// # Panics
    /// When no HTTP client can be made.
    #[must_use]
    pub fn new(url: String) -> Self {
        // Installed before by another test of this process: nothing to do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("an HTTP client");
        Self { http, url }
    }

    /// The same API, asked with a key.
    ///
    /// # Panics
    /// When no HTTP client can be made, or the key is none that a header could hold.
    #[must_use]
    pub fn keyed(&self, key: &str) -> Self {
        let bearer = format!("Bearer {key}").parse().expect("a header");
        let headers = [(reqwest::header::AUTHORIZATION, bearer)];
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers.into_iter().collect())
            .build()
            .expect("an HTTP client");
        Self {
            http,
            url: self.url.clone(),
        }
    }

    /// DELETE; status and JSON body.
    ///
    /// # Panics
    /// When the API does not answer.
    pub async fn delete(&self, path: &str) -> (u16, Value) {
        let request = self.http.delete(format!("{}{path}", self.url)).send();
        let answer = request.await.expect("the API answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Any request, for [`crate::answer::Answer::to`].
    ///
    /// # Panics
    /// When there is no such method.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// GET; status and JSON body (null when the body is none).
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.try_get(path).await.expect("the API answers")
    }

    /// GET; `None` when the connection broke.
    pub async fn try_get(&self, path: &str) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let answer = self.http.get(url).send().await.ok()?;
        Some((
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        ))
    }

    /// GET of a page that is text.
    ///
    /// # Panics
    /// When the API does not answer.
    pub async fn text(&self, path: &str) -> String {
        self.try_text(path).await.expect("the API answers")
    }

    /// GET of a page that is text; `None` when the connection broke.
    pub async fn try_text(&self, path: &str) -> Option<String> {
        let url = format!("{}{path}", self.url);
        self.http.get(url).send().await.ok()?.text().await.ok()
    }

    /// POST of JSON; `None` when the connection broke.
    pub async fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let answer = self
            .http
            .post(format!("{}{path}", self.url))
            .json(body)
            .send()
            .await
            .ok()?;
        Some((
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        ))
    }

    /// POST of JSON; status, and the seconds of Retry-After where it says any; `None` when the connection broke.
    pub async fn post_for_retry(&self, path: &str, body: &Value) -> Option<(u16, Option<u64>)> {
        let url = format!("{}{path}", self.url);
        let answer = self.http.post(url).json(body).send().await.ok()?;
        let after = answer.headers().get("retry-after");
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        Some((answer.status().as_u16(), after))
    }

    /// Submits posts by their shortcodes, again where there is no room for all; the ids of their analyses.
    ///
    /// # Panics
    /// When the API refuses one for good.
    pub async fn submit(&self, shortcodes: &[String]) -> Vec<String> {
        let mut urls: Vec<String> = shortcodes
            .iter()
            .map(|code| format!("https://www.instagram.com/p/{code}/"))
            .collect();
        let mut ids = Vec::new();
        until("room for all of them", async || {
            let (status, answer) = self
                .post("/api/analyze/batch", &json!({ "urls": urls }))
                .await?;
            assert!(status == 202 || status == 503, "{status} {answer}");
            if status == 503 {
                return None;
            }
            let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
            ids.extend(
                answer["items"]
                    .as_array()?
                    .iter()
                    .map(|item| text(item, "analysis_id")),
            );
            let rejected = answer["rejected"].as_array()?;
            assert!(
                rejected.iter().all(|item| item["retryable"] == true),
                "{answer}"
            );
            urls = rejected.iter().map(|item| text(item, "url")).collect();
            urls.is_empty().then_some(())
        })
        .await;
        ids
    }

    /// The result of an analysis, once it has ended.
    pub async fn ended_analysis(&self, analysis_id: &str) -> Value {
        until("a terminal result", async || {
            let (status, body) = self.get(&format!("/api/results/{analysis_id}")).await;
            (status == 200 && (body["status"] == "completed" || body["status"] == "failed"))
                .then_some(body)
        })
        .await
    }
}
