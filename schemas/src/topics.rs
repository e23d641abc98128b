//! Topic names, and which key each carries.
//!
//! Up to detections a record's key is the post id (the shortcode), so that all work on a post meets in one partition;
//! `results` and `feedback` are keyed by analysis id; `results.latest` is compacted by post id.

/// What partners pushed, from the ingest API. Key: post id.
pub const SUBMISSIONS: &str = "trustcard.submissions";
/// What a partner pushed beyond its share of the straight way, from the ingest API; the admit stage lets it follow onto
/// [`SUBMISSIONS`]. Key: post id.
pub const SUBMISSIONS_BULK: &str = "trustcard.submissions.bulk";
/// Scraped posts, from the scrape stage. Key: post id.
pub const POSTS: &str = "trustcard.posts";
/// What the models saw, from the detect stage. Key: post id.
pub const DETECTIONS: &str = "trustcard.detections";
/// One terminal result per analysis and run, kept by time. Key: analysis id.
pub const RESULTS: &str = "trustcard.results";
/// The newest result of each post, compacted. Key: post id.
pub const RESULTS_LATEST: &str = "trustcard.results.latest";
/// Votes of readers that were counted, from the ingest API. Key: analysis id.
pub const FEEDBACK: &str = "trustcard.feedback";

/// How long `results` keeps a record unless it is configured otherwise, in hours.
pub const RESULTS_H: u64 = 30 * 24;
/// How long `results.latest` keeps a tombstone unless it is configured otherwise, in hours: who reads it from the beginning
/// within this time misses no deletion.
pub const LATEST_TOMBSTONES_H: u64 = 7 * 24;
/// How long votes are kept unless it is configured otherwise, in hours.
pub const FEEDBACK_H: u64 = 30 * 24;
/// How long dead letters are kept unless it is configured otherwise, in hours.
pub const DEAD_LETTERS_H: u64 = 30 * 24;

/// The stages that consume, and so own retry topics and a dead-letter topic.
pub const STAGES: [&str; 6] = ["admit", "record", "scrape", "detect", "score", "webhook"];

/// The topic a stage of [`STAGES`] consumes, its retry topics apart; `None` for any other name.
#[must_use]
pub fn input(stage: &str) -> Option<&'static str> {
    match stage {
        "admit" => Some(SUBMISSIONS_BULK),
        "record" | "scrape" => Some(SUBMISSIONS),
        "detect" => Some(POSTS),
        "score" => Some(DETECTIONS),
        "webhook" => Some(RESULTS),
        _ => None,
    }
}

/// The dead-letter topic of a stage. Keys, values and headers are those of the record that failed.
#[must_use]
pub fn dead_letters(stage: &str) -> String {
    format!("trustcard.{stage}.dead-letters")
}

/// Retry topics of a stage; the first tier is 1.
pub const RETRY_TIERS: usize = 3;

/// A retry topic of a stage, `tier` from 1 to [`RETRY_TIERS`]: records that wait for another attempt, the higher the tier the
/// longer. Keys, values and headers are those of the record that failed, with those of [`crate::retry`] behind them; so, as a
/// dead-letter topic, it must allow 64 KiB more than the stage's input.
#[must_use]
pub fn retry(stage: &str, tier: usize) -> String {
    format!("trustcard.{stage}.retry.{tier}")
}

/// All retry topics of a stage, the first tier first.
#[must_use]
pub fn retries(stage: &str) -> Vec<String> {
    (1..=RETRY_TIERS).map(|tier| retry(stage, tier)).collect()
}

/// The consumer group of a stage.
#[must_use]
pub fn group(stage: &str) -> String {
    format!("trustcard.{stage}")
}

/// Every topic TrustCard writes, retries and dead letters included.
#[must_use]
pub fn all() -> Vec<String> {
    let fixed = [
        SUBMISSIONS,
        SUBMISSIONS_BULK,
        POSTS,
        DETECTIONS,
        RESULTS,
        RESULTS_LATEST,
        FEEDBACK,
    ];
    fixed
        .iter()
        .map(ToString::to_string)
        .chain(STAGES.iter().flat_map(|stage| retries(stage)))
        .chain(STAGES.iter().map(|stage| dead_letters(stage)))
        .collect()
}
