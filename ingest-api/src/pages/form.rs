//! Forms that pages send without a script.
//!
//! Nobody is logged in here, but a voter is known by the address, so another site could make its visitors vote. Browsers say where
//! a form comes from, and only our own pages' are taken; what says nothing is no browser, and can be tricked by no page.

use axum::{
    extract::Request,
    http::{HeaderMap, Uri, header},
};
use serde_json::Value;
use std::time::Duration;

use crate::{body::read_body, error::ApiError};

const TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of a form that one of our pages sent, as browsers do.
#[derive(Debug)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads it whole.
    ///
    /// # Errors
    /// 403 when another site's page sent it, 415 for another type, 413 beyond `limit` bytes, 400 when it does not arrive within
    /// `deadline`, 422 when it is not UTF-8.
    pub async fn read(
        request: Request,
        limit: usize,
        deadline: Duration,
    ) -> Result<Self, ApiError> {
        if !is_ours(request.headers()) {
            return Err(ApiError::foreign_form());
        }
        let body = read_body(request, TYPE, limit, deadline).await?;
        if std::str::from_utf8(&body).is_err() {
            let problem = "must be a form in UTF-8";
            return Err(ApiError::invalid_field("body", Value::Null, problem));
        }
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }

    /// A field, line ends as everywhere else; an empty text where it is missing.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.replace("\r\n", "\n"))
    }
}

/// Whether a request comes from a page of this origin, or from no page at all.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = text(header::ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority);
    origin.is_some_and(|origin| text(header::HOST) == Some(origin.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::HeaderValue};

    use super::*;

    fn ours(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs.iter().map(|(name, value)| {
            let name = header::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        is_ours(&headers.collect())
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        assert!(ours(&[]), "a program");
        assert!(ours(&[("sec-fetch-site", "same-origin")]));
        assert!(ours(&[("sec-fetch-site", "none")]), "typed by a person");
        for site in ["cross-site", "same-site", "SAME-ORIGIN", ""] {
            assert!(!ours(&[("sec-fetch-site", site)]), "{site}");
        }
        let host = ("host", "trust.example:8000");
        assert!(ours(&[host, ("origin", "http://trust.example:8000")]));
        for origin in [
            "null",
            "http://trust.example",
            "http://evil.example:8000",
            "",
            "/",
        ] {
            assert!(!ours(&[host, ("origin", origin)]), "{origin}");
        }
    }

    #[tokio::test]
    async fn fields_are_decoded() {
        let read = async |body: &'static [u8]| {
            let request = Request::builder()
                .header("content-type", TYPE)
                .body(Body::from(body))
                .unwrap();
            Form::read(request, 100, Duration::from_secs(1)).await
        };
        let form = read(b"comment=a%0D%0Ab+%C3%A9&vote_type=false&vote_type=x")
            .await
            .unwrap();
        assert_eq!(form.field("comment"), "a\nb é");
        assert_eq!(form.field("vote_type"), "false", "the first counts");
        assert_eq!(form.field("other"), "");
        assert_eq!(read(&[0xff]).await.unwrap_err().status(), 422);
        assert_eq!(read(&[b'a'; 101]).await.unwrap_err().status(), 413);
    }
}
