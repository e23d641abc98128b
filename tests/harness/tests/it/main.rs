//! What holds across rooms: one test binary, so that everything links once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod architecture;
mod commands;
mod compose;
mod configuration;
mod demo;
mod lag;
mod logs;
mod metrics;
mod nothing_lost;
mod probes;
mod real;
mod roles;
mod shutdown;
mod topics;
mod tracing;
