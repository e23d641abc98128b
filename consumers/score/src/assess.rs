//! From the detections of a post to the terminal result of its run.

use jiff::Timestamp;
use schemas::events::detections::Status;
use schemas::events::result::{AnalysisResult, Failure, Outcome, PostInfo};
use schemas::events::scraped::MediaKind;
use schemas::{Detections, Reason, identity};

use crate::calculation::{Component, ScoreInput, TextEvidence, score};
use crate::components::{Components, models};
use crate::config::{ConfigError, ScoringConfig};
use crate::grades::grade_of;
use crate::links::links;
use crate::pictures::{PictureSummary, Tally};
use crate::sources::{Poster, SourceList, SourceListError};
use crate::text::{Place, TextPart, TextRules, TextRulesError};

/// Version of the rules: the table, the patterns, the lexicon and the list of sources. A result names it, followed by `+` and a
/// digest where an operator has changed weights, patterns or sources.
pub const SCORING_VERSION: &str = "1.1.0";
/// Digest of the rules that have this version.
const PUBLISHED: &str = "0d1ad55d";

/// Why scores can't be computed at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A weight, threshold or grade.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The list of sources.
    #[error(transparent)]
    Sources(#[from] SourceListError),
    /// The rules for texts.
    #[error(transparent)]
    Text(#[from] TextRulesError),
}

/// Everything a score is computed with.
#[derive(Debug)]
pub struct Scorer {
    config: ScoringConfig,
    sources: SourceList,
    text: TextRules,
    version: String,
}

impl Scorer {
    /// Checks the configuration, reads the operator's list of sources if there is one, and compiles the rules.
    ///
    /// # Errors
    /// The first thing wrong with any of them.
    pub fn new(config: ScoringConfig) -> Result<Self, SetupError> {
        config.validate()?;
        let sources = SourceList::load(&config.sources)?;
        let text = TextRules::load(config.patterns.as_deref())?;
        let digest = rules_digest(&config, &text, &sources);
        let version = if digest == PUBLISHED {
            SCORING_VERSION.to_owned()
        } else {
            format!("{SCORING_VERSION}+{digest}")
        };
        Ok(Self {
            config,
            sources,
            text,
            version,
        })
    }

    /// The `scoring_version` of this scorer's results.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Scores a post. `completed_at` is the timestamp of the record the detections came in, so that a redo gives the same bytes.
    #[must_use]
    pub fn assess(&self, detections: &Detections, completed_at: Timestamp) -> AnalysisResult {
        let post = &detections.content;
        let pictures =
            PictureSummary::of(&detections.pictures, &detections.videos, &self.config.ai);
        let parts = text_parts(detections);
        let links = links(parts.iter().map(|part| part.text));
        let signals = self.text.analyse(&parts, links.len(), &self.config.text);
        let sources = self.sources.rate(
            &links,
            post.author.as_ref().map(|author| Poster {
                username: &author.username,
                is_verified: author.is_verified,
            }),
            &self.config.sources,
        );

        let decided = |tally: &Tally| tally.status == Status::Completed;
        let input = ScoreInput {
            ai: decided(&pictures.ai_tally).then(|| pictures.ai.clone()),
            faces: decided(&pictures.face_tally).then(|| pictures.faces.clone()),
            text: signals.as_ref().ok().map(|signals| TextEvidence {
                credibility: signals.credibility,
                flags: signals.flags.clone(),
            }),
            sources: sources.as_ref().ok().cloned(),
        };
        let scored = score(&input, &self.config);
        let broken = |component: Component, tally: Tally| {
            if scored.failed.contains(&component) {
                tally.broken()
            } else {
                tally
            }
        };
        let links_rated = sources.as_ref().map_or(0, |s| s.rated.len().max(1));
        let components = Components {
            detections,
            ai: broken(Component::AiDetection, pictures.ai_tally),
            deepfake: broken(Component::DeepfakeDetection, pictures.face_tally),
            ocr: pictures.text_tally,
            fact_check: broken(
                Component::FactChecking,
                tally(
                    signals.as_ref().map_err(|unread| unread.reason),
                    parts.len(),
                ),
            ),
            sources: broken(
                Component::SourceCredibility,
                tally(sources.as_ref().map_err(|reason| *reason), links_rated),
            ),
            pictures: &pictures,
            signals: signals.as_ref(),
            requires_review: input
                .text
                .as_ref()
                .is_some_and(|text| text.requires_review(&self.config.fact_check)),
            source_evidence: sources.as_ref().ok(),
            config: &self.config,
        };

        let grade = scored
            .breakdown
            .as_ref()
            .and_then(|b| grade_of(b.final_score, &self.config.grades));
        let (status, error) = match scored.breakdown {
            Some(_) => (Outcome::Completed, None),
            None => (Outcome::Failed, Some(nothing_completed())),
        };
        AnalysisResult {
            analysis_id: detections.analysis_id,
            run: detections.run,
            supersedes: detections.supersedes,
            post: detections.post.clone(),
            status,
            error,
            trust_score: scored.breakdown.as_ref().map(|b| b.final_score),
            grade: grade.map(|band| band.grade.clone()),
            grade_info: grade.map(crate::grades::GradeBand::info),
            post_info: Some(post_info(detections)),
            analysis_results: Some(components.results()),
            coverage: components.coverage(),
            trust_score_breakdown: scored.breakdown,
            scoring_version: Some(self.version.clone()),
            models: models(detections),
            created_at: Timestamp::from_millisecond(detections.run.started_ms).unwrap_or_default(),
            completed_at,
        }
    }
}

/// The caption, then each picture's text.
fn text_parts(detections: &Detections) -> Vec<TextPart<'_>> {
    let caption = detections.content.caption.as_deref();
    let caption = caption.map(|text| TextPart {
        place: Place::Caption,
        text,
    });
    let pictures = detections.pictures.iter().enumerate();
    let read = pictures.filter_map(|(picture, found)| {
        let place = Place::Picture {
            picture,
            media_index: found.media_index,
        };
        let text = found
            .text
            .text
            .as_deref()
            .filter(|_| found.text.status == Status::Completed)?;
        Some(TextPart { place, text })
    });
    caption
        .into_iter()
        .chain(read)
        .filter(|part| !part.text.trim().is_empty())
        .collect()
}

fn tally<T>(outcome: Result<&T, Reason>, analysed: usize) -> Tally {
    match outcome {
        Ok(_) => Tally::completed(u32::try_from(analysed).unwrap_or(u32::MAX)),
        Err(reason) => Tally::skipped(reason),
    }
}

fn nothing_completed() -> Failure {
    Failure {
        code: Reason::NothingCompleted,
        message: Reason::NothingCompleted.sentence().to_owned(),
        stage: crate::stage::NAME.to_owned(),
    }
}

fn post_info(detections: &Detections) -> PostInfo {
    let post = &detections.content;
    let count = |kind| {
        let media = post.media.iter().filter(|media| media.kind == kind).count();
        u32::try_from(media).unwrap_or(u32::MAX)
    };
    PostInfo {
        post_id: detections.post.post_id.clone(),
        url: detections.post.url.clone(),
        kind: post.kind,
        caption: post.caption.clone(),
        username: post.author.as_ref().map(|author| author.username.clone()),
        full_name: post
            .author
            .as_ref()
            .and_then(|author| author.full_name.clone()),
        is_verified: post
            .author
            .as_ref()
            .is_some_and(|author| author.is_verified),
        timestamp: post.taken_at,
        like_count: post.like_count,
        comment_count: post.comment_count,
        location: post.location.clone(),
        image_count: count(MediaKind::Image),
        video_count: count(MediaKind::Video),
    }
}

/// Eight hexadecimal digits that differ where the rules do.
fn rules_digest(config: &ScoringConfig, text: &TextRules, sources: &SourceList) -> String {
    let parts = [
        &config.to_value().to_string(),
        text.canonical(),
        &sources.canonical(),
    ];
    identity::derive(&parts).simple().to_string()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published rules carry their version alone, so they may not change under it.
    #[test]
    fn changed_rules_need_another_version() {
        let config = ScoringConfig::default();
        let (text, sources) = (
            TextRules::load(None).unwrap(),
            SourceList::load(&config.sources).unwrap(),
        );
        assert_eq!(
            (
                SCORING_VERSION,
                rules_digest(&config, &text, &sources).as_str()
            ),
            ("1.1.0", PUBLISHED),
            "raise SCORING_VERSION, then pin the new digest in PUBLISHED"
        );
    }

    #[test]
    fn an_operators_changes_show_in_the_version() {
        assert_eq!(
            Scorer::new(ScoringConfig::default()).unwrap().version(),
            SCORING_VERSION
        );
        let mut config = ScoringConfig::default();
        config.deepfake.points = 50.0;
        let version = Scorer::new(config.clone()).unwrap().version().to_owned();
        assert!(
            version.starts_with(&format!("{SCORING_VERSION}+")) && version.len() == 14,
            "{version}"
        );
        config.deepfake.points = 60.0;
        assert_ne!(Scorer::new(config).unwrap().version(), version);
    }

    #[test]
    fn a_configuration_that_makes_no_sense_stops_the_start() {
        let mut config = ScoringConfig::default();
        config.ai.points = f64::NAN;
        let error = Scorer::new(config).unwrap_err().to_string();
        assert_eq!(error, "scoring.ai.points must be a finite number");
    }
}
