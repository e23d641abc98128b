//! An answer of the API, whole: status, headers, body.

use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Sends a request.
    ///
    /// # Panics
    /// When nothing comes back.
    pub async fn to(request: RequestBuilder) -> Self {
        let answer = request.send().await.expect("the API answers");
        Self {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.expect("a whole body").to_vec(),
        }
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that is a number.
    ///
    /// # Panics
    /// When it is not there or no number.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        let text = self.header(name).unwrap_or_else(|| panic!("no {name}"));
        text.parse().expect("a number")
    }

    /// The body.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Asserts that this is an error of the one shape, and gives its details.
    ///
    /// # Panics
    /// When it is not.
    #[must_use = "what it says is half of it"]
    pub fn error(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
        let shape = ["error", "message", "details", "status_code", "request_id"];
        assert_eq!(members, shape, "{body}");
        assert_eq!(
            (self.status, &body["error"]),
            (status, &json!(code)),
            "{body}"
        );
        assert_eq!(body["status_code"], status);
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        assert!(!body["message"].as_str().expect("text").is_empty());
        assert_eq!(self.header("content-type"), Some("application/json"));
        body["details"].clone()
    }
}
