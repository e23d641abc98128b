//! Links in a text: http(s) URLs as people paste them, and the registrable domain each leads to.

use std::collections::HashSet;

use linkify::{LinkFinder, LinkKind};
use url::{Host, Url};

/// A link of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The URL as written.
    pub url: String,
    /// Its registrable domain in ASCII, lower case; absent for addresses by number and for hosts no one can register.
    pub domain: Option<String>,
}

/// Byte ranges of every URL of whatever scheme, in text order.
pub(crate) fn url_spans(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    let spans: Vec<_> = finder
        .links(text)
        .map(|link| (link.start(), link.end()))
        .collect();
    spans.into_iter()
}

/// The http(s) links of the parts in order, exact duplicates once.
pub(crate) fn links<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<Link> {
    let mut seen = HashSet::new();
    let mut links = Vec::new();
    for part in parts {
        for (start, end) in url_spans(part) {
            let written = &part[start..end];
            if is_http(written) && seen.insert(written) {
                links.push(Link {
                    url: written.to_owned(),
                    domain: domain(written),
                });
            }
        }
    }
    links
}

fn is_http(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"))
}

/// Where a browser would go: parsed by the URL standard, so that user info, case, trailing dots and full-width letters hide
/// nothing.
fn domain(url: &str) -> Option<String> {
    match Url::parse(url).ok()?.host()? {
        Host::Domain(host) => registrable_domain(host),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// The registrable domain of a host by the public suffix list, private section included.
pub(crate) fn registrable_domain(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    psl::domain_str(&host).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain_of(url: &str) -> Option<String> {
        let found = links([url]);
        assert_eq!(found.len(), 1, "{url}");
        found[0].domain.clone()
    }

    #[test]
    fn a_link_belongs_to_its_registrable_domain() {
        for (url, expected) in [
            ("https://apnews.com/article/1", "apnews.com"),
            ("http://www.bbc.com", "bbc.com"),
            ("https://edition.news.CNN.com/x?y#z", "cnn.com"),
            ("https://www.dailymail.co.uk/news", "dailymail.co.uk"),
            ("https://foo.blogspot.com/2020", "foo.blogspot.com"),
            ("https://someone.github.io/x", "someone.github.io"),
            ("https://infowars.com.", "infowars.com"),
            ("https://infowars.com:8443/a", "infowars.com"),
            ("https://reuters.com@evil.example.net/", "example.net"),
            ("https://notreuters.com/", "notreuters.com"),
            ("HTTPS://WHO.INT/health", "who.int"),
            ("https://bit.ly/3xyz", "bit.ly"),
        ] {
            assert_eq!(domain_of(url).as_deref(), Some(expected), "{url}");
        }
        assert_eq!(domain_of("http://192.0.2.7/x"), None);
        assert_eq!(
            domain_of("https://blogspot.com/"),
            None,
            "a public suffix is nobody's domain"
        );
    }

    #[test]
    fn duplicates_count_once_and_other_schemes_not_at_all() {
        let found = links([
            "Read https://apnews.com/a, then https://apnews.com/b. Again: https://apnews.com/a!",
            "ftp://apnews.com/c www.apnews.com apnews.com (https://apnews.com/b) http://apnews.com/a",
        ]);
        let urls: Vec<_> = found.iter().map(|link| link.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "https://apnews.com/a",
                "https://apnews.com/b",
                "http://apnews.com/a"
            ]
        );
    }
}
