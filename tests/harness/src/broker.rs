//! A broker in the test's own process.

use engine::{EmbeddedBroker, EmbeddedTopic};

/// Starts one with every topic of TrustCard, each of so many partitions.
///
/// # Panics
/// When it does not come up.
#[must_use]
pub fn embedded(partitions: u32) -> EmbeddedBroker {
    let topics = schemas::topics::all().into_iter();
    let topics: Vec<EmbeddedTopic> = topics
        .map(|name| EmbeddedTopic {
            name,
            partitions,
            required_groups: Vec::new(),
        })
        .collect();
    EmbeddedBroker::start(&topics).expect("an embedded broker")
}
