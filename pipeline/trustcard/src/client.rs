//! Commands that speak to a running TrustCard over its API, as any caller does.

use anyhow::Result;
use trustcard_client::{Client, Error};

use crate::{cli::ApiArgs, exit::Failure};

pub mod batch;
pub mod results;
pub mod submit;

/// The API that the arguments name.
///
/// # Errors
/// When no HTTP client can be made.
pub fn connect(args: &ApiArgs) -> Result<Client> {
    Client::new(&args.api, args.key.clone()).map_err(told)
}

/// What a command says of a failed request.
pub fn told(error: Error) -> anyhow::Error {
    if matches!(error, Error::Unreachable { .. }) {
        let told =
            format!("{error}; is `trustcard up` running? Another address: --api or TRUSTCARD_URL");
        return Failure::Unavailable(told).into();
    }
    error.into()
}
