//! What an `up` stands on: parts in this process, or the Kafka and the database that the settings name.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use engine::{
    admin::Topics,
    embedded::{EmbeddedBroker, EmbeddedTopic},
};
use schemas::{Submission, topics};

use super::{dead_letters::DeadLetterRows, republish};
use crate::{exit::Failure, parts::Parts, rows, settings::Settings};

/// The parts, and what only an embedded broker needs.
pub struct Ground {
    /// What roles are wired from.
    pub parts: Parts,
    /// The broker, where it is in this process; it ends when this is dropped.
    pub broker: Option<EmbeddedBroker>,
    /// Accepted before and to be published again: an embedded broker has forgotten it, a real one has it.
    pub unfinished: Vec<Submission>,
}

impl Ground {
    /// A broker in memory, SQLite and a folder of media.
    ///
    /// # Errors
    /// When a part can't be started.
    pub async fn embedded(settings: Settings, data_dir: &Path) -> Result<Self> {
        let broker = EmbeddedBroker::start(&embedded_topics(settings.embedded.partitions))
            .context("the embedded broker can't be started")?;
        let store = rows::embedded(&settings, data_dir)?;
        let kafka = broker.kafka().clone();
        let kafka = kafka.with_archive(Arc::new(DeadLetterRows(store.clone())));
        let parts = Parts::with_rows(store.clone().into(), settings, kafka, data_dir)?;
        Ok(Self {
            parts,
            broker: Some(broker),
            unfinished: republish::unfinished(&store).await?,
        })
    }

    /// The configured servers; media stay in the data folder unless the settings say otherwise.
    ///
    /// # Errors
    /// When the database is not ready, or the broker can't be asked or lacks a topic.
    pub async fn real(settings: Settings, data_dir: &Path) -> Result<Self> {
        let kafka = settings.kafka.cluster();
        let at = kafka.bootstrap().to_owned();
        let missing = match Topics::new(&kafka) {
            Ok(broker) => broker.missing(&topics::all()).await,
            Err(error) => Err(error),
        };
        let missing = missing.map_err(|error| {
            Failure::Unavailable(format!(
                "the broker {at} can't be asked: {error}; check kafka.bootstrap (TRUSTCARD__KAFKA__BOOTSTRAP)"
            ))
        })?;
        if !missing.is_empty() {
            return Err(Failure::Configuration(format!(
                "the broker {at} lacks {}; run `trustcard topics create`",
                missing.join(", ")
            ))
            .into());
        }
        Ok(Self {
            parts: Parts::open(settings, kafka, data_dir).await?,
            broker: None,
            unfinished: Vec::new(),
        })
    }
}

/// Every topic, and the groups that must have read a record before it may be forgotten. The newest results and dead letters have
/// none: there they are rolling windows.
fn embedded_topics(partitions: u32) -> Vec<EmbeddedTopic> {
    let required = |topic: &str| -> &[&str] {
        match topic {
            topics::SUBMISSIONS => &["record", "scrape"],
            topics::SUBMISSIONS_BULK => &["admit"],
            topics::POSTS => &["detect"],
            topics::DETECTIONS => &["score"],
            topics::RESULTS => &["webhook"],
            _ => topics::STAGES
                .iter()
                .find(|stage| topics::retries(stage).iter().any(|retry| retry == topic))
                .map_or(&[], std::slice::from_ref),
        }
    };
    topics::all()
        .into_iter()
        .map(|topic| {
            let groups = required(&topic)
                .iter()
                .map(|stage| topics::group(stage))
                .collect();
            EmbeddedTopic {
                name: topic,
                partitions,
                required_groups: groups,
            }
        })
        .collect()
}
