//! The publishers that a post links.

use schemas::AnalysisResult;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::list;
use crate::pages::words;

/// A linked publisher.
#[derive(Debug, Deserialize)]
struct FoundSource {
    url: Option<String>,
    domain: Option<String>,
    name: Option<String>,
    bias: Option<String>,
    reliability: String,
}

/// A linked publisher as it is shown. Its address is text: the page links nowhere that a post says.
#[derive(Debug, Serialize)]
struct Publisher {
    name: String,
    domain: Option<String>,
    url: Option<String>,
    bias: Option<String>,
    reliability: String,
    /// `good`, `bad` or `open`.
    tone: &'static str,
}

/// The sources of a result.
#[derive(Debug, Serialize)]
pub struct Sources {
    publishers: Vec<Publisher>,
    /// Average, 0 to 1.
    average: Option<String>,
    /// Whether there were no links, and the account stands for them.
    by_account: bool,
}

/// The sources of a result.
#[must_use]
pub fn sources(result: &AnalysisResult) -> Sources {
    let found = result.analysis_results.as_ref();
    let found = found.map_or(&Value::Null, |found| &found.source_credibility);
    let publishers = list::<FoundSource>(&found["sources"]).into_iter();
    Sources {
        publishers: publishers.map(Publisher::of).collect(),
        average: found["average_reliability"].as_f64().map(words::number),
        by_account: found["basis"] == "account",
    }
}

impl Publisher {
    fn of(source: FoundSource) -> Self {
        let tone = match source.reliability.as_str() {
            "very-high" | "high" => "good",
            "low" | "very-low" | "satire" => "bad",
            _ => "open",
        };
        let name = source.name.or_else(|| source.domain.clone());
        Self {
            name: name.unwrap_or_else(|| "an address without a domain".to_owned()),
            domain: source.domain,
            url: source.url,
            bias: source.bias.map(|bias| words::plain(&bias)),
            reliability: words::plain(&source.reliability),
            tone,
        }
    }
}
