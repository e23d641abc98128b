//! The address of a client behind proxies.
//!
//! What a header says is believed only if the connection comes from a configured proxy, and of a list of hops only what
//! configured proxies have added: it is read from its end, and the first address that is none of them is the client. Whatever
//! stands before that was sent by the client, who may write what it likes. Only the headers in `proxy_headers` are read, because a
//! proxy passes on those it does not know: name none that the proxy doesn't set.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Most hops that are looked at, from the last.
const MOST_HOPS: usize = 32;

/// A header by which proxies tell who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For: client, proxy, ...`
    XForwardedFor,
    /// `Forwarded: for=client;proto=https, for=proxy` (RFC 7239).
    Forwarded,
    /// `X-Real-IP: client`
    XRealIp,
}

impl ProxyHeader {
    fn name(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::XRealIp => "x-real-ip",
        })
    }

    /// The address that a hop names; `None` for an obfuscated or broken one.
    fn address(self, hop: &str) -> Option<IpAddr> {
        match self {
            Self::XForwardedFor | Self::XRealIp => node(hop.trim()),
            Self::Forwarded => hop.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let value = value.trim();
                let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                name.trim()
                    .eq_ignore_ascii_case("for")
                    .then(|| node(bare.unwrap_or(value)))?
            }),
        }
    }
}

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    headers: Vec<ProxyHeader>,
}

impl Proxies {
    /// Believes proxies in these networks, and of these headers the first that a request has.
    #[must_use]
    pub fn new(trusted: Vec<IpNet>, headers: Vec<ProxyHeader>) -> Self {
        Self { trusted, headers }
    }

    /// The client of a request that came over a connection from `peer`.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let present = self.headers.iter().copied();
        let Some(header) = present.into_iter().find(|h| headers.contains_key(h.name())) else {
            return peer;
        };
        // Lines of one header are one list, in their order.
        let lines = headers.get_all(header.name()).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        let mut client = peer;
        for hop in hops.take(MOST_HOPS) {
            // What a proxy could not name is counted as that proxy's own.
            let Some(address) = header.address(hop) else {
                break;
            };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: IpAddr = text
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(bare)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";
    const CLIENT: &str = "203.0.113.9";
    const LIAR: &str = "198.51.100.66";

    fn proxies(headers: &[ProxyHeader]) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        Proxies::new(trusted.to_vec(), headers.to_vec())
    }

    fn client(headers: &[ProxyHeader], peer: &str, sent: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in sent {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let client = proxies(headers).client(peer.parse().unwrap(), &map);
        client.to_string()
    }

    #[test]
    fn nobody_but_a_configured_proxy_is_believed() {
        let all = [
            ProxyHeader::XForwardedFor,
            ProxyHeader::Forwarded,
            ProxyHeader::XRealIp,
        ];
        let lie = format!("for={LIAR}");
        let lies = [
            ("x-forwarded-for", LIAR),
            ("forwarded", lie.as_str()),
            ("x-real-ip", LIAR),
        ];
        assert_eq!(client(&all, CLIENT, &lies), CLIENT);
        let nobody = Proxies::default();
        let mut map = HeaderMap::new();
        map.insert("x-forwarded-for", HeaderValue::from_static(LIAR));
        let peer: IpAddr = PROXY.parse().unwrap();
        assert_eq!(nobody.client(peer, &map), peer, "none is configured");
    }

    #[test]
    fn of_a_list_only_what_proxies_added_counts() {
        let xff = [ProxyHeader::XForwardedFor];
        for (sent, expected) in [
            (&[CLIENT][..], CLIENT),
            // The client wrote the beginning; also as if it were a proxy of ours.
            (&["198.51.100.66, 203.0.113.9"], CLIENT),
            (&["10.0.0.7, 203.0.113.9, 10.0.0.2"], CLIENT),
            (&["10.0.0.7,198.51.100.66,,203.0.113.9,10.0.0.2"], CLIENT),
            // Lines are one list.
            (&[LIAR, CLIENT], CLIENT),
            (&["198.51.100.66", "203.0.113.9, 10.0.0.2"], CLIENT),
            // Only proxies: the farthest.
            (&["10.0.0.7, 10.0.0.2"], "10.0.0.7"),
            // What the last proxy could not name is its own.
            (&["203.0.113.9, unknown"], PROXY),
            (&["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            (&[""], PROXY),
            (&["203.0.113.9:4711"], CLIENT),
            (&["[2001:db8::9]:4711"], "2001:db8::9"),
            (&["2001:db8::9"], "2001:db8::9"),
            (&["::ffff:203.0.113.9"], CLIENT),
            (&["198.51.100.66, \u{e9}203.0.113.9"], PROXY),
        ] {
            let sent: Vec<_> = sent.iter().map(|line| ("x-forwarded-for", *line)).collect();
            assert_eq!(client(&xff, PROXY, &sent), expected, "{sent:?}");
        }
    }

    #[test]
    fn endless_lists_are_not_read_to_their_beginning() {
        let list = format!("{CLIENT}{}", ", 10.0.0.2".repeat(1000));
        let sent = [("x-forwarded-for", list.as_str())];
        assert_eq!(
            client(&[ProxyHeader::XForwardedFor], PROXY, &sent),
            "10.0.0.2"
        );
    }

    #[test]
    fn the_standard_header_is_read_in_all_its_forms() {
        let forwarded = [ProxyHeader::Forwarded];
        for (sent, expected) in [
            ("for=203.0.113.9", CLIENT),
            ("For=\"203.0.113.9:80\";proto=http;by=10.0.0.1", CLIENT),
            ("proto=https;for=\"[2001:db8::9]:4711\"", "2001:db8::9"),
            (
                "for=198.51.100.66, for=203.0.113.9;proto=http, for=10.0.0.2",
                CLIENT,
            ),
            ("for=198.51.100.66, for=_hidden", PROXY),
            ("for=198.51.100.66, for=unknown, for=10.0.0.2", "10.0.0.2"),
            ("proto=https", PROXY),
            ("for", PROXY),
        ] {
            assert_eq!(
                client(&forwarded, PROXY, &[("forwarded", sent)]),
                expected,
                "{sent}"
            );
        }
    }

    #[test]
    fn only_named_headers_are_read_and_the_first_of_them_wins() {
        let sent = [("x-forwarded-for", LIAR), ("x-real-ip", CLIENT)];
        assert_eq!(client(&[ProxyHeader::XRealIp], PROXY, &sent), CLIENT);
        let both = [ProxyHeader::XForwardedFor, ProxyHeader::XRealIp];
        assert_eq!(client(&both, PROXY, &sent), LIAR, "as configured");
        assert_eq!(client(&both, PROXY, &[("x-real-ip", CLIENT)]), CLIENT);
        assert_eq!(client(&[], PROXY, &sent), PROXY);
        let lie = format!("for={LIAR}");
        let sent = [("forwarded", lie.as_str()), ("x-forwarded-for", CLIENT)];
        assert_eq!(client(&both, PROXY, &sent), CLIENT);
    }

    #[test]
    fn a_proxy_that_connects_over_mapped_addresses_is_the_same_proxy() {
        let sent = [("x-forwarded-for", CLIENT)];
        let xff = [ProxyHeader::XForwardedFor];
        assert_eq!(client(&xff, "::ffff:10.0.0.1", &sent), CLIENT);
        assert_eq!(client(&xff, "fd00::1", &sent), CLIENT);
    }
}
