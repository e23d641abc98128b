//! One file a group of paths. A handler reads the request, asks the store or [`crate::intake`], and shapes the answer.

pub mod analyze;
pub mod batch;
pub mod batches;
pub mod cache;
pub mod deletion;
pub mod docs;
pub mod events;
pub mod feedback;
pub mod health;
pub mod home;
pub mod pipeline;
pub mod probes;
pub mod quota;
pub mod reports;
pub mod results;
pub mod status;
pub mod webhooks;
