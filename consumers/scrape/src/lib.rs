//! The scrape stage: from a submitted URL to the post and its stored media.
//!
//! - [`config`]: everything that may change when the site does, and every cap;
//! - [`upstream`]: the port and its adapters: anonymous web, embed page, operator's session;
//! - [`media`]: pictures and videos, capped in size, time and pixels before anything decodes them;
//! - [`budget`]: how many requests a minute; [`circuit`]: when to make none at all;
//! - [`kept`]: how many posts are kept for reuse;
//! - [`stage`]: claims a submission's run and puts the above together;
//! - [`metrics`]: every metric of this crate.

pub mod budget;
pub mod circuit;
pub mod config;
pub mod kept;
pub mod media;
pub mod metrics;
pub mod stage;
pub mod upstream;

pub use config::ScrapeConfig;
pub use stage::ScrapeStage;
