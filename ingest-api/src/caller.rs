//! Who asks: the address a request came from, believed of proxies only where they are configured, and its pseudonym.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};

mod proxies;
mod pseudonym;

pub use proxies::{Proxies, ProxyHeader};
pub use pseudonym::{Pseudonym, Pseudonyms};

/// What is known of who sent a request; in its extensions.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The client's address, beyond the configured proxies.
    pub address: IpAddr,
}

/// Finds out who sends a request.
pub async fn know(
    State(proxies): State<std::sync::Arc<Proxies>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A server that does not tell has no clients that could be told apart: they share one budget.
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let address = proxies.client(peer, request.headers());
    request.extensions_mut().insert(Caller { address });
    next.run(request).await
}
