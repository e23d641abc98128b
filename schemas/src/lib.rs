//! The contracts of TrustCard: what travels over its topics and how it is named.
//!
//! Rust types are the source. JSON Schemas (`schemas/json`) are generated from them by
//! `cargo run -p trustcard-schemas --example write_schemas`; the crate's tests fail when the committed ones are stale or
//! would break a reader of an earlier release.
//!
//! This crate does no I/O and knows no async: a [`Record`] is a plain value that the engine produces and consumes.
//!
//! - [`events`]: the body of every topic;
//! - [`envelope`]: CloudEvents 1.0 in Kafka binary mode around it;
//! - [`identity`] and [`post_url`]: from what a partner pushes to a post and an analysis id;
//! - [`rerun`]: a recorded event once more, as part of another run;
//! - [`topics`]: names; [`reason`]: the closed list of reasons; [`retry`] and [`dead_letter`]: headers of a record that
//!   failed; [`halt`]: a stage that stopped itself;
//! - [`webhook`]: what partners are told, and its signature;
//! - [`json_schema`]: the JSON Schemas of the bodies; [`asyncapi`]: the topics that others read; [`cql`]: the tables.
#![warn(missing_docs)]

pub mod asyncapi;
pub mod cql;
pub mod dead_letter;
pub mod envelope;
pub mod events;
pub mod halt;
pub mod identity;
pub mod json_schema;
pub mod post_url;
pub mod reason;
pub mod rerun;
pub mod retry;
pub mod topics;
pub mod webhook;

pub use envelope::{DecodeError, Event, Header, Input, Record, decode, encode};
pub use events::deletion::{Deletion, ToScore};
pub use events::detections::{Detections, PictureDetections, PictureFinding, Verdict};
pub use events::feedback::FeedbackGiven;
pub use events::result::{AnalysisResult, FromResults};
pub use events::scraped::PostScraped;
pub use events::submission::Submission;
pub use halt::Halt;
pub use identity::Run;
pub use post_url::{PostRef, UrlError};
pub use reason::Reason;
