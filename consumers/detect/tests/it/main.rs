//! Pictures, videos, registry and pull: everything that needs no inference.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;
mod credentials;
#[path = "../common/film.rs"]
mod film;
#[path = "../common/issuer.rs"]
mod issuer;
mod pictures;
mod provenance;
mod pull;
mod registry;
mod stage;
mod video;
