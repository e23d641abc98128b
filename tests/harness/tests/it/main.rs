//! What holds across rooms: one test binary, so that everything links once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod architecture;
mod callers;
mod commands;
mod compose;
mod demo;
mod guide;
mod lag;
mod nginx;
mod nothing_lost;
mod real;
mod roles;
mod shutdown;
mod topics;
mod tracing;
