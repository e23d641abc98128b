//! The way out, for whoever must ask an address that a stranger chose: one HTTP client, and the rules about where it may go. It
//! reaches public addresses alone, whatever a name resolves to, whatever a redirect says.

mod address;
mod client;
mod resolver;
mod retry_after;
mod url_policy;

pub use address::is_global;
pub use client::{Answer, ClientConfig, ClientError, HttpClient, Limits, NetError};
pub use reqwest::{Method, Request, RequestBuilder, StatusCode, header};
pub use resolver::{AddressRefused, GuardedResolver, Lookup, SystemLookup};
pub use retry_after::retry_after;
pub use url_policy::{HostPattern, UrlPolicy, UrlRefused};
