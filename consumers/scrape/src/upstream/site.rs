//! What the adapters share: one way to ask the site, within the budget and counted, and the CSRF cookies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use outbound::{
    Answer, HttpClient, Limits, Method, RequestBuilder, UrlPolicy,
    header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::{
    Adapter, UpstreamError,
    answers::{no_answer, page, shape_changed},
};
use crate::{
    budget::Budget,
    circuit::Ticket,
    config::{InvalidConfig, ScrapeConfig},
    metrics::Metrics,
};

const CSRF_COOKIE: &str = "csrftoken";
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrftoken");
const APP_ID_HEADER: HeaderName = HeaderName::from_static("x-ig-app-id");
/// Longest cookie header that is sent back, in bytes.
const MAX_COOKIES: usize = 4096;

/// The site.
pub struct Site {
    http: HttpClient,
    base: Url,
    policy: UrlPolicy,
    limits: Limits,
    csrf_page: Url,
    app_id: HeaderValue,
    egress: Budget,
    session: Budget,
    metrics: Metrics,
    cookies: Mutex<Option<Result<Arc<Cookies>, UpstreamError>>>,
    /// How often the cookies were asked for.
    fetches: AtomicU64,
}

/// The cookies of one visit, and the token that requests repeat in a header.
pub struct Cookies {
    header: String,
    token: HeaderValue,
}

impl Site {
    /// The site as configured.
    pub fn new(
        config: &ScrapeConfig,
        http: HttpClient,
        metrics: Metrics,
    ) -> Result<Self, InvalidConfig> {
        let (base, policy) = config.site()?;
        let (upstream, budget) = (&config.upstream, &config.budget);
        let app_id = HeaderValue::from_str(&upstream.app_id).map_err(|_| InvalidConfig {
            key: "upstream.app_id",
            problem: "must be a number".to_owned(),
        })?;
        let csrf_page = base
            .join(upstream.csrf_path.trim_start_matches('/'))
            .map_err(|error| InvalidConfig {
                key: "upstream.csrf_path",
                problem: error.to_string(),
            })?;
        let gauge = |name| metrics.budget(name);
        Ok(Self {
            http,
            base,
            policy,
            limits: Limits {
                bytes: upstream.max_answer_bytes,
                time: Duration::from_millis(upstream.timeout_ms),
            },
            csrf_page,
            app_id,
            egress: Budget::new(budget.egress_per_minute, budget.instances, gauge("egress")),
            session: Budget::new(
                budget.session_per_minute,
                budget.instances,
                gauge("session"),
            ),
            metrics,
            cookies: Mutex::new(None),
            fetches: AtomicU64::new(0),
        })
    }

    /// Begins a request for a path below the site's address. Segments are encoded, so that none can leave its place.
    pub fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.http.request(method, url)
    }

    /// Sends a request when the budget allows it and `leave` still stands then, and reads what the answer means.
    pub async fn ask<T>(
        &self,
        adapter: Adapter,
        leave: &Ticket,
        request: RequestBuilder,
        read: impl FnOnce(&Answer) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let request = request
            .build()
            .map_err(|error| UpstreamError::Unreachable {
                detail: error.without_url().to_string(),
            })?;
        let budget = match adapter {
            Adapter::Session => &self.session,
            Adapter::Web | Adapter::Embed => &self.egress,
        };
        let permit = budget.acquire().await;
        if !leave.stands() {
            return Err(UpstreamError::CircuitOpen);
        }
        let start = Instant::now();
        let result = match self.http.exchange(request, &self.policy, self.limits).await {
            Ok(answer) => read(&answer),
            Err(error) => Err(no_answer(adapter, error)),
        };
        if let Err(UpstreamError::Throttled { retry_after }) = result {
            budget.throttled(permit, retry_after);
        }
        let kind = result.as_ref().map_or_else(UpstreamError::kind, |_| "ok");
        self.metrics
            .request(adapter, kind, start.elapsed().as_secs_f64());
        result
    }

    /// The headers of the web application: its id, the CSRF token twice as the site demands, and more cookies if given.
    pub fn headers(
        &self,
        cookies: &Cookies,
        more: Option<&str>,
    ) -> Result<HeaderMap, UpstreamError> {
        let text = match more {
            Some(more) => format!("{}; {more}", cookies.header),
            None => cookies.header.clone(),
        };
        let mut cookie = HeaderValue::from_str(&text)
            .map_err(|_| shape_changed(Adapter::Web, "cookies can't be sent back"))?;
        cookie.set_sensitive(true);
        Ok(HeaderMap::from_iter([
            (COOKIE, cookie),
            (CSRF_HEADER, cookies.token.clone()),
            (APP_ID_HEADER, self.app_id.clone()),
        ]))
    }

    /// The cookies of this process; asked for once. Everyone who waited for the same request gets its answer, errors too: a
    /// site that hangs must not be asked by one waiter after the other.
    pub async fn cookies(&self, leave: &Ticket) -> Result<Arc<Cookies>, UpstreamError> {
        let before = self.fetches.load(Ordering::Acquire);
        let mut kept = self.cookies.lock().await;
        let waited = self.fetches.load(Ordering::Acquire) != before;
        match &*kept {
            Some(Ok(cookies)) => return Ok(Arc::clone(cookies)),
            Some(Err(error)) if waited => return Err(error.clone()),
            _ => {}
        }
        let request = self.http.request(Method::GET, self.csrf_page.clone());
        let fetched = self
            .ask(Adapter::Web, leave, request, |answer| {
                page(Adapter::Web, answer)?;
                read_cookies(&answer.headers).map(Arc::new)
            })
            .await;
        // Nothing was asked; those who wait may have leave themselves.
        if fetched
            .as_ref()
            .is_err_and(|error| *error == UpstreamError::CircuitOpen)
        {
            return fetched;
        }
        self.fetches.fetch_add(1, Ordering::Release);
        *kept = Some(fetched.clone());
        fetched
    }

    /// Drops cookies that were refused, unless others took their place already.
    pub async fn forget(&self, refused: &Arc<Cookies>) {
        let mut kept = self.cookies.lock().await;
        if matches!(&*kept, Some(Ok(cookies)) if Arc::ptr_eq(cookies, refused)) {
            *kept = None;
        }
    }
}

fn read_cookies(headers: &HeaderMap) -> Result<Cookies, UpstreamError> {
    let pairs = headers
        .get_all(SET_COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|text| text.split(';').next()?.trim().split_once('='))
        .filter(|(name, value)| {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
            !name.is_empty() && !value.is_empty() && plain(name) && plain(value)
        });
    let (mut header, mut token) = (String::new(), None);
    for (name, value) in pairs {
        if header.len() + name.len() + value.len() + 3 > MAX_COOKIES {
            continue;
        }
        if !header.is_empty() {
            header.push_str("; ");
        }
        header.push_str(name);
        header.push('=');
        header.push_str(value);
        if name == CSRF_COOKIE {
            token = HeaderValue::from_str(value).ok();
        }
    }
    let mut token = token.ok_or_else(|| shape_changed(Adapter::Web, "no csrftoken cookie"))?;
    token.set_sensitive(true);
    Ok(Cookies { header, token })
}
