//! Pages for people. Everything that came from outside goes through the templates' escaping; no page holds a script, a style
//! attribute or an address that was not made here, so that a strict Content-Security-Policy fits. Each brings its one style along
//! and is whole without any other file.
//!
//! - [`card`]: the report card of an analysis, whatever its state;
//! - [`evidence`]: what the components found, read out of a result;
//! - [`gauge`], [`waterfall`], [`marks`], [`preview`]: the score, the adjustments, the text and the whole in pictures;
//! - [`form`]: what browsers send from pages without a script.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use minijinja::{Environment, Value, context, syntax::SyntaxConfig, value::Serde};
use sha2::{Digest, Sha256};
use store::{AnalysisRow, StorePolicy};

use crate::{config::ApiConfig, error::ApiError, openapi::Endpoint, routes::pipeline::Flow};

pub mod card;
mod evidence;
pub mod form;
mod gauge;
mod marks;
pub mod preview;
mod waterfall;
mod words;

pub use card::{Notice, Readers};
pub use evidence::media;

/// The style of every page, inside it.
const STYLE: &str = include_str!("../templates/trustcard.css");
/// Every template by its name. Names end in `.html`, which turns escaping on.
const TEMPLATES: [(&str, &str); 11] = [
    ("base.html", include_str!("../templates/base.html")),
    ("home.html", include_str!("../templates/home.html")),
    ("pipeline.html", include_str!("../templates/pipeline.html")),
    ("error.html", include_str!("../templates/error.html")),
    ("report.html", include_str!("../templates/report.html")),
    (
        "report/score.html",
        include_str!("../templates/report/score.html"),
    ),
    (
        "report/text.html",
        include_str!("../templates/report/text.html"),
    ),
    (
        "report/pictures.html",
        include_str!("../templates/report/pictures.html"),
    ),
    (
        "report/sources.html",
        include_str!("../templates/report/sources.html"),
    ),
    (
        "report/readers.html",
        include_str!("../templates/report/readers.html"),
    ),
    (
        "report/about.html",
        include_str!("../templates/report/about.html"),
    ),
];

/// A page, ready to be sent.
#[derive(Debug)]
pub struct Page {
    text: String,
    policy: HeaderValue,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_SECURITY_POLICY, self.policy),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        (headers, Html(self.text)).into_response()
    }
}

/// The compiled templates.
#[derive(Debug)]
pub struct Pages {
    templates: Environment<'static>,
    policy: HeaderValue,
    app_name: String,
    /// What addresses begin with where they must be whole; empty where it is not configured.
    public_url: String,
}

impl Pages {
    /// Compiles them.
    ///
    /// # Errors
    /// When one is not a template.
    pub fn new(config: &ApiConfig) -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?;
        templates.set_syntax(syntax);
        for (name, template) in TEMPLATES {
            templates.add_template(name, template)?;
        }
        Ok(Self {
            templates,
            policy: policy(),
            app_name: config.app_name.clone(),
            public_url: config.public_url.clone(),
        })
    }

    /// The home page. `refused` says why the address that was sent, which is `url`, is of no use.
    ///
    /// # Errors
    /// 500 when it can't be rendered.
    pub fn home(
        &self,
        config: &ApiConfig,
        version: &str,
        endpoints: &[Endpoint],
        refused: Option<(&str, &str)>,
    ) -> Result<Page, ApiError> {
        self.render(
            "home.html",
            context! {
                environment => config.environment.name(),
                version,
                endpoints => Value::from(Serde(endpoints)),
                max_url_length => config.max_url_length,
                url => refused.map(|(url, _)| url),
                refused => refused.map(|(_, why)| why),
            },
        )
    }

    /// The page that shows the pipeline live.
    ///
    /// # Errors
    /// 500 when it can't be rendered.
    pub fn pipeline(&self, flow: &Flow) -> Result<Page, ApiError> {
        let flow = Value::from(Serde(flow));
        self.render("pipeline.html", context! { flow })
    }

    /// The report of an analysis, whatever its state.
    ///
    /// # Errors
    /// 500 when it can't be rendered.
    pub fn report(
        &self,
        row: &AnalysisRow,
        policy: &StorePolicy,
        readers: &Readers,
    ) -> Result<Page, ApiError> {
        let report = Value::from(Serde(card::Report::of(row, policy)));
        let readers = Value::from(Serde(readers));
        let part = |of: &Value, name| of.get_attr(name).unwrap_or_default();
        let (result, scored) = (part(&report, "result"), part(&report, "scored"));
        let post = part(&result, "post_info");
        self.render(
            "report.html",
            context! { report, readers, result, scored, post },
        )
    }

    /// The page of something that could not be done. It can always be rendered, or else says so in a sentence.
    #[must_use]
    pub fn error(&self, error: &ApiError, request_id: &str) -> Page {
        let status = StatusCode::from_u16(error.status()).ok();
        let title = status.and_then(|status| status.canonical_reason());
        let page = self.render(
            "error.html",
            context! {
                status => error.status(),
                title => title.unwrap_or("Error"),
                message => error.message(),
                request_id,
                retry => error.retry_after_s(),
            },
        );
        page.unwrap_or_else(|_| Page {
            text: "Something went wrong on our side.".to_owned(),
            policy: self.policy.clone(),
        })
    }

    fn render(&self, name: &str, with: Value) -> Result<Page, ApiError> {
        let common = context! {
            app_name => self.app_name.as_str(),
            public_url => self.public_url.as_str(),
            style => STYLE,
            ..with
        };
        let rendered = self
            .templates
            .get_template(name)
            .and_then(|template| template.render(common));
        match rendered {
            Ok(text) => Ok(Page {
                text,
                policy: self.policy.clone(),
            }),
            Err(error) => {
                tracing::error!(page = name, %error, "a page can't be rendered");
                Err(ApiError::internal())
            }
        }
    }
}

/// That of every answer, and the one style by its hash.
fn policy() -> HeaderValue {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let text = format!(
        "default-src 'self'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn every_page_brings_its_style_and_names_its_hash() {
        let pages = Pages::new(&ApiConfig::default()).unwrap();
        let page = pages.error(&ApiError::internal(), "r");
        let (_, rest) = page.text.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        let policy = page.policy.to_str().unwrap();
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
        assert!(!policy.contains("unsafe-inline"));
    }

    #[test]
    fn an_error_is_told_on_a_page_and_escaped() {
        let pages = Pages::new(&ApiConfig::default()).unwrap();
        let page = pages.error(&ApiError::new(Code::Conflict, "<b>no"), "r<1");
        for part in ["409", "Conflict", "&lt;b&gt;no", "r&lt;1"] {
            assert!(page.text.contains(part), "{part} missing in {}", page.text);
        }
    }
}
