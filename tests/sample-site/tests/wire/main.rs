//! Every wire shape of the site, over real HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod dribble;
mod embed;
mod faults;
mod load;
mod media;
mod modes;
mod session;
mod web;
