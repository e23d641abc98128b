//! Name resolution that hands on public addresses only. It is the client's only resolver and is asked once a connection, so
//! the address that was checked is the address that is connected: a name that answers differently the next time gains nothing.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::is_global;

/// Looks names up.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// Every address of a name.
    ///
    /// # Errors
    /// When the name has none or nobody could be asked.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// A name led to an address that must not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}, which is not on the public internet")]
pub struct AddressRefused {
    /// The name.
    pub host: String,
    /// The first address that is not allowed.
    pub address: IpAddr,
}

/// A resolver that refuses a name as a whole when one of its addresses is not public: a mixed answer is an attack or a mistake,
/// and which of its addresses would be connected is not ours to choose.
pub struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    allow_loopback: bool,
}

impl GuardedResolver {
    /// A resolver over `lookup`. With `allow_loopback`, 127.0.0.0/8 and `::1` pass too.
    #[must_use]
    pub fn new(lookup: Arc<dyn Lookup>, allow_loopback: bool) -> Self {
        Self {
            lookup,
            allow_loopback,
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allow_loopback) = (Arc::clone(&self.lookup), self.allow_loopback);
        Box::pin(async move {
            let host = name.as_str();
            let found = lookup.lookup(host).await?;
            let refused = found
                .iter()
                .find(|address| !(is_global(**address) || allow_loopback && address.is_loopback()));
            if let Some(address) = refused {
                return Err(AddressRefused {
                    host: host.to_owned(),
                    address: *address,
                }
                .into());
            }
            let checked: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(checked)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<IpAddr>);

    #[async_trait]
    impl Lookup for Fixed {
        async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    async fn resolve(
        addresses: &[&str],
        allow_loopback: bool,
    ) -> Result<Vec<IpAddr>, AddressRefused> {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let resolver = GuardedResolver::new(Arc::new(Fixed(addresses)), allow_loopback);
        match resolver.resolve("name.example".parse().unwrap()).await {
            Ok(found) => Ok(found.map(|address| address.ip()).collect()),
            Err(error) => Err(*error.downcast().unwrap()),
        }
    }

    #[tokio::test]
    async fn public_addresses_are_handed_on_as_they_are_and_in_order() {
        let found = resolve(&["1.2.3.4", "2606:4700::1", "5.6.7.8"], false)
            .await
            .unwrap();
        let expected: Vec<IpAddr> = ["1.2.3.4", "2606:4700::1", "5.6.7.8"]
            .iter()
            .map(|a| a.parse().unwrap())
            .collect();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn one_address_that_is_not_public_refuses_the_name_wherever_it_stands() {
        for addresses in [
            ["10.0.0.1", "1.2.3.4", "5.6.7.8"],
            ["1.2.3.4", "::ffff:10.0.0.1", "5.6.7.8"],
            ["1.2.3.4", "5.6.7.8", "127.0.0.1"],
        ] {
            assert!(resolve(&addresses, false).await.is_err(), "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn loopback_passes_only_where_allowed_and_only_in_its_plain_forms() {
        assert!(resolve(&["127.0.0.1"], false).await.is_err());
        assert!(resolve(&["::1"], false).await.is_err());
        assert!(resolve(&["127.0.0.1", "::1"], true).await.is_ok());
        let mapped = resolve(&["::ffff:127.0.0.1"], true).await.unwrap_err();
        assert_eq!(mapped.host, "name.example");
        assert!(resolve(&["0.0.0.0"], true).await.is_err());
        assert!(resolve(&["192.168.1.1"], true).await.is_err());
    }
}
