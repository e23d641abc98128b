//! The machinery of the pipeline, true of any message.
#![warn(missing_docs)]

pub mod admin;
pub mod archive;
mod at_least_once;
pub mod cache_metrics;
mod client_metrics;
pub mod clock;
pub mod config;
mod consumer;
pub mod copy;
mod delivery;
pub mod embedded;
pub mod gate;
pub mod halt;
pub mod kafka;
pub mod lag;
mod ledger;
pub mod lifecycle;
pub mod membership;
pub mod metrics;
pub mod ops;
mod packed;
mod producer;
pub mod publisher;
pub mod retry;
pub mod runner;
pub mod stage;
pub mod tail;
pub mod telemetry;
pub mod topic_name;
mod transactional;

pub use archive::Archive;
pub use client_metrics::ClientMetrics;
pub use clock::{Clock, SharedClock, SystemClock};
pub use consumer::ConsumerError;
pub use delivery::Guarantee;
pub use embedded::{EmbeddedBroker, EmbeddedTopic};
pub use gate::{Gate, GateState, GateWatch};
pub use halt::{Halt, HaltStore};
pub use kafka::Kafka;
pub use membership::{Assignor, GroupConfig, GroupProtocol, Instance};
pub use metrics::EngineMetrics;
pub use publisher::Publisher;
pub use runner::{Runner, RunnerConfig, RunnerError};
pub use stage::{Message, Meta, Outcome, Stage, StageError};
