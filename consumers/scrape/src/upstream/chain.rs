//! The adapters one after the other: the operator's session where there is one, the anonymous query, the embed page.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use schemas::PostRef;

use super::{
    Adapter, FetchedPost, Upstream, UpstreamError, embed::Embed, media_shape::Caps,
    session::Session, site::Site, web::Web,
};
use crate::{
    circuit::Ticket,
    config::{InvalidConfig, ScrapeConfig},
    metrics::Metrics,
};
use outbound::HttpClient;

struct Chain {
    session: Option<Session>,
    web: Web,
    embed: Embed,
}

/// The upstream as configured, over one client.
///
/// # Errors
/// When a setting can't be used.
pub fn connect(
    config: &ScrapeConfig,
    http: HttpClient,
    metrics: Metrics,
) -> Result<Arc<dyn Upstream>, InvalidConfig> {
    config.validate()?;
    let caps = Caps {
        hosts: config.media_policy()?,
        max_pixels: config.media.max_pixels,
        max_media: config.upstream.max_media,
    };
    let site = Arc::new(Site::new(config, http, metrics.clone())?);
    let session = config.upstream.session_id.as_ref().map(|session_id| {
        let rest = Duration::from_secs(config.upstream.session_rest_s);
        Session::new(Arc::clone(&site), caps.clone(), session_id, rest, metrics)
    });
    Ok(Arc::new(Chain {
        session,
        web: Web {
            site: Arc::clone(&site),
            caps: caps.clone(),
            doc_id: config.upstream.doc_id.clone(),
        },
        embed: Embed { site, caps },
    }))
}

#[async_trait]
impl Upstream for Chain {
    async fn fetch(&self, post: &PostRef, leave: &Ticket) -> Result<FetchedPost, UpstreamError> {
        let session = self.session.iter().map(|session| session as &dyn Upstream);
        let others: [&dyn Upstream; 2] = [&self.web, &self.embed];
        let mut failure = UpstreamError::LoginWall;
        for adapter in session.chain(others) {
            match adapter.fetch(post, leave).await {
                Ok(post) => return Ok(post),
                Err(error) => {
                    let last = !error.other_way_may_work();
                    failure = more_telling(failure, error);
                    if last {
                        break;
                    }
                }
            }
        }
        Err(failure)
    }
}

/// Which of two failures to report: the later one, unless it only says that this way shows nothing.
fn more_telling(earlier: UpstreamError, later: UpstreamError) -> UpstreamError {
    match later {
        UpstreamError::LoginWall
        | UpstreamError::ShapeChanged {
            adapter: Adapter::Embed,
            ..
        } => earlier,
        other => other,
    }
}
