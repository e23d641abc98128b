//! The way out: one HTTP client, and the rules about where it may go.

mod address;
mod client;
mod resolver;
mod url_policy;

pub use address::is_global;
pub use client::{Answer, ClientError, HttpClient, Limits, NetError};
pub use resolver::{AddressRefused, GuardedResolver, Lookup, SystemLookup};
pub use url_policy::{HostPattern, UrlPolicy, UrlRefused};
