//! No request reaches an address that it must not, by whatever way it is led there: spelling, redirect, name, rebinding, proxy.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use outbound::{
    HostPattern, HttpClient, Limits, Lookup, NetError, SystemLookup, UrlPolicy, UrlRefused,
};
use trustcard_scrape::config::NetworkConfig;
use url::Url;

use crate::origin::{Origin, moved, ok};

pub const LIMITS: Limits = Limits {
    bytes: 1_000_000,
    time: Duration::from_secs(20),
};

pub fn client(allow_loopback: bool, lookup: Arc<dyn Lookup>) -> HttpClient {
    let network = NetworkConfig {
        allow_loopback,
        ..NetworkConfig::default()
    };
    HttpClient::new(&network.client(), lookup).unwrap()
}

pub fn policy(allow_loopback: bool) -> UrlPolicy {
    UrlPolicy::new(
        vec![HostPattern::parse("*.cdn.example").unwrap()],
        allow_loopback,
    )
}

/// Forms that lead to the listener on 127.0.0.1 if nothing stops them, and are refused even where plain loopback is allowed; then
/// every other range.
fn forbidden(port: u16) -> Vec<String> {
    let to_the_trap = [
        "0.0.0.0",
        "0",
        "0x0",
        "00",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ];
    let elsewhere = [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "167772161",
        "0xc0a80001",
        "0300.0250.0.1",
        "[fc00::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::1]",
        "intern.example",
        "127.0.0.1.nip.example",
    ];
    let hosts = to_the_trap.iter().chain(&elsewhere);
    let mut urls: Vec<String> = hosts
        .map(|host| format!("http://{host}:{port}/x"))
        .collect();
    urls.extend([
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://user:pass@127.0.0.1:{port}/"),
        format!("http://a.cdn.example@127.0.0.1:{port}/"),
        format!("ftp://127.0.0.1:{port}/"),
        format!("https://a.cdn.example.:{port}/"),
        format!("https://a.cdn.example:{port}/"),
        "http://a.cdn.example/".into(),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1/".into(),
    ]);
    urls
}

#[tokio::test]
async fn loopback_in_any_spelling_gets_no_connection_where_it_is_not_allowed() {
    let trap = Origin::trap(Ipv4Addr::LOCALHOST.into(), 0).await;
    let port = trap.address.port();
    let client = client(false, Arc::new(SystemLookup));
    let spellings = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "localhost",
        "localhost.",
        "LOCALHOST",
    ];
    let mut urls = forbidden(port);
    for scheme in ["http", "https"] {
        urls.extend(
            spellings
                .iter()
                .map(|host| format!("{scheme}://{host}:{port}/x")),
        );
    }
    for url in urls {
        let Ok(parsed) = Url::parse(&url) else {
            continue;
        };
        let refused = client
            .get(parsed.clone(), &policy(false), LIMITS)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, NetError::UrlRefused(_)),
            "{url}: {refused}"
        );
        // The client itself makes no request for a scheme it doesn't know.
        let Ok(request) = client.request(outbound::Method::GET, parsed).build() else {
            continue;
        };
        let refused = client
            .exchange(request, &policy(false), LIMITS)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, NetError::UrlRefused(_)),
            "{url}: {refused}"
        );
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_address_is_not_followed_at_any_hop() {
    let client = client(true, Arc::new(SystemLookup));
    for hop in 1..=5_usize {
        let trap = Origin::trap(Ipv4Addr::new(127, 0, 0, 1).into(), 0).await;
        for target in forbidden(trap.address.port()) {
            let last = target.clone();
            let origin = Origin::start(move |path| match path[1..].parse::<usize>() {
                Ok(n) if n < hop => moved(&format!("/{}", n + 1)),
                _ => moved(&last),
            })
            .await;
            let start = Url::parse(&origin.url("/1")).unwrap();
            let refused = client.get(start, &policy(true), LIMITS).await.unwrap_err();
            assert!(
                matches!(refused, NetError::UrlRefused(_)),
                "hop {hop} to {target}: {refused}"
            );
            assert_eq!(origin.connections(), hop, "hop {hop} to {target}");
        }
        assert_eq!(trap.connections(), 0);
    }
}

#[tokio::test]
async fn five_redirects_are_followed_and_a_sixth_is_not() {
    let origin = Origin::start(|path| match path[1..].parse::<usize>() {
        Ok(0) => ok(b"there"),
        Ok(left) => moved(&format!("/{}", left - 1)),
        Err(_) => ok(b"?"),
    })
    .await;
    let client = client(true, Arc::new(SystemLookup));
    let get = async |path: &str| {
        let url = Url::parse(&origin.url(path)).unwrap();
        client.get(url, &policy(true), LIMITS).await
    };
    assert_eq!(get("/5").await.unwrap().body, "there");
    assert_eq!(get("/6").await.unwrap_err(), NetError::TooManyRedirects);
    assert_eq!(get("/60").await.unwrap_err(), NetError::TooManyRedirects);
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_refused() {
    let origin = Origin::start(|_| moved("http://")).await;
    let url = Url::parse(&origin.url("/")).unwrap();
    let refused = client(true, Arc::new(SystemLookup))
        .get(url, &policy(true), LIMITS)
        .await;
    assert_eq!(
        refused.unwrap_err(),
        NetError::UrlRefused(UrlRefused::Malformed)
    );
}

/// Answers every look-up with the next of its answers, for ever.
struct Rotating {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Rotating {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self {
            answers: answers.iter().map(parse).collect(),
            asked: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Lookup for Rotating {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers[turn % self.answers.len()].clone())
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_gets_no_connection() {
    let trap = Origin::trap(Ipv4Addr::LOCALHOST.into(), 0).await;
    let port = trap.address.port();
    let lists: [&[&str]; 12] = [
        &["0.0.0.0"],
        &["::ffff:127.0.0.1"],
        &["::"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["100.64.0.1"],
        &["fc00::1"],
        &["fe80::1"],
        &["64:ff9b::7f00:1"],
        // Mixed answers: one forbidden address refuses the name, wherever it stands.
        &["127.0.0.1", "10.0.0.1"],
        &["10.0.0.1", "127.0.0.1"],
        &["127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1"],
    ];
    for answer in lists {
        let client = client(true, Rotating::new(&[answer]));
        let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
        let refused = client.get(url, &policy(true), LIMITS).await.unwrap_err();
        assert!(
            matches!(refused, NetError::AddressRefused(_)),
            "{answer:?}: {refused}"
        );
    }
    // A name on the allow-list that leads to loopback, where loopback is not allowed.
    for answer in [&["127.0.0.1"][..], &["::1"], &["1.2.3.4", "127.0.0.1"]] {
        let client = client(false, Rotating::new(&[answer]));
        let url = Url::parse("https://a.cdn.example/").unwrap();
        let refused = client.get(url, &policy(false), LIMITS).await.unwrap_err();
        assert!(
            matches!(refused, NetError::AddressRefused(_)),
            "{answer:?}: {refused}"
        );
    }
    assert_eq!(trap.connections(), 0);
}

/// A name that answers with an allowed address and then, to whoever asks again, with a forbidden one. The forbidden one leads to a
/// trap on the same port, and every connection is made on exactly one look-up.
#[tokio::test]
async fn rebinding_between_check_and_connect_gains_nothing_in_a_thousand_rounds() {
    let origin = Origin::start(|_| ok(b"fine")).await;
    let port = origin.address.port();
    let trap = Origin::trap(Ipv4Addr::new(127, 0, 0, 2).into(), port).await;
    let lookup = Rotating::new(&[&["127.0.0.1"], &["::ffff:127.0.0.2"]]);
    let client = client(true, Arc::clone(&lookup) as Arc<dyn Lookup>);
    let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
    let (mut fine, mut refused) = (0, 0);
    for round in 1..=1000 {
        match client.get(url.clone(), &policy(true), LIMITS).await {
            Ok(answer) => {
                assert_eq!(answer.body, "fine");
                fine += 1;
            }
            Err(NetError::AddressRefused(_)) => refused += 1,
            Err(other) => panic!("round {round}: {other}"),
        }
        assert_eq!(lookup.asked(), round, "one look-up a connection");
    }
    assert_eq!((fine, refused), (500, 500));
    assert_eq!(origin.connections(), 500);
    assert_eq!(trap.connections(), 0);
}
