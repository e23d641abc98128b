//! The broker of a machine that has none: librdkafka's mock cluster in this process, and the meter that keeps it honest.

pub mod broker;
pub mod meter;
mod partitioner;

pub use broker::{BrokerError, EmbeddedBroker, EmbeddedTopic};
pub use meter::{Full, Meter};
