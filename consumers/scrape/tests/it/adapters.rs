//! The adapters against a server that answers in the upstream's wire shapes.

use std::sync::Arc;

use outbound::SystemLookup;
use schemas::{PostRef, events::scraped::PostKind};
use serde_json::{Value, json};
use trustcard_scrape::{
    ScrapeConfig,
    circuit::Breaker,
    config::CircuitConfig,
    metrics::Metrics,
    upstream::{FetchedPost, Upstream, UpstreamError, connect},
};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use crate::addresses::client;

pub const CODE: &str = "CHAIm2sHSQZ";
pub const INFO_PATH: &str = "/api/v1/media/2431981653214438425/info/";
pub const EMBED_PATH: &str = "/p/CHAIm2sHSQZ/embed/captioned/";
pub const QUERY_PATH: &str = "/graphql/query";
const SECRET: &str = "31415926535%3Atop-secret";

pub struct World {
    pub server: MockServer,
    pub upstream: Arc<dyn Upstream>,
    registry: prometheus::Registry,
}

impl World {
    /// A site whose pages hand out CSRF tokens `token-0`, `token-1`, ...; `with_session` turns the session adapter on.
    pub async fn new(with_session: bool) -> Self {
        Self::configured(with_session, 15_000).await
    }

    /// The same without a session, and with a limit on the time of one answer.
    pub async fn with_timeout(timeout_ms: u64) -> Self {
        Self::configured(false, timeout_ms).await
    }

    async fn configured(with_session: bool, timeout_ms: u64) -> Self {
        let server = MockServer::start().await;
        let next = std::sync::atomic::AtomicUsize::new(0);
        Mock::given(method("GET"))
            .and(path("/"))
            .respond_with(move |_: &Request| {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                ResponseTemplate::new(200)
                    .append_header(
                        "set-cookie",
                        format!("csrftoken=token-{number}; Path=/; Secure"),
                    )
                    .append_header("set-cookie", "mid=abc; HttpOnly")
            })
            .mount(&server)
            .await;
        let mut upstream = json!({"base_url": server.uri(), "timeout_ms": timeout_ms});
        if with_session {
            upstream["session_id"] = json!(SECRET);
        }
        let config: ScrapeConfig = serde_json::from_value(json!({
            "upstream": upstream, "network": {"allow_loopback": true},
            "budget": {"egress_per_minute": 1_000_000, "session_per_minute": 1_000_000},
        }))
        .unwrap();
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let http = client(true, Arc::new(SystemLookup));
        let upstream = connect(&config, http, metrics).unwrap();
        Self {
            server,
            upstream,
            registry,
        }
    }

    pub async fn on(&self, on_path: &str, answer: ResponseTemplate) {
        Mock::given(path(on_path))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    pub async fn fetch(&self) -> Result<FetchedPost, UpstreamError> {
        let post = PostRef {
            post_id: CODE.into(),
            url: format!("https://www.instagram.com/p/{CODE}/"),
        };
        let gauge = prometheus::IntGauge::new("circuit", "circuit").unwrap();
        let leave = Breaker::new(&CircuitConfig::default(), gauge)
            .admit()
            .unwrap();
        self.upstream.fetch(&post, &leave).await
    }

    pub async fn requests(&self, to: &str) -> Vec<Request> {
        let all = self.server.received_requests().await.unwrap();
        all.into_iter()
            .filter(|request| request.url.path() == to)
            .collect()
    }

    pub fn metrics(&self) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap()
    }
}

fn item(server: &MockServer) -> Value {
    json!({
        "code": CODE, "media_type": 1, "caption": {"text": "High tide."}, "user": {"username": "tide.watch"},
        "image_versions2": {"candidates": [{"url": format!("{}/a.jpg", server.uri()), "width": 640, "height": 480}]},
    })
}

pub fn query_answer(server: &MockServer) -> ResponseTemplate {
    let items = json!({"data": {"xdt_api__v1__media__shortcode__web_info": {"items": [item(server)]}}, "status": "ok"});
    ResponseTemplate::new(200).set_body_json(items)
}

pub fn info_answer(server: &MockServer) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"items": [item(server)], "status": "ok"}))
}

pub fn embed_answer(server: &MockServer) -> ResponseTemplate {
    let html = format!(
        "<div class=\"Embed\" data-media-type=\"GraphImage\"><img class=\"EmbeddedMediaImage\" src=\"{}/e.jpg\">\
         <div class=\"Caption\"><a class=\"CaptionUsername\">tide.watch</a><br/>High tide.</div></div>",
        server.uri()
    );
    ResponseTemplate::new(200).set_body_string(html)
}

pub fn retired() -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"errors": [{"message": "execution error"}], "data": null}))
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request
        .headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_anonymous_query_is_the_one_the_site_expects() {
    let world = World::new(false).await;
    world.on(QUERY_PATH, query_answer(&world.server)).await;
    let fetched = world.fetch().await.unwrap();
    assert_eq!(
        (fetched.post.adapter.as_str(), fetched.post.kind),
        ("web", PostKind::Photo)
    );
    assert_eq!(fetched.sources[0].as_ref().unwrap().path(), "/a.jpg");
    let requests = world.requests(QUERY_PATH).await;
    let [request] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(header(request, "x-csrftoken"), "token-0");
    assert_eq!(header(request, "cookie"), "csrftoken=token-0; mid=abc");
    assert_eq!(header(request, "x-ig-app-id"), "936619743392459");
    assert!(header(request, "user-agent").starts_with("Mozilla/5.0 "));
    assert_eq!(
        header(request, "content-type"),
        "application/x-www-form-urlencoded"
    );
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body)
        .into_owned()
        .collect();
    let value = |name: &str| &form.iter().find(|(key, _)| key == name).unwrap().1;
    assert_eq!(value("doc_id"), "27128499623469141");
    assert_eq!(value("server_timestamps"), "true");
    let variables: Value = serde_json::from_str(value("variables")).unwrap();
    let flag = "__relay_internal__pv__PolarisAIGMMediaWebLabelEnabledrelayprovider";
    assert_eq!(variables, json!({"shortcode": CODE, flag: false}));
}

#[tokio::test]
async fn the_csrf_cookie_is_fetched_once_and_used_again() {
    let world = World::new(false).await;
    world.on(QUERY_PATH, query_answer(&world.server)).await;
    let all = futures::future::join_all((0..10).map(|_| world.fetch())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(world.requests("/").await.len(), 1);
    assert_eq!(world.requests(QUERY_PATH).await.len(), 10);
}

#[tokio::test]
async fn a_403_is_answered_by_one_fresh_cookie() {
    let world = World::new(false).await;
    Mock::given(path(QUERY_PATH))
        .and(|request: &Request| header(request, "x-csrftoken") == "token-0")
        .respond_with(ResponseTemplate::new(403))
        .mount(&world.server)
        .await;
    world.on(QUERY_PATH, query_answer(&world.server)).await;
    assert_eq!(world.fetch().await.unwrap().post.adapter, "web");
    assert_eq!(world.requests("/").await.len(), 2);
    assert_eq!(world.requests(EMBED_PATH).await.len(), 0);
}

#[tokio::test]
async fn a_site_without_the_cookie_is_a_changed_shape_and_the_embed_page_is_asked() {
    let world = World::new(false).await;
    world.server.reset().await;
    world.on("/", ResponseTemplate::new(200)).await;
    world.on(EMBED_PATH, embed_answer(&world.server)).await;
    assert_eq!(world.fetch().await.unwrap().post.adapter, "embed");
    assert_eq!(world.requests(QUERY_PATH).await.len(), 0);
}

#[tokio::test]
async fn the_session_asks_by_number_with_the_operators_cookie() {
    let world = World::new(true).await;
    world.on(INFO_PATH, info_answer(&world.server)).await;
    assert_eq!(world.fetch().await.unwrap().post.adapter, "session");
    let requests = world.requests(INFO_PATH).await;
    let [request] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(request.method.as_str(), "GET");
    assert_eq!(
        header(request, "cookie"),
        format!("csrftoken=token-0; mid=abc; sessionid={SECRET}")
    );
    assert_eq!(header(request, "x-csrftoken"), "token-0");
    assert_eq!(header(request, "x-ig-app-id"), "936619743392459");
    assert!(
        world
            .requests("/")
            .await
            .iter()
            .all(|request| header(request, "cookie").is_empty())
    );
}

#[tokio::test]
async fn the_operators_cookie_never_goes_to_the_anonymous_ways() {
    let world = World::new(true).await;
    world.on(INFO_PATH, ResponseTemplate::new(502)).await;
    world.on(QUERY_PATH, retired()).await;
    world.on(EMBED_PATH, embed_answer(&world.server)).await;
    assert_eq!(world.fetch().await.unwrap().post.adapter, "embed");
    for at in ["/", QUERY_PATH, EMBED_PATH] {
        for request in world.requests(at).await {
            assert!(!header(&request, "cookie").contains("sessionid"), "{at}");
        }
    }
}

#[tokio::test]
async fn a_challenged_session_is_off_for_good_and_the_anonymous_way_goes_on() {
    for message in ["checkpoint_required", "challenge_required"] {
        let world = World::new(true).await;
        let challenge = json!({"message": message, "lock": true, "status": "fail"});
        world
            .on(
                INFO_PATH,
                ResponseTemplate::new(400).set_body_json(challenge),
            )
            .await;
        world.on(QUERY_PATH, query_answer(&world.server)).await;
        assert!(
            world
                .metrics()
                .contains("trustcard_upstream_session_usable 1")
        );
        for _ in 0..3 {
            assert_eq!(world.fetch().await.unwrap().post.adapter, "web");
        }
        assert_eq!(world.requests(INFO_PATH).await.len(), 1, "{message}");
        assert!(
            world
                .metrics()
                .contains("trustcard_upstream_session_usable 0")
        );
    }
}

#[tokio::test]
async fn a_refused_session_gets_one_fresh_cookie_and_then_rests() {
    let world = World::new(true).await;
    world
        .on(
            INFO_PATH,
            ResponseTemplate::new(302).append_header("location", "/accounts/login/"),
        )
        .await;
    world.on(QUERY_PATH, query_answer(&world.server)).await;
    for _ in 0..3 {
        assert_eq!(world.fetch().await.unwrap().post.adapter, "web");
    }
    assert_eq!(world.requests(INFO_PATH).await.len(), 2);
    assert_eq!(
        world.requests("/accounts/login/").await.len(),
        0,
        "a login redirect is not followed"
    );
}

#[tokio::test]
async fn a_session_that_says_the_post_is_gone_is_believed() {
    for answer in [
        ResponseTemplate::new(404),
        ResponseTemplate::new(200).set_body_json(json!({"items": []})),
    ] {
        let world = World::new(true).await;
        world.on(INFO_PATH, answer).await;
        assert_eq!(world.fetch().await.unwrap_err(), UpstreamError::Unavailable);
        assert_eq!(world.requests(QUERY_PATH).await.len(), 0);
    }
}

#[tokio::test]
async fn with_every_way_closed_the_sessions_trouble_is_told() {
    let world = World::new(true).await;
    let challenge = json!({"message": "checkpoint_required", "status": "fail"});
    world
        .on(
            INFO_PATH,
            ResponseTemplate::new(400).set_body_json(challenge),
        )
        .await;
    world.on(QUERY_PATH, ResponseTemplate::new(403)).await;
    world.on(EMBED_PATH, ResponseTemplate::new(403)).await;
    for _ in 0..2 {
        assert_eq!(world.fetch().await.unwrap_err(), UpstreamError::Challenge);
    }
}

#[tokio::test]
async fn an_answer_over_the_cap_is_a_changed_shape() {
    let world = World::new(false).await;
    let huge = vec![b' '; 4 * 1024 * 1024 + 1];
    world
        .on(QUERY_PATH, ResponseTemplate::new(200).set_body_bytes(huge))
        .await;
    world.on(EMBED_PATH, ResponseTemplate::new(404)).await;
    assert_eq!(world.fetch().await.unwrap_err().kind(), "shape_changed");
}

#[tokio::test]
async fn a_site_that_is_not_there_is_unreachable_and_asked_once() {
    let world = World::new(false).await;
    // Taken, so that no other test gets the port, and nobody listens.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let site = format!("http://{}", nobody.local_addr().unwrap());
    let config: ScrapeConfig = serde_json::from_value(json!({
        "upstream": {"base_url": site}, "network": {"allow_loopback": true},
    }))
    .unwrap();
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let upstream = connect(&config, client(true, Arc::new(SystemLookup)), metrics).unwrap();
    let gone = World {
        upstream,
        registry,
        ..world
    };
    assert_eq!(gone.fetch().await.unwrap_err().kind(), "unreachable");
    let text = gone.metrics();
    assert!(
        text.contains("requests_total{adapter=\"web\",answer=\"unreachable\"} 1"),
        "{text}"
    );
    let mut embed = text
        .lines()
        .filter(|line| line.contains("adapter=\"embed\""));
    assert!(embed.all(|line| line.ends_with(" 0")), "{text}");
}
