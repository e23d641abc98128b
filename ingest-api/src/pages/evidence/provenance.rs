//! What the site and the files themselves say of where pictures come from.

use schemas::AnalysisResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{list, sentence};

/// What a file says of its own origin.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FoundOrigin {
    media_index: u32,
    status: String,
    reason: Option<String>,
    c2pa: String,
    issuer: Option<String>,
    declared_ai: bool,
    generator: Option<String>,
    statement: Option<String>,
}

/// The same as it is shown.
#[derive(Debug, Serialize)]
struct Origin {
    title: String,
    text: String,
    /// `good`, `bad` or `open`.
    tone: &'static str,
}

/// Where the post says it comes from.
#[derive(Debug, Serialize)]
pub struct Provenance {
    /// The site's own label for AI-made content.
    label: Option<String>,
    origins: Vec<Origin>,
    /// Whether a version that looks for it made this result.
    looked: bool,
}

/// The provenance of a result.
#[must_use]
pub fn provenance(result: &AnalysisResult) -> Provenance {
    let found = result.analysis_results.as_ref();
    let found = found.map_or(&Value::Null, |found| &found.instagram_extraction);
    let origins = list::<FoundOrigin>(&found["provenance"]).into_iter();
    Provenance {
        label: found["gen_ai_label"].as_str().map(str::to_owned),
        origins: origins.map(Origin::of).collect(),
        looked: found["provenance"].is_array(),
    }
}

impl Origin {
    fn of(found: FoundOrigin) -> Self {
        let credentials = match found.c2pa.as_str() {
            "unverified" => Some("content credentials whose signature was not checked"),
            "valid" => Some(
                "content credentials signed by an issuer that is not on the list of trusted ones",
            ),
            "trusted" => Some("content credentials of a trusted issuer"),
            "invalid" => Some("content credentials that are broken or belong to another file"),
            _ => None,
        };
        let issuer = found.issuer.map(|issuer| format!(" (issuer: {issuer})"));
        let credentials =
            credentials.map(|text| format!("It carries {text}{}.", issuer.unwrap_or_default()));
        let generator = found
            .generator
            .map(|name| format!("It names the generator {name}."));
        let said = match (found.statement, credentials) {
            (Some(statement), Some(credentials)) => format!("{statement} {credentials}"),
            (Some(said), None) | (None, Some(said)) => said,
            (None, None) => match (found.status.as_str(), generator) {
                ("completed", Some(generator)) => generator,
                ("completed", None) => {
                    "The file says nothing of its origin; most sites strip it.".to_owned()
                }
                _ => format!("Not checked: {}.", sentence(found.reason.as_deref())),
            },
        };
        let tone = match found.c2pa.as_str() {
            _ if found.declared_ai => "bad",
            "invalid" => "bad",
            "trusted" => "good",
            _ => "open",
        };
        Self {
            title: format!("Picture {}", found.media_index.saturating_add(1)),
            text: said,
            tone,
        }
    }
}
