//! A site that plays Instagram for the demonstration and the tests, in the upstream's own wire shapes: the anonymous web query,
//! the operator's session, the embed page, and signed media. It binds loopback only and depends on no other room of the
//! project. Its posts are in `posts/*.toml`, its pictures are drawn in code.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod counters;
mod dribble;
mod embed;
mod faults;
mod folder;
mod load;
mod media;
mod pictures;
mod posts;
mod session;
mod shape;
mod shortcode;
mod signature;
mod site;
pub mod video;
mod web;

pub use counters::Route;
pub use faults::Fault;
pub use posts::{Expect, SamplePost, posts};
pub use session::{SESSION_CHALLENGE, SESSION_CHECKPOINT, SESSION_EXPIRED};

use folder::Folder;
use site::{Site, lock};

/// How long `shutdown` waits for open connections before it drops them.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How to run the site.
#[derive(Debug, Clone)]
pub struct SiteConfig {
    /// Where to listen; a loopback address, port 0 for any free port.
    pub addr: SocketAddr,
    /// What CSRF tokens and media signatures are made from. Posts and pictures are the same for every seed.
    pub seed: u64,
    /// How long a slow post's answer waits, and over how long a slow picture is sent.
    pub slow: Duration,
    /// Size of the oversize picture in bytes; choose it above the media cap of what is tested.
    pub oversize_bytes: u64,
    /// A folder of pictures whose posts are listed instead of the site's own: see the README.
    pub folder: Option<PathBuf>,
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            slow: Duration::from_millis(1500),
            oversize_bytes: 64 * 1024 * 1024,
            folder: None,
        }
    }
}

/// Why the site did not start.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The address is open to other machines.
    #[error("the sample site serves loopback only, not {0}: use 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// The port is taken or not ours to use.
    #[error("the sample site can't listen on {0}: choose another port, or 0 for any free one")]
    Bind(SocketAddr, #[source] std::io::Error),
    /// The folder of pictures can't be read.
    #[error("the folder of pictures {0} can't be used: {1}")]
    Folder(PathBuf, std::io::Error),
    /// A data file of the site is wrong.
    #[error("the sample site's own data can't be used: {0}")]
    Data(String),
}

/// A running site. It serves until it is shut down or dropped.
pub struct SampleSite {
    site: Arc<Site>,
    server: Option<JoinHandle<()>>,
}

impl SampleSite {
    /// Draws the pictures (once a process) and begins to serve.
    ///
    /// # Errors
    /// If the address is not on loopback or not free, or the site's data files are wrong.
    pub async fn start(config: SiteConfig) -> Result<Self, SiteError> {
        let addr = config.addr;
        if !addr.ip().is_loopback() {
            return Err(SiteError::NotLoopback(addr));
        }
        let read =
            |path: &PathBuf| Folder::read(path).map_err(|e| SiteError::Folder(path.clone(), e));
        let folder = config.folder.as_ref().map(read).transpose()?;
        let catalogue = posts::catalogue()
            .as_ref()
            .map_err(|e| SiteError::Data(e.clone()))?;
        let library = tokio::task::spawn_blocking(pictures::library)
            .await
            .map_err(|e| SiteError::Data(e.to_string()))?
            .as_ref()
            .map_err(|e| SiteError::Data(e.clone()))?;
        let listener = TcpListener::bind(addr)
            .await
            .map_err(|e| SiteError::Bind(addr, e))?;
        let bound = listener
            .local_addr()
            .map_err(|e| SiteError::Bind(addr, e))?;
        let base_url = format!("http://{bound}");
        let signer = signature::Signer::new(config.seed);
        let authors = &catalogue.authors;
        let writer = shape::Writer {
            base_url: &base_url,
            authors,
            library,
            signer: &signer,
            expired: false,
        };
        let load = load::LoadPosts::new(authors, &writer);
        let site = Arc::new(Site {
            config,
            folder,
            base_url,
            catalogue,
            library,
            load,
            signer,
            counters: counters::Counters::default(),
            stopping: CancellationToken::new(),
            fault: Mutex::new(Fault::None),
            asked: Mutex::default(),
            tokens: 0.into(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&site)));
        Ok(Self {
            site,
            server: Some(server),
        })
    }

    /// The posts to submit, with how each must end: those of the folder, or the site's own.
    #[must_use]
    pub fn posts(&self) -> &[SamplePost] {
        self.site
            .folder
            .as_ref()
            .map_or_else(|| posts(), Folder::listed)
    }

    /// `http://127.0.0.1:{port}`, no slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.site.base_url
    }

    /// Makes the upstream answer badly for all posts, or well again. Requests that hang already go on hanging.
    pub fn set_fault(&self, fault: Fault) {
        *lock(&self.site.fault) = fault;
    }

    /// How many requests a route has had for a key (see [`Route`]), whatever was answered. The first 100,000 pairs of route
    /// and key are counted.
    #[must_use]
    pub fn requests(&self, route: Route, key: &str) -> u64 {
        self.site.counters.get(route, key)
    }

    /// How many requests a route has had.
    #[must_use]
    pub fn total(&self, route: Route) -> u64 {
        self.site.counters.total(route)
    }

    /// Stops serving: waits up to two seconds for open connections, then drops them.
    pub async fn shutdown(mut self) {
        self.site.stopping.cancel();
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(SHUTDOWN, &mut server).await.is_err()
        {
            server.abort();
        }
    }
}

impl Drop for SampleSite {
    fn drop(&mut self) {
        self.site.stopping.cancel();
    }
}

async fn serve(listener: TcpListener, site: Arc<Site>) {
    let app = Router::new()
        .merge(web::routes())
        .merge(session::routes())
        .merge(embed::routes())
        .merge(media::routes())
        .merge(dribble::routes())
        .with_state(Arc::clone(&site));
    // Small answers must not wait for the client's acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
    });
    let stopping = site.stopping.clone();
    if let Err(error) = axum::serve(listener, app)
        .with_graceful_shutdown(stopping.cancelled_owned())
        .await
    {
        tracing::error!(%error, "sample site stopped");
    }
}
