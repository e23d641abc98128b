//! Which URLs may be requested at all. Names are matched against an allow-list; what they resolve to is the resolver's matter.
//! Literal addresses never reach a resolver, so they are judged here.

use std::net::IpAddr;

use url::{Host, Url};

/// A host of an allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every host below this domain, written `*.domain`; not the domain itself.
    Below(String),
}

impl HostPattern {
    /// Reads `host` or `*.domain`, any case.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let domain = lower.strip_prefix("*.").unwrap_or(&lower);
        let is_name = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !domain.split('.').all(is_name) || lower.starts_with("*.") && !domain.contains('.') {
            return Err(format!("`{text}` is neither a host name nor *.domain"));
        }
        let domain = domain.to_owned();
        Ok(if lower.starts_with("*.") {
            Self::Below(domain)
        } else {
            Self::Exact(domain)
        })
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::Below(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
        }
    }
}

/// Why a URL may not be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// It is no absolute URL.
    #[error("it is no absolute URL")]
    Malformed,
    /// Not https.
    #[error("its scheme is not https")]
    Scheme,
    /// A user name or password stands before the host.
    #[error("it names a user or password")]
    UserInfo,
    /// A port other than the scheme's own.
    #[error("it names a port")]
    Port,
    /// The host ends with a dot.
    #[error("its host ends with a dot")]
    TrailingDot,
    /// The host is an address instead of a name, in whatever spelling.
    #[error("its host is an address")]
    Address,
    /// The host is not on the allow-list.
    #[error("its host is not on the allow-list")]
    Host,
}

/// The rules: https, a name on the list, no port, no user info. Where loopback is allowed, http and any port on 127.0.0.0/8, `::1`
/// and `localhost` too.
#[derive(Debug, Clone)]
pub struct UrlPolicy {
    /// `None` is every public name.
    hosts: Option<Vec<HostPattern>>,
    allow_loopback: bool,
}

impl UrlPolicy {
    /// Rules for these hosts.
    #[must_use]
    pub fn new(hosts: Vec<HostPattern>, allow_loopback: bool) -> Self {
        Self {
            hosts: Some(hosts),
            allow_loopback,
        }
    }

    /// Rules for every name there is: what it resolves to must be public all the same.
    #[must_use]
    pub const fn any_host(allow_loopback: bool) -> Self {
        Self {
            hosts: None,
            allow_loopback,
        }
    }

    /// Parses and judges what an upstream answered.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn parse(&self, text: &str) -> Result<Url, UrlRefused> {
        let url = Url::parse(text).map_err(|_| UrlRefused::Malformed)?;
        self.check(&url)?;
        Ok(url)
    }

    /// Judges a URL; every hop of a redirect is judged again.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn check(&self, url: &Url) -> Result<(), UrlRefused> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefused::UserInfo);
        }
        let host = url.host().ok_or(UrlRefused::Malformed)?;
        if self.allow_loopback && is_loopback(&host) && matches!(url.scheme(), "http" | "https") {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(UrlRefused::Scheme);
        }
        let Host::Domain(name) = host else {
            return Err(UrlRefused::Address);
        };
        if name.ends_with('.') {
            return Err(UrlRefused::TrailingDot);
        }
        if url.port().is_some() {
            return Err(UrlRefused::Port);
        }
        let on_list = |hosts: &Vec<HostPattern>| hosts.iter().any(|pattern| pattern.matches(name));
        if !self.hosts.as_ref().is_none_or(on_list) {
            return Err(UrlRefused::Host);
        }
        Ok(())
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
        Host::Domain(name) => *name == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow_loopback: bool) -> UrlPolicy {
        let hosts = ["*.cdn.example", "www.site.example"]
            .iter()
            .map(|host| HostPattern::parse(host).unwrap())
            .collect();
        UrlPolicy::new(hosts, allow_loopback)
    }

    #[test]
    fn names_on_the_list_pass() {
        for url in [
            "https://a.cdn.example/x.jpg?oh=1",
            "https://a.b.CDN.example/",
            "https://a.cdn.example:443/",
            "https://www.site.example/p/x/",
        ] {
            assert!(policy(false).parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn any_name_is_no_address_and_no_other_scheme() {
        let policy = UrlPolicy::any_host(false);
        assert!(policy.parse("https://hooks.partner.example/x").is_ok());
        for (url, expected) in [
            ("http://hooks.partner.example/x", UrlRefused::Scheme),
            ("https://10.0.0.1/x", UrlRefused::Address),
            ("https://[::1]/x", UrlRefused::Address),
            ("https://hooks.partner.example:8443/x", UrlRefused::Port),
            ("https://a:b@hooks.partner.example/x", UrlRefused::UserInfo),
        ] {
            assert_eq!(policy.parse(url).unwrap_err(), expected, "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_its_own_rule() {
        use UrlRefused::{Address, Host, Malformed, Port, Scheme, TrailingDot, UserInfo};
        for (url, expected) in [
            ("https://cdn.example/", Host),
            ("https://evilcdn.example/", Host),
            ("https://a.cdn.example.evil.example/", Host),
            ("https://site.example/", Host),
            ("https://localhost/", Host),
            ("https://a.cdn.example./", TrailingDot),
            ("https://a.cdn.example:8443/", Port),
            ("https://a.cdn.example:80/", Port),
            ("http://a.cdn.example/", Scheme),
            ("ftp://a.cdn.example/", Scheme),
            ("file:///etc/passwd", Malformed),
            ("data:image/png;base64,AAAA", Malformed),
            ("//a.cdn.example/", Malformed),
            ("https://", Malformed),
            ("https://user@a.cdn.example/", UserInfo),
            ("https://user:pass@a.cdn.example/", UserInfo),
            ("https://:pass@a.cdn.example/", UserInfo),
            ("https://a.cdn.example@127.0.0.1/", UserInfo),
            ("https://8.8.8.8/", Address),
            ("https://[2606:4700::1]/", Address),
        ] {
            assert_eq!(policy(false).parse(url).unwrap_err(), expected, "{url}");
        }
    }

    /// The URL parser normalises every spelling that a system's resolver would take for an address.
    #[test]
    fn addresses_are_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0x7f.0x0.0x0.0x1",
            "017700000001",
            "0177.0.0.1",
            "0177.0x0.0.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "100.64.0.1",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fe80::1]",
        ] {
            let refused = policy(false).parse(&format!("https://{host}/x"));
            assert_eq!(refused.unwrap_err(), UrlRefused::Address, "{host}");
        }
    }

    #[test]
    fn where_loopback_is_allowed_nothing_but_loopback_is_added() {
        for url in [
            "http://127.0.0.1:8080/x",
            "https://127.9.9.9:1/x",
            "http://[::1]:8080/x",
            "http://localhost:8080/x",
            "http://2130706433:8080/x",
        ] {
            assert!(policy(true).parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://0.0.0.0:8080/",
            "http://[::]:8080/",
            "http://[::ffff:127.0.0.1]:8080/",
            "http://10.0.0.1/",
            "http://user@127.0.0.1:8080/",
            "ftp://127.0.0.1/",
            "http://localhost.evil.example/",
            "http://a.cdn.example/",
            "https://a.cdn.example:8080/",
        ] {
            assert!(policy(true).parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_pattern_that_would_open_too_much_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "a.*.b",
            "a b",
            "https://a.b",
            "a.b.",
            ".a.b",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            HostPattern::parse("*.Fbcdn.NET"),
            Ok(HostPattern::Below("fbcdn.net".into()))
        );
    }
}
