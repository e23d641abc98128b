//! What holds across rooms: one test binary, so that everything links once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod architecture;
mod callers;
mod commands;
mod compose;
mod configuration;
mod demo;
mod docs_page;
mod error_handling;
mod guide;
mod lag;
mod logs;
mod metrics;
mod nginx;
mod nothing_lost;
mod openapi;
mod pages;
mod partners;
mod probes;
mod rate_limiting;
mod real;
mod request_ids;
mod roles;
mod shutdown;
mod topics;
mod tracing;
