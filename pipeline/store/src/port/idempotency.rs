//! Requests that may be sent again: each `Idempotency-Key` of a caller stands for one request and its answer.
//!
//! A request takes its key before it does anything, and says at its end what it answered. One that was cut off ends nothing: after
//! [`crate::StorePolicy::in_flight_s`] the same request takes its place, under the same id and time, so that what both of them did is
//! one and the same. One that came to nothing gives its key up, and the next begins anew.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Result, StorePolicy};
use crate::values::after;

/// Asked by the API.
#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Takes the key for a request. Of many at once, one gets it.
    async fn begin(&self, request: &KeyedRequest, now: Timestamp) -> Result<Begun>;

    /// Keeps what was answered to the request that has taken its key, for [`crate::StorePolicy::idempotency_ttl_s`] from `now`. `None`
    /// gives the key up: nothing came of the request.
    async fn end(
        &self,
        request: &KeyedRequest,
        attempt: u32,
        answer: Option<&KeptAnswer>,
        now: Timestamp,
    ) -> Result<()>;
}

/// A request that was sent with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Whose key it is: nobody else's requests meet it.
    pub owner: String,
    /// The key.
    pub key: String,
    /// A hash of all that the request asks for.
    pub fingerprint: String,
    /// Drawn anew for every request that arrives.
    pub token: Uuid,
}

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// This one's: do it.
    Own(Turn),
    /// It is being worked on.
    InFlight,
    /// It was answered.
    Answered(KeptAnswer),
    /// The key stands for another request.
    Other,
}

/// How a request that has its key is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The id of what it makes: that of the request it takes the place of, if it does.
    pub request_id: Uuid,
    /// The time as of which it is done, likewise.
    pub started_at: Timestamp,
}

/// An answer, to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body, as the caller of [`Idempotency::end`] wrote it.
    pub body: Vec<u8>,
}

/// An attempt as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) token: Uuid,
    pub(crate) request_id: Uuid,
    pub(crate) started_ms: i64,
    pub(crate) fingerprint: String,
    pub(crate) began_ms: i64,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing yet.
    Open,
    /// It was given up.
    GivenUp,
    /// It was answered.
    Answered(KeptAnswer),
}

/// What a request meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// It is to be written as this attempt, and has the key if nobody else was faster.
    Try(Attempt),
    /// It is settled.
    Settled(Begun),
}

impl Attempt {
    /// How the request that has this attempt is to be done.
    pub(crate) fn turn(&self) -> Result<Turn> {
        Ok(Turn {
            attempt: self.number,
            request_id: self.request_id,
            started_at: crate::values::time(self.started_ms)?,
        })
    }

    /// What a request meets whose key has this as its newest attempt.
    pub(crate) fn meet(
        latest: Option<(Self, Fate)>,
        request: &KeyedRequest,
        policy: &StorePolicy,
        now: Timestamp,
    ) -> Meeting {
        let now_ms = now.as_millisecond();
        let anew = |number| Self {
            number,
            token: request.token,
            request_id: request.token,
            started_ms: now_ms,
            fingerprint: request.fingerprint.clone(),
            began_ms: now_ms,
        };
        let Some((latest, fate)) = latest else {
            return Meeting::Try(anew(1));
        };
        let next = latest.number.saturating_add(1);
        if fate == Fate::GivenUp || after(latest.began_ms, policy.idempotency_ttl_s) <= now_ms {
            return Meeting::Try(anew(next));
        }
        if latest.fingerprint != request.fingerprint {
            return Meeting::Settled(Begun::Other);
        }
        match fate {
            Fate::Answered(answer) => Meeting::Settled(Begun::Answered(answer)),
            _ if after(latest.began_ms, policy.in_flight_s) > now_ms => {
                Meeting::Settled(Begun::InFlight)
            }
            _ => Meeting::Try(Self {
                number: next,
                token: request.token,
                began_ms: now_ms,
                ..latest
            }),
        }
    }
}
