//! Everything of TrustCard that speaks HTTP to callers, and the `record` stage that completes what it accepted.
//!
//! A submission goes through [`intake`]: URL, identity, room at the broker, row, acknowledgement, and only then 202. Reading
//! ([`views`], [`pages`]) never touches the broker; how far the stages are behind (`live_lag`) is asked of it when somebody looks.
//!
//! - [`config`]: settings; [`state`]: what handlers work with; [`router`]: every path; [`server`]: listening and draining;
//! - [`layers`]: what every request passes through; [`request_id`], [`metrics`], [`caller`], [`rate_limit`], [`cors`],
//!   [`security`] and [`error`] belong to it;
//! - [`batch`], [`idempotency`], [`quota`] and [`charge`]: many posts at once, requests that may be sent again, and how much
//!   partners may submit; [`progress`]: batches and analyses as streams of events;
//! - [`body`], [`extract`] and [`accept`]: reading requests; [`keys`] and [`access`]: who may do what; [`cache`]: results in memory;
//! - `routes`: one file a group of paths; [`openapi`]: what is said of them to callers;
//! - [`record`]: the projection of submissions into rows; [`admit`]: what lets bulk follow.
#![warn(missing_docs)]

pub mod accept;
pub mod access;
pub mod admit;
pub mod batch;
pub mod body;
pub mod cache;
pub mod caller;
pub mod charge;
pub mod config;
pub mod cors;
pub mod error;
pub mod extract;
pub mod idempotency;
pub mod intake;
pub mod keys;
pub mod layers;
mod live_lag;
pub mod metrics;
pub mod openapi;
pub mod pages;
pub mod progress;
pub mod quota;
pub mod rate_limit;
pub mod record;
pub mod request_id;
pub mod router;
mod routes;
pub mod security;
pub mod server;
pub mod state;
pub mod views;

pub use config::{ApiConfig, Environment};
pub use record::Record;
pub use server::serve;
pub use state::{AppState, Parts, StartError};
