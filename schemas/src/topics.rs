//! Topic names, and which key each carries.
//!
//! Up to detections a record's key is the post id (the shortcode), so that all work on a post meets in one partition;
//! `results` is keyed by analysis id; `results.latest` is compacted by post id.

/// What partners pushed, from the ingest API. Key: post id.
pub const SUBMISSIONS: &str = "trustcard.submissions";
/// Scraped posts, from the scrape stage. Key: post id.
pub const POSTS: &str = "trustcard.posts";
/// What the models saw, from the detect stage. Key: post id.
pub const DETECTIONS: &str = "trustcard.detections";
/// One terminal result per analysis and run, kept by time. Key: analysis id.
pub const RESULTS: &str = "trustcard.results";
/// The newest result of each post, compacted. Key: post id.
pub const RESULTS_LATEST: &str = "trustcard.results.latest";

/// The stages that consume, and so own a dead-letter topic.
pub const STAGES: [&str; 4] = ["record", "scrape", "detect", "score"];

/// The dead-letter topic of a stage. Keys, values and headers are those of the record that failed.
#[must_use]
pub fn dead_letters(stage: &str) -> String {
    format!("trustcard.{stage}.dead-letters")
}

/// The consumer group of a stage.
#[must_use]
pub fn group(stage: &str) -> String {
    format!("trustcard.{stage}")
}

/// Every topic TrustCard writes, dead letters included.
#[must_use]
pub fn all() -> Vec<String> {
    let fixed = [SUBMISSIONS, POSTS, DETECTIONS, RESULTS, RESULTS_LATEST];
    fixed
        .iter()
        .map(ToString::to_string)
        .chain(STAGES.iter().map(|stage| dead_letters(stage)))
        .collect()
}
