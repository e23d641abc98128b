//! What the report card says, ready for its template.

use schemas::events::result::{AnalysisResult, Coverage};
use serde::Serialize;
use store::{AnalysisRow, Opinion, Status, StorePolicy, Votes};

use super::{
    evidence::{self, Picture, Provenance, Sources, Text, Video},
    gauge::Gauge,
    waterfall::Waterfall,
    words,
};
use crate::views;

/// Colour of the gauge where a result has none.
const NEUTRAL: &str = "#6b7280";

/// A component as people call it, and what it looks at.
const COMPONENTS: [(&str, &str, &str); 6] = [
    (
        "instagram_extraction",
        "Reading the post",
        "Text, account and pictures",
    ),
    (
        "ai_detection",
        "AI-generated pictures",
        "Was a picture made by a generator?",
    ),
    ("ocr", "Text in pictures", "What is written in them?"),
    (
        "deepfake",
        "Manipulated faces",
        "Is a face synthetic or changed?",
    ),
    (
        "fact_check",
        "How the text argues",
        "Claims and warning signs",
    ),
    (
        "source_credibility",
        "Sources",
        "Who is linked, and how reliable?",
    ),
];

/// An analysis.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
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
    seconds: Option<String>,
    scored: Option<Scored<'a>>,
    checks: Vec<Check>,
    /// How many of the checks came to an answer.
    checked: usize,
}

/// What there is once there is a score.
#[derive(Debug, Serialize)]
struct Scored<'a> {
    score: String,
    gauge: Gauge,
    waterfall: Option<Waterfall<'a>>,
    text: Text<'a>,
    pictures: Vec<Picture>,
    videos: Vec<Video>,
    sources: Sources,
    provenance: Provenance,
}

/// What became of one component, in words.
#[derive(Debug, Serialize)]
struct Check {
    component: String,
    name: String,
    asks: &'static str,
    /// `completed`, `inconclusive`, `skipped` or `failed`.
    status: String,
    /// The same for people.
    told: &'static str,
    why: Option<&'static str>,
    analysed: u32,
    failed: u32,
}

impl<'a> Report<'a> {
    /// The report of a row.
    #[must_use]
    pub fn of(row: &'a AnalysisRow, policy: &StorePolicy) -> Self {
        let state = row.state(policy);
        let result = row.current_result(policy);
        let info = result.and_then(|result| result.post_info.as_ref());
        let coverage = result.map_or(&[][..], |result| &result.coverage);
        let checks: Vec<Check> = coverage.iter().map(Check::of).collect();
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
            posted_at: info.and_then(|info| info.timestamp).map(words::minute),
            completed_at: result.map(|result| words::minute(result.completed_at)),
            seconds: result.map(|result| words::number(views::processing_seconds(result))),
            scored: result.and_then(Scored::of),
            checked: checks
                .iter()
                .filter(|check| check.status == "completed")
                .count(),
            checks,
            result,
        }
    }
}

impl<'a> Scored<'a> {
    fn of(result: &'a AnalysisResult) -> Option<Self> {
        let score = result.trust_score?;
        let breakdown = result.trust_score_breakdown.as_ref();
        Some(Self {
            score: words::number(score),
            gauge: Gauge::of(score),
            waterfall: breakdown.map(|breakdown| Waterfall::of(&breakdown.adjustments)),
            text: evidence::text(result),
            pictures: evidence::pictures(result),
            videos: evidence::videos(result),
            sources: evidence::sources(result),
            provenance: evidence::provenance(result),
        })
    }
}

impl Check {
    fn of(coverage: &Coverage) -> Self {
        let status = serde_json::to_value(coverage.status).ok();
        let status = status.and_then(|status| status.as_str().map(str::to_owned));
        let status = status.unwrap_or_default();
        let known = COMPONENTS
            .iter()
            .find(|(name, ..)| *name == coverage.component);
        let (name, asks) = known.map_or_else(
            || (words::plain(&coverage.component), ""),
            |(_, name, asks)| ((*name).to_owned(), *asks),
        );
        Self {
            component: coverage.component.clone(),
            name,
            asks,
            told: match status.as_str() {
                "completed" => "checked",
                "inconclusive" => "can't be told",
                "skipped" => "not checked",
                _ => "could not be checked",
            },
            status,
            why: coverage.reason.map(schemas::Reason::sentence),
            analysed: coverage.analysed,
            failed: coverage.failed,
        }
    }
}

/// `#rrggbb`: the only form that goes into a page's attribute.
fn is_colour(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit())
}

/// What became of the vote that the page was asked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// It was counted.
    Counted,
    /// It was not.
    Refused {
        /// Why.
        why: String,
    },
}

/// What readers think, and what the form needs.
#[derive(Debug, Serialize)]
pub struct Readers {
    /// Absent when the store does not tell.
    votes: Option<Tally>,
    notice: Option<Notice>,
    /// What was written into the form, so that it is not lost when the vote is refused.
    comment: String,
    max_comment_length: usize,
}

#[derive(Debug, Serialize)]
struct Tally {
    total: u64,
    bars: Vec<Bar>,
    comments: Vec<Comment>,
}

/// The votes of one opinion.
#[derive(Debug, Serialize)]
struct Bar {
    opinion: &'static str,
    votes: u64,
    /// Share of all, 0 to 100.
    percent: u64,
}

#[derive(Debug, Serialize)]
struct Comment {
    opinion: &'static str,
    text: String,
    at: String,
}

impl Readers {
    /// `votes` with their newest comments.
    #[must_use]
    pub fn of(votes: Option<&Votes>, max_comment_length: usize) -> Self {
        Self {
            votes: votes.map(Tally::of),
            notice: None,
            comment: String::new(),
            max_comment_length,
        }
    }

    /// The same after a vote.
    #[must_use]
    pub fn with(self, notice: Notice, comment: &str) -> Self {
        Self {
            notice: Some(notice),
            comment: comment.to_owned(),
            ..self
        }
    }
}

impl Tally {
    fn of(votes: &Votes) -> Self {
        let summary = &votes.summary;
        let bars = Opinion::ALL.map(|opinion| {
            let votes = match opinion {
                Opinion::Accurate => summary.accurate,
                Opinion::Misleading => summary.misleading,
                Opinion::False => summary.wrong,
            };
            Bar {
                opinion: opinion.name(),
                votes,
                percent: (votes * 100).checked_div(summary.total_votes).unwrap_or(0),
            }
        });
        let comments = votes.comments.iter().map(|comment| Comment {
            opinion: comment.opinion.name(),
            text: comment.comment.clone(),
            at: words::minute(comment.at),
        });
        Self {
            total: summary.total_votes,
            bars: bars.into(),
            comments: comments.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use store::VoteSummary;

    use super::*;

    #[test]
    fn only_a_plain_colour_gets_into_a_page() {
        assert!(is_colour("#059669"));
        for odd in ["red", "#05966", "#05966g", "#059669\"", "", "#é9669"] {
            assert!(!is_colour(odd), "{odd}");
        }
    }

    #[test]
    fn bars_are_shares_of_all_votes() {
        let votes = |accurate, misleading, wrong| Votes {
            summary: VoteSummary {
                total_votes: accurate + misleading + wrong,
                accurate,
                misleading,
                wrong,
            },
            comments: Vec::new(),
        };
        let shares = |votes: &Votes| {
            let bars = Tally::of(votes).bars;
            bars.iter().map(|bar| bar.percent).collect::<Vec<_>>()
        };
        assert_eq!(shares(&votes(3, 0, 1)), [75, 0, 25]);
        assert_eq!(shares(&votes(0, 0, 0)), [0, 0, 0]);
    }
}
