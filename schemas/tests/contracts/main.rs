//! The contracts as other programs meet them: golden records, decoding of anything at all, dead letters, and the committed
//! JSON Schemas beside the types and the last release.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod asyncapi;
mod checker;
mod checker_cases;
mod compatibility;
mod dead_letter;
mod decoding;
mod fixtures;
mod golden;
mod rerun;
mod retry;
