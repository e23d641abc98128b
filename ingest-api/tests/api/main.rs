//! The API as callers meet it: a real server on loopback, a real SQLite store, a real embedded broker.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batch;
mod cache;
mod deletion;
mod errors;
mod events;
mod faults;
mod feedback;
mod hostile;
mod idempotency;
mod keys;
mod limits;
mod lines;
mod openapi;
mod ops;
mod pages;
mod projection;
mod quota;
mod reading;
mod security;
mod submit;
mod support;
mod urls;
mod webhooks;
