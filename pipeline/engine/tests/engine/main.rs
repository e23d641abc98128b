//! The engine against a broker: the embedded one, over TCP, through the same client code as production.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod archive;
mod embedded;
mod failures;
mod ground;
mod halts;
mod lag;
mod lifecycle;
mod outcomes;
mod poison;
mod publishing;
mod real;
mod retries;
mod support;
mod topics;
