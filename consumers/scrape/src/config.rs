//! Settings of the scrape stage. Defaults are what the site took in September 2026; none of it is promised, so all of it is
//! configuration.

use std::time::Duration;

use outbound::{ClientConfig, HostPattern, UrlPolicy};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

/// Everything the stage can be told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScrapeConfig {
    /// The site and its adapters.
    pub upstream: UpstreamConfig,
    /// Where requests may go and how they are made.
    pub network: NetworkConfig,
    /// Caps on media.
    pub media: MediaConfig,
    /// Requests a minute.
    pub budget: BudgetConfig,
    /// When to stop asking.
    pub circuit: CircuitConfig,
}

/// The site and its adapters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Address of the site; requests go to paths below it and to no other host.
    pub base_url: String,
    /// Path of a page that hands out the `csrftoken` cookie.
    pub csrf_path: String,
    /// Id of the query by shortcode (PolarisPostRootQuery); the site retires them every few months.
    pub doc_id: String,
    /// `X-IG-App-ID`: the id of the site's own web application.
    pub app_id: String,
    /// The `sessionid` cookie of the operator's account; without it the session adapter is off. Never printed.
    #[serde(skip_serializing)]
    pub session_id: Option<SecretString>,
    /// After the site refused the session, the adapter rests this long, in seconds.
    pub session_rest_s: u64,
    /// Longest answer, in bytes.
    pub max_answer_bytes: u64,
    /// Time for one answer, in milliseconds.
    pub timeout_ms: u64,
    /// Most media of one post; the site allows 20.
    pub max_media: usize,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            base_url: "https://www.instagram.com".into(),
            csrf_path: "/".into(),
            doc_id: "27128499623469141".into(),
            app_id: "936619743392459".into(),
            session_id: None,
            session_rest_s: 600,
            max_answer_bytes: 4 * 1024 * 1024,
            timeout_ms: 15_000,
            max_media: 20,
        }
    }
}

/// Where requests may go and how they are made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// A browser's name; the site refuses others.
    pub user_agent: String,
    /// Time to connect, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Hosts that media may come from: names or `*.domain`.
    pub media_hosts: Vec<String>,
    /// Whether loopback may be reached, by http and on any port. For the demo and tests only.
    pub allow_loopback: bool,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
                         Safari/537.36"
                .into(),
            connect_timeout_ms: 5_000,
            media_hosts: vec!["*.cdninstagram.com".into(), "*.fbcdn.net".into()],
            allow_loopback: false,
        }
    }
}

impl NetworkConfig {
    /// How requests are made.
    #[must_use]
    pub fn client(&self) -> ClientConfig<'_> {
        ClientConfig {
            user_agent: &self.user_agent,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            allow_loopback: self.allow_loopback,
        }
    }
}

/// Caps on media.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaConfig {
    /// Largest picture, in bytes.
    pub max_image_bytes: u64,
    /// Largest video, in bytes.
    pub max_video_bytes: u64,
    /// Most pixels of a picture, width times height.
    pub max_pixels: u64,
    /// Time for one file, in milliseconds, redirects and a second attempt included.
    pub timeout_ms: u64,
    /// Bytes that all downloads together may hold in memory; each counts with its cap. At least `max_video_bytes`.
    pub memory_bytes: u64,
}

impl Default for MediaConfig {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            max_image_bytes: 8 * MIB,
            max_video_bytes: 32 * MIB,
            max_pixels: 16_000_000,
            timeout_ms: 30_000,
            memory_bytes: 96 * MIB,
        }
    }
}

/// Requests a minute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// Anonymous requests a minute from one address, all instances together.
    pub egress_per_minute: u32,
    /// Requests a minute with the operator's session, all instances together.
    pub session_per_minute: u32,
    /// Instances of the stage that share the address and the session; each takes its part.
    pub instances: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            egress_per_minute: 20,
            session_per_minute: 30,
            instances: 1,
        }
    }
}

/// When to stop asking.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitConfig {
    /// The circuit opens after this many failures in a row. Where the post may be at fault, only different posts count.
    pub failures: u32,
    /// First pause, in seconds; each failed probe doubles it.
    pub pause_s: u64,
    /// Longest pause, in seconds.
    pub max_pause_s: u64,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            pause_s: 10,
            max_pause_s: 300,
        }
    }
}

/// A setting that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scrape.{key}: {problem}")]
pub struct InvalidConfig {
    /// The setting, such as `media.max_pixels`.
    pub key: &'static str,
    /// What to change.
    pub problem: String,
}

fn invalid(key: &'static str, problem: impl Into<String>) -> InvalidConfig {
    InvalidConfig {
        key,
        problem: problem.into(),
    }
}

impl ScrapeConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first one that can't be used.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every setting that can't be used.
    #[must_use]
    pub fn problems(&self) -> Vec<InvalidConfig> {
        let mut problems: Vec<_> = self.site().err().into_iter().collect();
        problems.extend(self.media_policy().err());
        let upstream = &self.upstream;
        if !upstream.csrf_path.starts_with('/') {
            problems.push(invalid("upstream.csrf_path", "must begin with /"));
        }
        for (key, id) in [
            ("upstream.doc_id", &upstream.doc_id),
            ("upstream.app_id", &upstream.app_id),
        ] {
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
                problems.push(invalid(key, "must be a number"));
            }
        }
        let is_cookie = |value: &SecretString| {
            let value = value.expose_secret();
            !value.is_empty()
                && value
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(&b))
        };
        if !upstream.session_id.as_ref().is_none_or(is_cookie) {
            problems.push(invalid(
                "upstream.session_id",
                "must be the value of the sessionid cookie, as the browser shows it",
            ));
        }
        let agent = &self.network.user_agent;
        if agent.is_empty() || !agent.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            problems.push(invalid(
                "network.user_agent",
                "must be printable ASCII and not empty",
            ));
        }
        for (key, value) in [
            ("upstream.max_answer_bytes", upstream.max_answer_bytes),
            ("upstream.timeout_ms", upstream.timeout_ms),
            ("upstream.max_media", upstream.max_media as u64),
            (
                "network.connect_timeout_ms",
                self.network.connect_timeout_ms,
            ),
            ("media.max_image_bytes", self.media.max_image_bytes),
            ("media.max_video_bytes", self.media.max_video_bytes),
            ("media.max_pixels", self.media.max_pixels),
            ("media.timeout_ms", self.media.timeout_ms),
            (
                "budget.egress_per_minute",
                self.budget.egress_per_minute.into(),
            ),
            (
                "budget.session_per_minute",
                self.budget.session_per_minute.into(),
            ),
            ("budget.instances", self.budget.instances.into()),
            ("circuit.failures", self.circuit.failures.into()),
            ("circuit.pause_s", self.circuit.pause_s),
        ] {
            if value == 0 {
                problems.push(invalid(key, "must be at least 1"));
            }
        }
        let largest = self.media.max_image_bytes.max(self.media.max_video_bytes);
        if self.media.memory_bytes < largest {
            problems.push(invalid(
                "media.memory_bytes",
                format!("must be at least {largest}, the largest file allowed"),
            ));
        }
        if self.circuit.max_pause_s < self.circuit.pause_s {
            problems.push(invalid(
                "circuit.max_pause_s",
                "must be at least circuit.pause_s",
            ));
        }
        problems
    }

    /// The site's address and the rules for requests to it: its own host alone.
    ///
    /// # Errors
    /// When the address is none.
    pub fn site(&self) -> Result<(Url, UrlPolicy), InvalidConfig> {
        let key = "upstream.base_url";
        let mut url = Url::parse(&self.upstream.base_url)
            .map_err(|error| invalid(key, format!("is no URL: {error}")))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid(key, "must have neither query nor fragment"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let hosts = url.domain().map(HostPattern::parse).transpose();
        let hosts = hosts.map_err(|problem| invalid(key, problem))?;
        let policy = UrlPolicy::new(hosts.into_iter().collect(), self.network.allow_loopback);
        policy
            .check(&url)
            .map_err(|refused| invalid(key, format!("may not be requested: {refused}")))?;
        Ok((url, policy))
    }

    /// The rules for media.
    ///
    /// # Errors
    /// When a host is none.
    pub fn media_policy(&self) -> Result<UrlPolicy, InvalidConfig> {
        let hosts: Result<Vec<_>, _> = self
            .network
            .media_hosts
            .iter()
            .map(|host| HostPattern::parse(host))
            .collect();
        let hosts = hosts.map_err(|problem| invalid("network.media_hosts", problem))?;
        Ok(UrlPolicy::new(hosts, self.network.allow_loopback))
    }
}

#[cfg(test)]
mod tests;
