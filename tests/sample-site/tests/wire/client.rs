//! A client of the site that sends what a browser would, or less.

use reqwest::{RequestBuilder, Response, redirect};
use serde_json::{Value, json};
use std::time::Duration;
use trustcard_sample_site::{SampleSite, SiteConfig};

pub const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
pub const APP_ID: &str = "936619743392459";
pub const DOC_ID: &str = "27128499623469141";
pub const OVERSIZE: u64 = 3_000_000;
pub const SLOW: Duration = Duration::from_secs(8);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A site and a client for it. Redirects are not followed.
pub struct Client {
    pub site: SampleSite,
    pub http: reqwest::Client,
}

pub fn http() -> reqwest::Client {
    // The error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap()
}

pub async fn start() -> Client {
    let config = SiteConfig {
        slow: SLOW,
        oversize_bytes: OVERSIZE,
        ..SiteConfig::default()
    };
    Client {
        site: SampleSite::start(config).await.unwrap(),
        http: http(),
    }
}

impl Client {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.site.base_url())
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// The query of a post, with everything the upstream asks for.
    pub fn query_request(&self, shortcode: &str, doc_id: &str) -> RequestBuilder {
        let variables = json!({
            "shortcode": shortcode, "__relay_internal__pv__PolarisAIGMMediaWebLabelEnabledrelayprovider": false,
        });
        self.http
            .post(self.url("/graphql/query"))
            .form(&[
                ("doc_id", doc_id),
                ("variables", &variables.to_string()),
                ("server_timestamps", "true"),
            ])
            .header("X-CSRFToken", TOKEN)
            .header("Cookie", format!("mid=abc; csrftoken={TOKEN}"))
            .header("X-IG-App-ID", APP_ID)
            .header("User-Agent", AGENT)
    }

    pub async fn query(&self, shortcode: &str) -> Response {
        self.query_request(shortcode, DOC_ID).send().await.unwrap()
    }

    /// The post's item, which must be there.
    pub async fn item(&self, shortcode: &str) -> Value {
        let response = self.query(shortcode).await;
        assert_eq!(response.status(), 200, "{shortcode}");
        let body: Value = response.json().await.unwrap();
        body["data"]["xdt_api__v1__media__shortcode__web_info"]["items"][0].clone()
    }

    pub async fn session(&self, pk: &str, session: &str) -> Response {
        self.http
            .get(self.url(&format!("/api/v1/media/{pk}/info/")))
            .header("Cookie", format!("sessionid={session}"))
            .header("X-IG-App-ID", APP_ID)
            .header("User-Agent", AGENT)
            .send()
            .await
            .unwrap()
    }

    pub async fn fetch(&self, url: &str) -> Response {
        self.http.get(url).send().await.unwrap()
    }
}

/// The address of an item's only picture.
pub fn picture(item: &Value) -> String {
    item["image_versions2"]["candidates"][0]["url"]
        .as_str()
        .unwrap()
        .to_owned()
}
