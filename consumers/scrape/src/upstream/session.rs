//! The operator's session: media info by number. The account belongs to a person, so it rests when the site refuses it and stays
//! off once the site wants its owner; nobody is prompted here.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use outbound::Method;
use schemas::PostRef;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Adapter, FetchedPost, Upstream, UpstreamError,
    answers::{info_item, shape_changed},
    media_shape::{self, Caps},
    shortcode,
    site::Site,
};
use crate::{circuit::Ticket, metrics::Metrics};

/// The adapter.
pub struct Session {
    site: Arc<Site>,
    caps: Caps,
    cookie: SecretString,
    rest: Duration,
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Usable,
    /// Refused; to be tried again then.
    RestsUntil(Instant),
    /// Waits for the account's owner, and for a restart.
    Off,
}

impl Session {
    /// The adapter with the value of the `sessionid` cookie; it rests for `rest` after a refusal.
    pub fn new(
        site: Arc<Site>,
        caps: Caps,
        session_id: &SecretString,
        rest: Duration,
        metrics: Metrics,
    ) -> Self {
        metrics.session_usable(true);
        Self {
            site,
            caps,
            cookie: format!("sessionid={}", session_id.expose_secret()).into(),
            rest,
            state: Mutex::new(State::Usable),
            metrics,
        }
    }

    async fn info(&self, pk: u128, leave: &Ticket) -> Result<Value, UpstreamError> {
        let pk = pk.to_string();
        let mut refreshed = false;
        loop {
            let cookies = self.site.cookies(leave).await?;
            let headers = self
                .site
                .headers(&cookies, Some(self.cookie.expose_secret()))?;
            let request = self
                .site
                .request(Method::GET, &["api", "v1", "media", &pk, "info", ""])
                .headers(headers);
            match self
                .site
                .ask(Adapter::Session, leave, request, info_item)
                .await
            {
                Err(UpstreamError::SessionInvalid) if !refreshed => {
                    self.site.forget(&cookies).await;
                    refreshed = true;
                }
                result => return result,
            }
        }
    }

    /// Fails without a request while the session can't be used.
    fn check(&self) -> Result<(), UpstreamError> {
        match *self.lock() {
            State::Usable => Ok(()),
            State::RestsUntil(end) if Instant::now() >= end => Ok(()),
            State::RestsUntil(_) => Err(UpstreamError::SessionInvalid),
            State::Off => Err(UpstreamError::Challenge),
        }
    }

    fn learn<T>(&self, result: &Result<T, UpstreamError>) {
        let next = match result {
            Ok(_) | Err(UpstreamError::Unavailable) => State::Usable,
            Err(UpstreamError::SessionInvalid) => State::RestsUntil(Instant::now() + self.rest),
            Err(UpstreamError::Challenge) => State::Off,
            Err(_) => return,
        };
        let mut state = self.lock();
        if *state == State::Off {
            return;
        }
        let was_usable = *state == State::Usable;
        *state = next;
        drop(state);
        self.metrics.session_usable(next == State::Usable);
        if let Err(error) = result
            && next != State::Usable
            && (was_usable || next == State::Off)
        {
            tracing::error!(code = error.reason().code(), %error, "session adapter off");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Upstream for Session {
    async fn fetch(&self, post: &PostRef, leave: &Ticket) -> Result<FetchedPost, UpstreamError> {
        self.check()?;
        let pk = shortcode::pk(&post.post_id)
            .ok_or_else(|| shape_changed(Adapter::Session, "shortcode without a number"))?;
        let result = self.info(pk, leave).await;
        self.learn(&result);
        media_shape::read(Adapter::Session, &result?, post, &self.caps)
    }
}
