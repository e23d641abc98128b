//! What the site was asked for, for tests to read.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::site::lock;

/// Beyond this many (route, key) pairs, requests count in their route's total alone, so that a long run of load posts does not
/// fill the memory.
const MAX_KEYS: usize = 100_000;

/// A kind of request to the site, and what requests of the kind are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `GET /` (key: empty) and `GET /p/{shortcode}/` (key: the shortcode): pages that set the CSRF cookie.
    Page,
    /// `POST /graphql/query`, by shortcode; empty if the request names none.
    Query,
    /// `GET /api/v1/media/{pk}/info/`, by shortcode.
    Session,
    /// `GET /p/{shortcode}/embed/captioned/`, by shortcode.
    Embed,
    /// `GET /media/{name}`, by name.
    Media,
    /// `GET /dribble/...`, by the path below it.
    Dribble,
}

#[derive(Default)]
pub(crate) struct Counters(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_key: HashMap<(Route, String), u64>,
    by_route: HashMap<Route, u64>,
}

impl Counters {
    pub(crate) fn add(&self, route: Route, key: &str) {
        let mut counts = lock(&self.0);
        *counts.by_route.entry(route).or_default() += 1;
        if counts.by_key.len() < MAX_KEYS || counts.by_key.contains_key(&(route, key.to_owned())) {
            *counts.by_key.entry((route, key.to_owned())).or_default() += 1;
        }
    }

    pub(crate) fn get(&self, route: Route, key: &str) -> u64 {
        lock(&self.0)
            .by_key
            .get(&(route, key.to_owned()))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn total(&self, route: Route) -> u64 {
        lock(&self.0)
            .by_route
            .get(&route)
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_go_on_when_the_keys_are_full() {
        let counters = Counters::default();
        for n in 0..MAX_KEYS + 5 {
            counters.add(Route::Query, &n.to_string());
        }
        counters.add(Route::Query, "3");
        assert_eq!(counters.get(Route::Query, "3"), 2);
        assert_eq!(counters.get(Route::Query, &(MAX_KEYS + 1).to_string()), 0);
        assert_eq!(counters.total(Route::Query), MAX_KEYS as u64 + 6);
        assert_eq!(counters.total(Route::Media), 0);
    }
}
