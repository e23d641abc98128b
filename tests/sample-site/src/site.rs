//! What every route of a running site shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::SiteConfig;
use crate::counters::Counters;
use crate::faults::Fault;
use crate::folder::Folder;
use crate::load::LoadPosts;
use crate::pictures::Library;
use crate::posts::{Catalogue, Post};
use crate::signature::Signer;

/// State of a running site.
pub(crate) struct Site {
    pub config: SiteConfig,
    /// Somebody's own pictures.
    pub folder: Option<Folder>,
    /// `http://127.0.0.1:{port}`, no slash at the end.
    pub base_url: String,
    pub catalogue: &'static Catalogue,
    pub library: &'static Library,
    pub load: LoadPosts,
    pub signer: Signer,
    pub counters: Counters,
    pub stopping: CancellationToken,
    pub fault: Mutex<Fault>,
    /// How often each post with a passing fault, or with media that expire, was asked for.
    pub asked: Mutex<HashMap<String, u32>>,
    pub tokens: AtomicU64,
}

/// What a request for a named post meets.
pub(crate) struct Turn<'a> {
    pub post: &'a Post,
    /// The post's fault is in force.
    pub faulty: bool,
    /// The media addresses in this answer have expired.
    pub expired: bool,
}

impl Site {
    pub(crate) fn fault(&self) -> Fault {
        *lock(&self.fault)
    }

    /// Takes this request's turn at a named post: the first ones may meet a fault that later ones don't.
    pub(crate) fn turn(&self, shortcode: &str) -> Option<Turn<'_>> {
        let own = self
            .folder
            .as_ref()
            .and_then(|folder| folder.post(shortcode));
        let post = own.or_else(|| self.catalogue.post(shortcode))?;
        if post.fault_times.is_none() && post.expired_times == 0 {
            return Some(Turn {
                post,
                faulty: post.fault.is_some(),
                expired: false,
            });
        }
        let mut asked = lock(&self.asked);
        let count = asked.entry(shortcode.to_owned()).or_default();
        let earlier = *count;
        *count = count.saturating_add(1);
        let faulty = post.fault.is_some() && post.fault_times.is_none_or(|times| earlier < times);
        Some(Turn {
            post,
            faulty,
            expired: earlier < post.expired_times,
        })
    }

    /// Waits this long, or until the site shuts down. Returns false in the second case.
    pub(crate) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stopping.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    /// A CSRF token no other client has: 32 hexadecimal digits.
    pub(crate) fn token(&self) -> String {
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        self.signer.sign(&format!("csrf {number}"))
    }
}

/// Locks whatever happened to an earlier holder: nothing here is left half-changed by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
