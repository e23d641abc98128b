//! /api/cache: what is kept so that work is done once, and forgetting it. Results themselves are never touched: they are in the store,
//! and what is forgotten here is read again from there, or from the upstream.

use std::time::Duration;

use axum::{Json, extract::State};
use jiff::Timestamp;
use schemas::identity;
use serde::Serialize;
use store::Heartbeat;
use utoipa::ToSchema;
use uuid::Uuid;

use super::health::PATIENCE;
use crate::{
    access, cache::Holdings, caller::Caller, error::ApiError, extract::PostUrl,
    openapi::refusals::Refusal, state::AppState,
};

/// What is kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = CacheStats)]
pub struct Stats {
    /// `available`.
    status: &'static str,
    /// Results and posts together.
    total_keys: u64,
    /// Results in the memory of this replica.
    analysis_cached: u64,
    /// Scraped posts that may be reused, as the living scrapers count them.
    instagram_cached: u64,
    /// Bytes that the results take in this replica.
    memory_used: u64,
    /// Questions answered, of all to this replica's cache and to the living scrapers', 0 to 1; 0 before the first.
    hit_rate: f64,
}

/// The answer to a clearing, 200.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CacheCleared)]
pub struct Cleared {
    /// The same in words.
    message: &'static str,
    /// Results that this replica forgot.
    analysis_cleared: u64,
}

/// The answer to forgetting a post, 200.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PostForgotten)]
pub struct Forgotten {
    /// The same in words.
    message: &'static str,
    /// The shortcode.
    post_id: String,
    /// Its analysis of this moment; the result of that stays.
    analysis_id: Uuid,
}

/// What is kept for reuse
///
/// Results in the memory of the replica that answers, and posts as the living scrapers count them.
#[utoipa::path(
    get,
    path = "/api/cache/stats",
    operation_id = "get_cache_stats",
    tag = "cache",
    responses((status = 200, description = "What is kept now.", body = Stats), Refusal<503>)
)]
pub async fn stats(State(state): State<AppState>) -> Result<Json<Stats>, ApiError> {
    let stats = read(&state, state.config.request_timeout()).await;
    stats
        .map(Json)
        .ok_or_else(|| ApiError::cache("read statistics"))
}

/// What is kept, for /status; `None` when the store does not tell in a second.
pub async fn told_in_time(state: &AppState) -> Option<Stats> {
    read(state, PATIENCE).await
}

/// Forget what is kept for reuse
///
/// Every scraped post is read anew from the upstream, and this replica's memory is empty. One write to the store,
/// however much is kept; other replicas follow within the life of what they hold.
#[utoipa::path(
    delete,
    path = "/api/cache/clear",
    operation_id = "clear_cache",
    tag = "cache",
    security(("key" = [])),
    responses(
        (status = 200, description = "It is forgotten.", body = Cleared),
        Refusal<401>,
        Refusal<403>,
        Refusal<503>
    )
)]
pub async fn clear(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<Cleared>, ApiError> {
    access::admin(&caller, "Clearing the cache")?;
    let forgotten = state.store.forget_posts(state.clock.now()).await;
    forgotten.map_err(|error| failed("clear", &error))?;
    Ok(Json(Cleared {
        message: "The cache was cleared. Results are kept.",
        analysis_cleared: state.results.clear().await,
    }))
}

/// Forget one post
///
/// The post is read anew when it is submitted next. Its result is kept.
#[utoipa::path(
    delete,
    path = "/api/cache/analysis/{url}",
    operation_id = "forget_post",
    tag = "cache",
    security(("key" = [])),
    params(("url" = String, Path, description = "Address of the post, percent-encoded.",
        example = "https://www.instagram.com/p/DTCsatire01/")),
    responses(
        (status = 200, description = "It is forgotten.", body = Forgotten),
        Refusal<401>,
        Refusal<403>,
        Refusal<422>,
        Refusal<503>
    )
)]
pub async fn forget(
    State(state): State<AppState>,
    caller: Caller,
    url: Result<PostUrl, ApiError>,
) -> Result<Json<Forgotten>, ApiError> {
    access::admin(&caller, "Clearing the cache")?;
    let PostUrl(post) = url?;
    let now = state.clock.now();
    let forgotten = state.store.forget_post(&post.post_id, now).await;
    forgotten.map_err(|error| failed("forget", &error))?;
    state.results.forget_post(&post.post_id).await;
    let window_ms = state.config.freshness_window_ms();
    Ok(Json(Forgotten {
        message: "The post will be read anew. Its result is kept; submit it with force for another.",
        analysis_id: identity::analysis_id(&post.post_id, now, window_ms),
        post_id: post.post_id,
    }))
}

fn failed(operation: &'static str, error: &store::StoreError) -> ApiError {
    tracing::error!(operation, %error, "the store did not do as asked");
    ApiError::cache(operation)
}

async fn read(state: &AppState, patience: Duration) -> Option<Stats> {
    let asked = async {
        let (beats, forgotten_at) = tokio::join!(
            state.store.heartbeats(state.clock.now()),
            state.store.posts_forgotten_at()
        );
        Some((beats.ok()?, forgotten_at.ok()?))
    };
    let (beats, forgotten_at) = tokio::time::timeout(patience, asked).await.ok()??;
    let holdings = state.results.holdings().await;
    Some(Stats::of(&holdings, &Posts::of(&beats, forgotten_at)))
}

/// What scrapers tell of the posts they keep.
#[derive(Debug, Default, PartialEq, Eq)]
struct Posts {
    kept: u64,
    hits: u64,
    misses: u64,
}

impl Posts {
    /// Parts of the time that began before everything was forgotten count no more.
    fn of(beats: &[Heartbeat], forgotten_at: Option<Timestamp>) -> Self {
        let forgotten_ms = forgotten_at.map_or(i64::MIN, Timestamp::as_millisecond);
        let mut posts = Self::default();
        for reuse in beats
            .iter()
            .filter(|beat| beat.role == "scrape")
            .filter_map(|beat| beat.details.get("reuse"))
        {
            let count = |key: &str| reuse[key].as_u64().unwrap_or(0);
            posts.hits += count("hits");
            posts.misses += count("misses");
            let parts = reuse["kept"].as_array().into_iter().flatten();
            posts.kept += parts
                .filter(|part| part[0].as_i64().is_some_and(|start| start > forgotten_ms))
                .filter_map(|part| part[1].as_u64())
                .sum::<u64>();
        }
        posts
    }
}

impl Stats {
    fn of(results: &Holdings, posts: &Posts) -> Self {
        let hits = results.hits + posts.hits;
        let asked = hits + results.misses + posts.misses;
        let hit_rate = if asked == 0 {
            0.0
        } else {
            (hits as f64 / asked as f64 * 10_000.0).round() / 10_000.0
        };
        Self {
            status: "available",
            total_keys: results.entries + posts.kept,
            analysis_cached: results.entries,
            instagram_cached: posts.kept,
            memory_used: results.bytes,
            hit_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn posts_are_counted_as_scrapers_tell_and_none_from_before_the_clearing() {
        let beat = |role: &str, details| Heartbeat {
            role: role.to_owned(),
            instance: "i".to_owned(),
            version: "0".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            details,
        };
        let reuse = json!({ "reuse": { "hits": 3, "misses": 1, "kept": [[1_000, 5, 50], [2_000, 7, 70]] } });
        let beats = [
            beat("scrape", reuse.clone()),
            beat(
                "scrape",
                json!({ "reuse": { "hits": 0, "misses": 2, "kept": [[2_000, 1, 9]] } }),
            ),
            beat("scrape", json!({ "circuit": "closed" })),
            beat("scrape", json!({ "reuse": "odd" })),
            beat("detect", reuse),
        ];
        let all = Posts::of(&beats, None);
        let expected = Posts {
            kept: 13,
            hits: 3,
            misses: 3,
        };
        assert_eq!(all, expected);
        let at = |ms| Timestamp::from_millisecond(ms).ok();
        assert_eq!(Posts::of(&beats, at(1_000)).kept, 8);
        assert_eq!(Posts::of(&beats, at(2_000)).kept, 0);

        let results = Holdings {
            entries: 2,
            bytes: 9,
            hits: 1,
            misses: 0,
        };
        let stats = Stats::of(&results, &all);
        assert_eq!((stats.total_keys, stats.hit_rate), (15, 0.5714));
        let nothing = Holdings {
            entries: 0,
            bytes: 0,
            hits: 0,
            misses: 0,
        };
        let stats = Stats::of(&nothing, &Posts::default());
        assert!(stats.hit_rate.abs() < f64::EPSILON, "{stats:?}");
    }
}
