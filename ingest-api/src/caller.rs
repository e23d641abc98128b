//! Who asks: the address a request came from, believed of proxies only where they are configured, its pseudonym, and the holder of
//! the key it was sent with. A key is looked at before anything is read of the body.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use secrecy::SecretString;

mod proxies;
mod pseudonym;

pub use proxies::{Proxies, ProxyHeader};
pub use pseudonym::{Pseudonym, Pseudonyms};

use crate::{
    error::ApiError,
    keys::{Holder, Keys},
    rate_limit::is_exempt,
};

/// What is known of who sent a request; in its extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client's address, beyond the configured proxies.
    pub address: IpAddr,
    /// By which key.
    pub identity: Identity,
}

/// By which key a request was sent.
#[derive(Debug, Clone)]
pub enum Identity {
    /// By none.
    Anonymous,
    /// By one of this holder.
    Holder(Holder),
    /// By something that is no key of anybody.
    Refused(ApiError),
    /// The store does not tell whose key it is.
    Unknown(ApiError),
}

impl Caller {
    /// The holder of the key.
    #[must_use]
    pub const fn holder(&self) -> Option<&Holder> {
        match &self.identity {
            Identity::Holder(holder) => Some(holder),
            Identity::Anonymous | Identity::Refused(_) | Identity::Unknown(_) => None,
        }
    }

    /// The name of the holder, under which what it makes is kept.
    #[must_use]
    pub fn owner(&self) -> Option<String> {
        self.holder().map(|holder| holder.name.to_string())
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| {
            tracing::error!("a handler is outside the layers that know the caller");
            ApiError::internal()
        })
    }
}

/// What it takes to know who asks.
#[derive(Debug, Clone)]
pub struct Knowing {
    /// Whose word on addresses is believed.
    pub proxies: Arc<Proxies>,
    /// The keys.
    pub keys: Keys,
    /// Longest wait for the store to tell whose key it is.
    pub patience: Duration,
}

/// Finds out who sends a request.
pub async fn know(State(knowing): State<Knowing>, mut request: Request, next: Next) -> Response {
    // A server that does not tell has no clients that could be told apart: they share one budget.
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let address = knowing.proxies.client(peer, request.headers());
    // What probes and scrapers ask needs no key, and must not depend on the store.
    let identity = if is_exempt(request.uri().path()) {
        Identity::Anonymous
    } else {
        knowing.identify(request.headers()).await
    };
    request
        .extensions_mut()
        .insert(Caller { address, identity });
    next.run(request).await
}

/// Answers who sent a key that is of no use, once the rate limit has counted it.
pub async fn admit(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>();
    match caller.map(|caller| &caller.identity) {
        Some(Identity::Refused(error) | Identity::Unknown(error)) => error.clone().into_response(),
        _ => next.run(request).await,
    }
}

impl Knowing {
    async fn identify(&self, headers: &HeaderMap) -> Identity {
        let key = match presented(headers) {
            Ok(None) => return Identity::Anonymous,
            Ok(Some(key)) => key,
            Err(refused) => return Identity::Refused(refused),
        };
        match tokio::time::timeout(self.patience, self.keys.holder(&key)).await {
            Ok(Ok(Some(holder))) => Identity::Holder(holder),
            Ok(Ok(None)) => {
                Identity::Refused(ApiError::key_refused("The key is unknown or was revoked."))
            }
            Ok(Err(error)) => Identity::Unknown(ApiError::database("read keys", &error)),
            Err(_) => {
                tracing::error!("the store did not tell in time whose key it is");
                Identity::Unknown(ApiError::timed_out())
            }
        }
    }
}

/// The key that was sent, if any was.
fn presented(headers: &HeaderMap) -> Result<Option<SecretString>, ApiError> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let key = first.to_str().ok().and_then(|text| {
        let (scheme, key) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    match (key, all.next()) {
        (Some(key), None) if !key.is_empty() => Ok(Some(key.into())),
        _ => Err(ApiError::key_refused(
            "The Authorization header must be sent once, as Bearer <key>.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(header::AUTHORIZATION, value);
        }
        presented(&headers).map(|key| key.map(|key| key.expose_secret().to_owned()))
    }

    #[test]
    fn a_key_is_sent_once_as_bearer() {
        assert_eq!(read(&[]).unwrap(), None);
        for good in ["Bearer abc", "bearer abc", "BEARER   abc "] {
            assert_eq!(read(&[good]).unwrap().as_deref(), Some("abc"), "{good}");
        }
        for odd in [
            &[""][..],
            &["Bearer"],
            &["Bearer "],
            &["Basic abc"],
            &["abc"],
            &["Bearer é"],
            &["Bearer abc", "Bearer abc"],
        ] {
            let error = read(odd).unwrap_err();
            assert_eq!(error.code(), crate::error::Code::Unauthorized, "{odd:?}");
        }
    }
}
