//! Webhooks on an embedded store, against receivers that answer in every way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batches;
mod sender;
mod stage;
mod world;
