//! The engine against Apache Kafka: what librdkafka's mock cluster can't show, transactions above all.

mod copying;
mod exactly_once;
mod faults;
mod groups;
mod retries;
mod rig;
