//! The scrape stage against servers on loopback: real connections, no mocks of our own parts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adapters;
mod addresses;
mod answers;
mod child;
mod origin;
mod origins;
mod stage;
