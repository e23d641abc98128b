//! Tells partners when their analyses and batches have ended, at the addresses they named. It reads the results topic like any other
//! consumer of it.
//!
//! - [`stage`]: a result in, every webhook that asked for it told;
//! - [`batches`]: looks which batches have ended;
//! - [`sender`]: one message to one webhook, signed, logged, never twice once it was taken;
//! - [`rest`]: a webhook that does not answer is left alone for a while, so that others do not wait behind it;
//! - [`config`]: settings; [`metrics`]: what operators count.

pub mod batches;
pub mod config;
pub mod metrics;
pub mod rest;
pub mod sender;
pub mod stage;

pub use batches::Batches;
pub use config::WebhookConfig;
pub use metrics::Metrics;
pub use sender::Sender;
pub use stage::WebhookStage;

/// Name of the stage, of its consumer group and of its dead letters.
pub const NAME: &str = "webhook";
