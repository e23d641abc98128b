//! Media files: fetched whole within caps of size, time and memory, their type and size read from their own bytes before anything
//! decodes them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use schemas::{Reason, events::scraped::MediaKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use url::Url;

use crate::{
    config::{InvalidConfig, MediaConfig, ScrapeConfig},
    metrics::Metrics,
};
use outbound::{HttpClient, Limits, NetError, UrlPolicy};

mod inspect;

/// Memory is given out in pieces of this many bytes.
const PIECE: u64 = 64 * 1024;
/// A fault of the moment gets one more attempt, within the same deadline.
const ATTEMPTS: u32 = 2;

/// A file that was fetched and accepted. It holds its part of the downloads' memory until it is dropped.
#[derive(Debug)]
pub struct Download {
    /// Its media type, found in its bytes.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
    _memory: OwnedSemaphorePermit,
}

/// Fetches media.
#[derive(Debug)]
pub struct Downloader {
    http: HttpClient,
    policy: UrlPolicy,
    config: MediaConfig,
    memory: Arc<Semaphore>,
    metrics: Metrics,
}

impl Downloader {
    /// A downloader as configured.
    ///
    /// # Errors
    /// When a setting can't be used.
    pub fn new(
        config: &ScrapeConfig,
        http: HttpClient,
        metrics: Metrics,
    ) -> Result<Self, InvalidConfig> {
        config.validate()?;
        let pieces = pieces(config.media.memory_bytes) as usize;
        Ok(Self {
            http,
            policy: config.media_policy()?,
            config: config.media.clone(),
            memory: Arc::new(Semaphore::new(pieces.min(Semaphore::MAX_PERMITS))),
            metrics,
        })
    }

    /// Fetches one file of a post.
    ///
    /// # Errors
    /// Why it was not accepted: one of the `media_*` reasons or `address_not_allowed`. [`Reason::MediaExpired`] asks for the post
    /// to be read again.
    pub async fn fetch(&self, url: &Url, kind: MediaKind) -> Result<Download, Reason> {
        let result = self.fetch_uncounted(url, kind).await;
        match &result {
            Ok(download) => self.metrics.media("ok", download.bytes.len() as u64),
            Err(reason) => self.metrics.media(reason.code(), 0),
        }
        result
    }

    async fn fetch_uncounted(&self, url: &Url, kind: MediaKind) -> Result<Download, Reason> {
        let cap = match kind {
            MediaKind::Image | MediaKind::Thumbnail => self.config.max_image_bytes,
            MediaKind::Video => self.config.max_video_bytes,
        };
        let memory = Arc::clone(&self.memory)
            .acquire_many_owned(pieces(cap))
            .await
            .map_err(|_| Reason::MediaUnavailable)?;
        let deadline = Instant::now() + Duration::from_millis(self.config.timeout_ms);
        let bytes = timeout_at(deadline, self.attempts(url, cap, deadline))
            .await
            .unwrap_or(Err(Reason::MediaTimeout))?;
        let max_pixels = self.config.max_pixels;
        // Some decoders copy the whole file to read its header: milliseconds, too long for a runtime thread.
        let inspected = {
            let bytes = bytes.clone();
            tokio::task::spawn_blocking(move || inspect::inspect(&bytes, kind, max_pixels)).await
        };
        Ok(Download {
            content_type: inspected.unwrap_or(Err(Reason::MediaUndecodable))?,
            bytes,
            _memory: memory,
        })
    }

    async fn attempts(&self, url: &Url, cap: u64, deadline: Instant) -> Result<Bytes, Reason> {
        let mut attempt = 1;
        loop {
            let limits = Limits {
                bytes: cap,
                time: deadline - Instant::now(),
            };
            let (reason, passing) = match self.http.get(url.clone(), &self.policy, limits).await {
                Ok(answer) if answer.status == 200 => return Ok(answer.body),
                Ok(answer) => match answer.status.as_u16() {
                    403 => (Reason::MediaExpired, false),
                    status => (Reason::MediaUnavailable, status == 429 || status >= 500),
                },
                Err(NetError::UrlRefused(_) | NetError::AddressRefused(_)) => {
                    (Reason::AddressNotAllowed, false)
                }
                Err(NetError::TooLarge(_)) => (Reason::MediaTooLarge, false),
                Err(NetError::Timeout) => (Reason::MediaTimeout, false),
                Err(NetError::TooManyRedirects) => (Reason::MediaUnavailable, false),
                Err(NetError::Incomplete) => (Reason::MediaUndecodable, true),
                Err(NetError::Unreachable(_)) => (Reason::MediaUnavailable, true),
            };
            if !passing || attempt == ATTEMPTS {
                return Err(reason);
            }
            attempt += 1;
        }
    }
}

/// How many pieces so many bytes take.
fn pieces(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX)
}
