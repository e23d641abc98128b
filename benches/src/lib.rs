//! What every bench shares: spreads, what the kernel says of a process, the report, the work that is measured.
#![warn(missing_docs)]

pub mod connection;
pub mod options;
pub mod process;
pub mod report;
pub mod spread;
pub mod submit;
pub mod work;

pub use connection::Connection;
pub use options::Options;
pub use report::{Figure, Mark, Report};
pub use spread::{Quantiles, Spread};
pub use submit::submit_batch;
