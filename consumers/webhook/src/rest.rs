//! Webhooks that do not answer are left alone for a while: a receiver that is down costs a few timeouts, not one a message.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

/// Who rests.
#[derive(Debug)]
pub struct Rests {
    after: u32,
    length: Duration,
    failing: Mutex<HashMap<Uuid, Failing>>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    in_a_row: u32,
    until: Instant,
}

impl Rests {
    /// A rest of `length` after so many failures in a row; then one attempt may try the way.
    #[must_use]
    pub fn new(after: u32, length: Duration) -> Self {
        Self {
            after,
            length,
            failing: Mutex::default(),
        }
    }

    /// How much longer a webhook rests; `None` when it may be told. Whoever may then has the rest begin anew, so that of many that
    /// wait one tries the way.
    pub fn left(&self, webhook_id: Uuid) -> Option<Duration> {
        let now = Instant::now();
        let mut failing = self.failing();
        let one = failing.get_mut(&webhook_id)?;
        if one.in_a_row < self.after {
            return None;
        }
        if now < one.until {
            return Some(one.until - now);
        }
        one.until = now + self.length;
        None
    }

    /// How an attempt ended.
    pub fn tried(&self, webhook_id: Uuid, taken: bool) {
        let mut failing = self.failing();
        if taken {
            failing.remove(&webhook_id);
            return;
        }
        let until = Instant::now() + self.length;
        let one = failing
            .entry(webhook_id)
            .or_insert(Failing { in_a_row: 0, until });
        one.in_a_row = one.in_a_row.saturating_add(1);
        one.until = until;
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<Uuid, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_some_failures_one_in_a_while_tries_the_way() {
        let (rests, id) = (Rests::new(2, Duration::from_secs(30)), Uuid::nil());
        rests.tried(id, false);
        assert_eq!(rests.left(id), None);
        rests.tried(id, false);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(rests.left(id), Some(Duration::from_secs(20)));
        assert_eq!(rests.left(Uuid::max()), None, "another one is not meant");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(rests.left(id), None);
        assert_eq!(rests.left(id), Some(Duration::from_secs(30)));
        rests.tried(id, true);
        assert_eq!(rests.left(id), None);
    }
}
