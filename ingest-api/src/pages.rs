//! Pages for people. Everything that came from outside goes through the templates' escaping; no page holds a script, an inline
//! style or an address that was not made here, so that a strict Content-Security-Policy fits.

use axum::response::Html;
use minijinja::{Environment, Value, context, value::Serde};
use schemas::events::result::{AnalysisResult, Coverage};
use serde::Serialize;
use store::{AnalysisRow, Status, StorePolicy};

use crate::{config::ApiConfig, error::ApiError, openapi::Endpoint, views};

/// Colour of the badge where a result has none.
const NEUTRAL: &str = "#6b7280";

/// The compiled templates.
#[derive(Debug)]
pub struct Pages(Environment<'static>);

impl Pages {
    /// Compiles them. Names end in `.html`, which turns escaping on.
    ///
    /// # Errors
    /// When one is not a template.
    pub fn new() -> Result<Self, minijinja::Error> {
        let mut pages = Environment::new();
        pages.add_template("base.html", include_str!("../templates/base.html"))?;
        pages.add_template("home.html", include_str!("../templates/home.html"))?;
        pages.add_template("report.html", include_str!("../templates/report.html"))?;
        Ok(Self(pages))
    }

    /// The home page.
    ///
    /// # Errors
    /// 500 when it can't be rendered.
    pub fn home(
        &self,
        config: &ApiConfig,
        version: &str,
        endpoints: &[Endpoint],
    ) -> Result<Html<String>, ApiError> {
        self.render(
            "home.html",
            context! {
                app_name => config.app_name.as_str(),
                environment => config.environment.name(),
                version,
                endpoints => Value::from(Serde(endpoints)),
            },
        )
    }

    /// The report of an analysis, whatever its state.
    ///
    /// # Errors
    /// 500 when it can't be rendered.
    pub fn report(
        &self,
        row: &AnalysisRow,
        policy: &StorePolicy,
        app_name: &str,
    ) -> Result<Html<String>, ApiError> {
        let report = Value::from(Serde(Report::of(row, policy)));
        self.render("report.html", context! { app_name, report })
    }

    fn render(&self, name: &str, with: Value) -> Result<Html<String>, ApiError> {
        self.0
            .get_template(name)
            .and_then(|template| template.render(with))
            .map(Html)
            .map_err(|error| {
                tracing::error!(page = name, %error, "a page can't be rendered");
                ApiError::internal()
            })
    }
}

/// What the report says, ready for the template.
#[derive(Debug, Serialize)]
struct Report<'a> {
    analysis_id: String,
    status: Status,
    percent: u8,
    message: String,
    url: &'a str,
    post_id: &'a str,
    colour: &'a str,
    result: Option<&'a AnalysisResult>,
    posted_at: Option<String>,
    completed_at: Option<String>,
    seconds: Option<f64>,
    checks: Vec<Check>,
}

/// What became of one component, in words.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    status: String,
    why: Option<&'static str>,
    analysed: u32,
    failed: u32,
}

impl<'a> Report<'a> {
    fn of(row: &'a AnalysisRow, policy: &StorePolicy) -> Self {
        let state = row.state(policy);
        let result = row.current_result(policy);
        let info = result.and_then(|result| result.post_info.as_ref());
        Self {
            analysis_id: row.analysis_id.to_string(),
            status: state.status,
            percent: state.percent,
            message: views::message(state.status, state.percent, result),
            url: &row.post.url,
            post_id: &row.post.post_id,
            colour: result
                .and_then(|result| result.grade_info.as_ref())
                .map(|grade| grade.color.as_str())
                .filter(|colour| is_colour(colour))
                .unwrap_or(NEUTRAL),
            posted_at: info.and_then(|info| info.timestamp).map(to_the_minute),
            completed_at: result.map(|result| to_the_minute(result.completed_at)),
            seconds: result.map(views::processing_seconds),
            checks: result.map_or_else(Vec::new, |result| {
                result.coverage.iter().map(Check::of).collect()
            }),
            result,
        }
    }
}

impl Check {
    fn of(coverage: &Coverage) -> Self {
        let status = serde_json::to_value(coverage.status).ok();
        Self {
            name: coverage.component.replace('_', " "),
            status: status
                .and_then(|status| status.as_str().map(str::to_owned))
                .unwrap_or_default(),
            why: coverage.reason.map(schemas::Reason::sentence),
            analysed: coverage.analysed,
            failed: coverage.failed,
        }
    }
}

fn to_the_minute(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `#rrggbb`: the only form that goes into a page's attribute.
fn is_colour(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_colour_gets_into_a_page() {
        assert!(is_colour("#059669"));
        for odd in ["red", "#05966", "#05966g", "#059669\"", "", "#é9669"] {
            assert!(!is_colour(odd), "{odd}");
        }
    }
}
