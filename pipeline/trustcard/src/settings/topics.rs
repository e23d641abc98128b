//! What `trustcard topics` makes of TrustCard's topics on a real Kafka.

use std::collections::BTreeMap;

use engine::{RunnerConfig, admin::TopicSpec};
use schemas::topics;
use serde::{Deserialize, Serialize};

/// What a dead letter or a retry may add to its record: headers, bytes.
const ADDED_HEADERS: u32 = 64 * 1024;
/// What Kafka's record format may add to an output's keys, values and headers, bytes.
const FRAMING: u32 = 8 * 1024;
const HOUR_MS: u64 = 3_600_000;
const DAY: u64 = 24;

/// Partitions, copies and retention.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsConfig {
    /// Partitions of each topic; the most instances of a stage that can share its work.
    pub partitions: u32,
    /// Partitions of single topics, where they differ.
    pub partitions_of: PartitionsOf,
    /// Copies of each partition.
    pub replication: u16,
    /// Copies that must have a record before it is acknowledged; by default more than half, and 1 where there are two.
    pub min_insync_replicas: Option<u16>,
    /// Largest record set that inputs and results take, bytes; retry and dead-letter topics take 64 KiB more.
    pub max_message_bytes: u32,
    /// How long what is kept, in hours.
    pub retention_h: RetentionHours,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self {
            partitions: 6,
            partitions_of: PartitionsOf::default(),
            replication: 3,
            min_insync_replicas: None,
            // Kafka's own default: 1 MiB and the head of a record set.
            max_message_bytes: 1_048_588,
            retention_h: RetentionHours::default(),
        }
    }
}

/// Partitions of single topics.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionsOf {
    /// `trustcard.submissions`.
    pub submissions: Option<u32>,
    /// `trustcard.posts`.
    pub posts: Option<u32>,
    /// `trustcard.detections`.
    pub detections: Option<u32>,
    /// `trustcard.results`.
    pub results: Option<u32>,
    /// `trustcard.results.latest`.
    pub results_latest: Option<u32>,
    /// `trustcard.feedback`.
    pub feedback: Option<u32>,
    /// Each retry topic.
    pub retry: Option<u32>,
    /// Each dead-letter topic.
    pub dead_letters: Option<u32>,
}

impl PartitionsOf {
    const fn all(&self) -> [Option<u32>; 8] {
        [
            self.submissions,
            self.posts,
            self.detections,
            self.results,
            self.results_latest,
            self.feedback,
            self.retry,
            self.dead_letters,
        ]
    }
}

/// How long what is kept, in hours.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionHours {
    /// `trustcard.submissions` and `.bulk`: how long `record`, `scrape` and `admit` may stand still.
    pub submissions: u64,
    /// `trustcard.posts`: how long `detect` may stand still.
    pub posts: u64,
    /// `trustcard.detections`: how far back can be scored again.
    pub detections: u64,
    /// `trustcard.results`.
    pub results: u64,
    /// Tombstones on `trustcard.results.latest`, whose results are kept until newer ones replace them.
    pub results_latest_tombstones: u64,
    /// `trustcard.feedback`.
    pub feedback: u64,
    /// Retry topics; longer than the longest delay of a stage.
    pub retry: u64,
    /// Dead-letter topics.
    pub dead_letters: u64,
}

impl Default for RetentionHours {
    fn default() -> Self {
        Self {
            submissions: 7 * DAY,
            posts: 7 * DAY,
            detections: 30 * DAY,
            results: topics::RESULTS_H,
            results_latest_tombstones: topics::LATEST_TOMBSTONES_H,
            feedback: topics::FEEDBACK_H,
            retry: 7 * DAY,
            dead_letters: topics::DEAD_LETTERS_H,
        }
    }
}

impl TopicsConfig {
    /// Every topic of TrustCard as it should be.
    #[must_use]
    pub fn specs(&self) -> Vec<TopicSpec> {
        let (of, hours) = (&self.partitions_of, &self.retention_h);
        let (usual, larger) = (
            self.max_message_bytes,
            self.max_message_bytes.saturating_add(ADDED_HEADERS),
        );
        let spec = |name: String| {
            let (partitions, hours, largest) = match name.as_str() {
                topics::SUBMISSIONS | topics::SUBMISSIONS_BULK => {
                    (of.submissions, hours.submissions, usual)
                }
                topics::POSTS => (of.posts, hours.posts, usual),
                topics::DETECTIONS => (of.detections, hours.detections, usual),
                topics::RESULTS => (of.results, hours.results, usual),
                topics::RESULTS_LATEST => {
                    (of.results_latest, hours.results_latest_tombstones, usual)
                }
                topics::FEEDBACK => (of.feedback, hours.feedback, usual),
                name if is_dead_letters(name) => (of.dead_letters, hours.dead_letters, larger),
                _ => (of.retry, hours.retry, larger),
            };
            let kept = (hours.saturating_mul(HOUR_MS)).to_string();
            let (policy, kept_as) = if name == topics::RESULTS_LATEST {
                ("compact", "delete.retention.ms")
            } else {
                ("delete", "retention.ms")
            };
            TopicSpec {
                name,
                partitions: partitions.unwrap_or(self.partitions),
                replication: self.replication,
                config: BTreeMap::from([
                    ("cleanup.policy".to_owned(), policy.to_owned()),
                    (kept_as.to_owned(), kept),
                    ("max.message.bytes".to_owned(), largest.to_string()),
                    ("min.insync.replicas".to_owned(), self.in_sync().to_string()),
                ]),
            }
        };
        topics::all().into_iter().map(spec).collect()
    }

    fn in_sync(&self) -> u16 {
        let majority = self.replication / 2 + 1;
        let usual = if self.replication > 2 { majority } else { 1 };
        self.min_insync_replicas.unwrap_or(usual)
    }

    /// Everything that is wrong with it, given how the stages run, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self, stages: [&RunnerConfig; topics::STAGES.len()]) -> Vec<String> {
        let mut problems = Vec::new();
        let partitions = self.partitions_of.all().into_iter().flatten();
        if partitions.chain([self.partitions]).any(|count| count == 0) {
            problems.push("partitions and those of partitions_of must be at least 1".to_owned());
        }
        if self.replication == 0 || !(1..=self.replication).contains(&self.in_sync()) {
            problems.push(
                "min_insync_replicas and replication must be at least 1, and the first not above the second".to_owned(),
            );
        }
        let largest = stages.iter().map(|stage| stage.output_limit_bytes).max();
        let largest = largest.unwrap_or(0).saturating_add(FRAMING as usize);
        if (self.max_message_bytes as usize) < largest {
            problems.push(format!(
                "max_message_bytes must be at least {largest}: the largest stages.*.output_limit_bytes and {FRAMING}"
            ));
        }
        let delays = stages.iter().flat_map(|stage| &stage.retry_topics_ms);
        let longest = delays.max().copied().unwrap_or(0);
        if self.retention_h.retry.saturating_mul(HOUR_MS) <= longest {
            problems.push(format!(
                "retention_h.retry must be longer than the longest delay in stages.*.retry_topics_ms, {longest} ms"
            ));
        }
        problems
    }
}

fn is_dead_letters(topic: &str) -> bool {
    let mut stages = topics::STAGES.iter();
    stages.any(|stage| topics::dead_letters(stage) == topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_of<'a>(specs: &'a [TopicSpec], name: &str, key: &str) -> &'a str {
        let spec = specs.iter().find(|spec| spec.name == name).unwrap();
        spec.config.get(key).map_or("", String::as_str)
    }

    #[test]
    fn every_topic_has_a_spec_of_its_kind() {
        let config = TopicsConfig {
            partitions_of: PartitionsOf {
                results_latest: Some(2),
                ..PartitionsOf::default()
            },
            ..TopicsConfig::default()
        };
        let specs = config.specs();
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, topics::all());
        let of = |name: &str, key: &str| config_of(&specs, name, key).to_owned();
        let day = |days: u64| (days * DAY * HOUR_MS).to_string();
        assert_eq!(of(topics::SUBMISSIONS, "retention.ms"), day(7));
        assert_eq!(of(topics::DETECTIONS, "retention.ms"), day(30));
        assert_eq!(of(topics::RESULTS_LATEST, "cleanup.policy"), "compact");
        assert_eq!(of(topics::RESULTS_LATEST, "retention.ms"), "");
        assert_eq!(of("trustcard.scrape.dead-letters", "retention.ms"), day(30));
        assert_eq!(of("trustcard.scrape.retry.1", "retention.ms"), day(7));
        for topic in ["trustcard.scrape.dead-letters", "trustcard.detect.retry.3"] {
            let largest: u32 = of(topic, "max.message.bytes").parse().unwrap();
            assert_eq!(largest, config.max_message_bytes + 65_536, "{topic}");
        }
        let partitions: Vec<u32> = specs.iter().map(|spec| spec.partitions).collect();
        assert_eq!((partitions[0], partitions[5]), (6, 2));
    }

    #[test]
    fn a_record_is_acknowledged_by_more_than_half_of_three_copies_and_by_one_of_two() {
        let in_sync = |replication| {
            let config = TopicsConfig {
                replication,
                ..TopicsConfig::default()
            };
            config_of(&config.specs(), topics::POSTS, "min.insync.replicas").to_owned()
        };
        assert_eq!([1, 2, 3, 5].map(in_sync), ["1", "1", "2", "3"]);
    }

    #[test]
    fn what_would_lose_or_refuse_records_is_named() {
        let stage = RunnerConfig::default();
        let problems = |change: fn(&mut TopicsConfig)| {
            let mut config = TopicsConfig::default();
            change(&mut config);
            config.problems([&stage; topics::STAGES.len()])
        };
        assert!(problems(|_| {}).is_empty());
        let one = |change| {
            let all = problems(change);
            assert_eq!(all.len(), 1, "{all:?}");
            all.concat()
        };
        assert!(one(|topics| topics.partitions_of.retry = Some(0)).contains("partition"));
        assert!(one(|topics| topics.min_insync_replicas = Some(4)).contains("min_insync_replicas"));
        assert!(one(|topics| topics.max_message_bytes = 1_000_000).contains("max_message_bytes"));
        assert!(one(|topics| topics.retention_h.retry = 1).contains("retention_h.retry"));
    }
}
