//! A role on a real Kafka waits for its topics, and says how to make them: a client that finds none would be silent about it.

use std::time::Duration;

use anyhow::Result;
use engine::{admin::Topics, lifecycle::Shutdown};
use schemas::topics;

use super::{Role, Tasks};
use crate::{exit::Failure, parts::Parts};

/// How often missing topics are looked for.
const EVERY: Duration = Duration::from_secs(2);
const REMEDY: &str = "run `trustcard topics create`";

/// Starts to look; the process is not ready until all are there. Reading begins by itself then.
///
/// # Errors
/// [`Failure::Configuration`] when a Kafka setting is wrong.
pub fn watch(role: Role, parts: &Parts, shutdown: &Shutdown, tasks: &mut Tasks) -> Result<()> {
    let topics =
        Topics::new(&parts.kafka).map_err(|error| Failure::Configuration(error.to_string()))?;
    let names = needed(role);
    let ready = parts.readiness.part("topics", "asking the broker for them");
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        let mut told = Vec::new();
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.wait() => return Ok(()) }
            match topics.missing(&names).await {
                Ok(missing) if missing.is_empty() => break,
                Ok(missing) => {
                    ready.not_ready(&format!("missing: {}; {REMEDY}", missing.join(", ")));
                    if missing != told {
                        tracing::warn!(?missing, "topics are missing: {REMEDY}");
                        told = missing;
                    }
                }
                Err(error) => ready.not_ready(&error.to_string()),
            }
        }
        ready.ready();
        shutdown.wait().await;
        Ok(())
    });
    Ok(())
}

/// The topics a role reads or writes.
fn needed(role: Role) -> Vec<String> {
    let (stages, others): (&[&str], &[&str]) = match role {
        Role::Api => (
            &[],
            &[
                topics::SUBMISSIONS,
                topics::SUBMISSIONS_BULK,
                topics::FEEDBACK,
            ],
        ),
        Role::Record => (
            &["record", "admit"],
            &[topics::SUBMISSIONS, topics::SUBMISSIONS_BULK],
        ),
        Role::Scrape => (
            &["scrape"],
            &[
                topics::SUBMISSIONS,
                topics::POSTS,
                topics::RESULTS,
                topics::RESULTS_LATEST,
            ],
        ),
        Role::Detect => (
            &["detect"],
            &[
                topics::POSTS,
                topics::DETECTIONS,
                topics::RESULTS,
                topics::RESULTS_LATEST,
            ],
        ),
        Role::Score => (
            &["score"],
            &[topics::DETECTIONS, topics::RESULTS, topics::RESULTS_LATEST],
        ),
        Role::Webhook => (&["webhook"], &[topics::RESULTS]),
    };
    let others = others.iter().map(ToString::to_string);
    let own = stages.iter().flat_map(|stage| {
        let mut own = topics::retries(stage);
        own.push(topics::dead_letters(stage));
        own
    });
    others.chain(own).collect()
}
