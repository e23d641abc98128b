//! What the tests across rooms share: real `trustcard` processes, and waiting for what they do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a harness that can't go on ends the test"
)]

pub mod answer;
pub mod api;
pub mod balance;
pub mod broker;
pub mod browser;
pub mod cluster;
pub mod commit;
pub mod cql_proxy;
pub mod examples;
pub mod faketime;
pub mod faults;
pub mod kafka_proxy;
pub mod otlp;
pub mod process;
pub mod read;
pub mod role;
pub mod servers;
pub mod wait;
pub mod watch;
