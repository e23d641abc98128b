//! The one HTTP client: rustls with ring, the guarded resolver, no proxy, no redirect it was not told to follow, every answer
//! capped in size and time.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use reqwest::{
    Method, Request, RequestBuilder, StatusCode,
    header::{HeaderMap, LOCATION},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::{
    resolver::{AddressRefused, GuardedResolver, Lookup},
    url_policy::{UrlPolicy, UrlRefused},
};

/// How many redirects of a media file are followed.
const MAX_REDIRECTS: usize = 5;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The URL, or one it redirects to, may not be requested.
    #[error("the address may not be requested: {0}")]
    UrlRefused(#[from] UrlRefused),
    /// The name leads to an address that may not be connected.
    #[error(transparent)]
    AddressRefused(#[from] AddressRefused),
    /// The answer was not complete at the deadline.
    #[error("no complete answer in time")]
    Timeout,
    /// The answer is longer than allowed, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The connection ended before the answer did.
    #[error("the answer ends too early")]
    Incomplete,
    /// More redirects than are followed.
    #[error("more than {MAX_REDIRECTS} redirects")]
    TooManyRedirects,
    /// No connection, or it broke.
    #[error("no connection: {0}")]
    Unreachable(String),
}

/// Why the client can't be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client can't be built: {0} (on a bare machine: install ca-certificates)")]
pub struct ClientError(String);

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
}

/// How much an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of body.
    pub bytes: u64,
    /// Time for all of it, connection and redirects included.
    pub time: Duration,
}

/// How requests are made.
#[derive(Debug, Clone, Copy)]
pub struct ClientConfig<'a> {
    /// What the client calls itself.
    pub user_agent: &'a str,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Whether loopback may be connected, by http and on any port. For the demo and tests only.
    pub allow_loopback: bool,
}

/// The client.
#[derive(Debug, Clone)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// A client that resolves names through `lookup`.
    ///
    /// # Errors
    /// When TLS can't be set up. Where loopback is allowed, missing CA certificates are no error: plain http to loopback needs
    /// none, and every https request fails.
    pub fn new(config: &ClientConfig<'_>, lookup: Arc<dyn Lookup>) -> Result<Self, ClientError> {
        // An error says that a provider is installed already, which is all that is needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let resolver = Arc::new(GuardedResolver::new(lookup, config.allow_loopback));
        let builder = || {
            reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .dns_resolver(Arc::clone(&resolver))
                .connect_timeout(config.connect_timeout)
                .user_agent(config.user_agent)
        };
        let built = builder().build().or_else(|error| {
            if !config.allow_loopback {
                return Err(error);
            }
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no CA certificates: https requests will fail until ca-certificates is installed"
            );
            builder().tls_certs_only([]).build()
        });
        built
            .map(Self)
            .map_err(|error| ClientError(describe(&error)))
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.0.request(method, url)
    }

    /// Sends a request and reads the answer. Redirects are answers.
    ///
    /// # Errors
    /// See [`NetError`]. Nothing is sent where `policy` refuses the URL.
    pub async fn exchange(
        &self,
        request: Request,
        policy: &UrlPolicy,
        limits: Limits,
    ) -> Result<Answer, NetError> {
        let deadline = Instant::now() + limits.time;
        policy.check(request.url())?;
        in_time(deadline, async {
            let response = self.0.execute(request).await.map_err(net_error)?;
            read(response, limits.bytes).await
        })
        .await
    }

    /// Sends a request and reads status and headers of the answer alone, within `time`. Redirects are answers.
    ///
    /// # Errors
    /// See [`NetError`]. Nothing is sent where `policy` refuses the URL.
    pub async fn send(
        &self,
        request: Request,
        policy: &UrlPolicy,
        time: Duration,
    ) -> Result<(StatusCode, HeaderMap), NetError> {
        policy.check(request.url())?;
        in_time(Instant::now() + time, async {
            let response = self.0.execute(request).await.map_err(net_error)?;
            Ok((response.status(), response.headers().clone()))
        })
        .await
    }

    /// Gets a URL and follows its redirects by hand, each judged before it is requested.
    ///
    /// # Errors
    /// See [`NetError`]. Nothing is sent to a URL that `policy` refuses.
    pub async fn get(
        &self,
        url: Url,
        policy: &UrlPolicy,
        limits: Limits,
    ) -> Result<Answer, NetError> {
        let deadline = Instant::now() + limits.time;
        in_time(deadline, async {
            let mut url = url;
            for _ in 0..=MAX_REDIRECTS {
                policy.check(&url)?;
                let response = self.0.get(url.clone()).send().await.map_err(net_error)?;
                match redirect_target(&url, response.status(), response.headers())? {
                    Some(target) => url = target,
                    None => return read(response, limits.bytes).await,
                }
            }
            Err(NetError::TooManyRedirects)
        })
        .await
    }
}

async fn in_time<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, NetError>>,
) -> Result<T, NetError> {
    timeout_at(deadline, work)
        .await
        .unwrap_or(Err(NetError::Timeout))
}

fn redirect_target(
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Url>, NetError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let target = headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| url.join(location).ok());
    target.map(Some).ok_or(UrlRefused::Malformed.into())
}

async fn read(response: reqwest::Response, cap: u64) -> Result<Answer, NetError> {
    let (status, headers) = (response.status(), response.headers().clone());
    if response.content_length().is_some_and(|length| length > cap) {
        return Err(NetError::TooLarge(cap));
    }
    let chunks = response
        .bytes_stream()
        .map(|chunk| chunk.map_err(net_error));
    let body = read_capped(chunks, cap).await?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// Collects a body of at most `cap` bytes; one more is an error.
async fn read_capped(
    chunks: impl Stream<Item = Result<Bytes, NetError>>,
    cap: u64,
) -> Result<Bytes, NetError> {
    let mut chunks = std::pin::pin!(chunks);
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() as u64 + chunk.len() as u64 > cap {
            return Err(NetError::TooLarge(cap));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn net_error(error: reqwest::Error) -> NetError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<AddressRefused>() {
            return refused.clone().into();
        }
        source = cause.source();
    }
    if error.is_timeout() {
        NetError::Timeout
    } else if error.is_body() || error.is_decode() {
        NetError::Incomplete
    } else {
        NetError::Unreachable(describe(&error.without_url()))
    }
}

/// An error with its causes, but without the URL: media addresses are signed.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn chunks(sizes: &[usize]) -> impl Stream<Item = Result<Bytes, NetError>> + use<> {
        let chunks: Vec<_> = sizes
            .iter()
            .map(|size| Ok(Bytes::from(vec![7; *size])))
            .collect();
        stream::iter(chunks)
    }

    #[tokio::test]
    async fn the_cap_is_exact_however_the_bytes_arrive() {
        for sizes in [&[100][..], &[99, 1], &[1; 100], &[50, 0, 50, 0]] {
            assert_eq!(read_capped(chunks(sizes), 100).await.unwrap().len(), 100);
            assert_eq!(
                read_capped(chunks(sizes), 99).await,
                Err(NetError::TooLarge(99))
            );
        }
        assert_eq!(read_capped(chunks(&[]), 0).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_stream_without_end_is_left_at_the_cap() {
        let mut taken = 0;
        let endless = stream::repeat_with(|| {
            taken += 1;
            Ok(Bytes::from_static(&[0; 10]))
        });
        assert_eq!(
            read_capped(endless, 100).await,
            Err(NetError::TooLarge(100))
        );
        assert_eq!(taken, 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_cut_at_the_deadline() {
        let start = Instant::now();
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok(Bytes::from_static(b"x")), ()))
        });
        let deadline = start + Duration::from_secs(30);
        let cut = in_time(deadline, read_capped(drip, 1_000_000)).await;
        assert_eq!(cut, Err(NetError::Timeout));
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }
}
