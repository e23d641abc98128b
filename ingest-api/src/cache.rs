//! Results that were asked for a moment ago, in front of the store. Only of analyses that have ended: they change seldom.
//!
//! **How stale.** What this replica changes (a deletion, a submission that begins a run) it forgets at once. What another replica or a
//! rescoring changes is seen after `api.cache.life_ms` (5 s) at the latest, and so is what was read while it changed. **How much.** At
//! most `api.cache.memory_mib` (64), counted as twice the length of a result's JSON; what was asked for least goes first.

use std::{io, sync::Arc, time::Duration};

use engine::cache_metrics::CacheMetrics;
use jiff::Timestamp;
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use store::{AnalysisRow, Status, Store, StoreError, StorePolicy};
use uuid::Uuid;

/// Bytes of an entry beside its result.
const ENTRY: u32 = 512;

/// Settings of the cache (`[api.cache]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Most memory for results, in MiB.
    pub memory_mib: u64,
    /// A result is read again from the store after this long, in milliseconds: how stale an answer may be.
    pub life_ms: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            life_ms: 5_000,
        }
    }
}

impl CacheConfig {
    /// Everything that is wrong with it, each naming its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let settings = [
            ("memory_mib", self.memory_mib, 65_536),
            ("life_ms", self.life_ms, 60_000),
        ];
        let odd = settings
            .iter()
            .filter(|(_, value, most)| !(1..=*most).contains(value));
        odd.map(|(key, value, most)| format!("api.cache.{key} is {value}; it must be 1 to {most}"))
            .collect()
    }
}

/// What it holds, as operators are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Results.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Questions it answered since the process began.
    pub hits: u64,
    /// Questions it did not.
    pub misses: u64,
}

/// The cache. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Results {
    rows: moka::future::Cache<Uuid, Arc<AnalysisRow>>,
    metrics: CacheMetrics,
}

impl Results {
    /// An empty one; registers the metrics of the cache `analysis`.
    ///
    /// # Errors
    /// When their names are taken.
    pub fn new(config: &CacheConfig, registry: &Registry) -> prometheus::Result<Self> {
        let rows = moka::future::Cache::builder()
            .max_capacity(config.memory_mib << 20)
            .weigher(|_, row: &Arc<AnalysisRow>| weight(row))
            .time_to_live(Duration::from_millis(config.life_ms))
            .build();
        Ok(Self {
            rows,
            metrics: CacheMetrics::register(registry, "analysis")?,
        })
    }

    /// An analysis, from here or from `store`.
    ///
    /// # Errors
    /// When the store does not tell.
    pub async fn analysis(
        &self,
        store: &dyn Store,
        policy: &StorePolicy,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Option<Arc<AnalysisRow>>, StoreError> {
        let known = self.rows.get(&id).await;
        self.metrics.asked(known.is_some());
        if known.is_some() {
            return Ok(known);
        }
        let Some(row) = store.analysis(id, now).await?.map(Arc::new) else {
            return Ok(None);
        };
        let status = row.state(policy).status;
        if matches!(status, Status::Completed | Status::Failed) {
            self.rows.insert(id, row.clone()).await;
            self.holdings().await;
        }
        Ok(Some(row))
    }

    /// Forgets an analysis.
    pub async fn forget(&self, id: Uuid) {
        self.rows.invalidate(&id).await;
    }

    /// Forgets every analysis of a post. Looks through all of them.
    pub async fn forget_post(&self, post_id: &str) {
        let of_post = self
            .rows
            .iter()
            .filter(|(_, row)| row.post.post_id == post_id);
        let ids: Vec<Uuid> = of_post.map(|(id, _)| *id).collect();
        for id in ids {
            self.forget(id).await;
        }
    }

    /// Forgets everything; how much that was.
    pub async fn clear(&self) -> u64 {
        let Holdings { entries, .. } = self.holdings().await;
        self.rows.invalidate_all();
        self.holdings().await;
        entries
    }

    /// What it holds; tells the metrics too.
    pub async fn holdings(&self) -> Holdings {
        self.rows.run_pending_tasks().await;
        let bytes = self.rows.weighted_size();
        self.metrics.holds(bytes);
        Holdings {
            entries: self.rows.entry_count(),
            bytes,
            hits: self.metrics.hits(),
            misses: self.metrics.misses(),
        }
    }
}

/// Bytes an analysis takes: about twice its JSON, because every text and list lies apart.
fn weight(row: &AnalysisRow) -> u32 {
    let mut length = Length(0);
    // Counting can't fail, and a result that is no JSON never came from the store.
    let _ = serde_json::to_writer(&mut length, &row.result);
    u32::try_from(length.0.saturating_mul(2))
        .unwrap_or(u32::MAX)
        .saturating_add(ENTRY)
}

/// Counts what is written.
struct Length(u64);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use schemas::{
        AnalysisResult, PostRef, Reason, Run, events::result::Failure, events::submission::Origin,
    };
    use store::{Analyses, Intake, SqliteStore};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_000 + seconds).unwrap()
    }

    /// Ends an analysis of a post of that name, with a message of this length.
    async fn end(store: &SqliteStore, name: &str, length: usize) -> Uuid {
        let post = PostRef {
            post_id: name.to_owned(),
            url: format!("https://www.instagram.com/p/{name}/"),
        };
        let error = Failure {
            code: Reason::PostUnavailable,
            message: "x".repeat(length),
            stage: "scrape".to_owned(),
        };
        let id = schemas::identity::derive(&[name]);
        let result = AnalysisResult::failed(id, Run::submitted(at(0)), None, post, error, at(1));
        store.finish(&result, at(1)).await.unwrap();
        id
    }

    #[tokio::test]
    async fn what_has_ended_is_read_once_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let policy = StorePolicy::default();
        let store = SqliteStore::open(&folder.path().join("t.db"), policy.clone()).unwrap();
        let results = Results::new(&CacheConfig::default(), &Registry::new()).unwrap();
        let ask = async |id| results.analysis(&store, &policy, id, at(2)).await.unwrap();
        let count = async || {
            let holdings = results.holdings().await;
            [holdings.entries, holdings.hits, holdings.misses]
        };
        let id = end(&store, "a", 10).await;
        assert_eq!(ask(Uuid::nil()).await, None);
        let row = ask(id).await.unwrap();
        assert_eq!(count().await, [1, 0, 2]);
        store.delete(id, at(2)).await.unwrap();
        assert_eq!(ask(id).await, Some(row), "for its life");
        results.forget(id).await;
        assert_eq!(ask(id).await, None);
        assert_eq!(count().await, [0, 1, 3]);

        let submission = schemas::Submission {
            analysis_id: Uuid::from_u128(5),
            run: Run::submitted(at(0)),
            supersedes: None,
            post: PostRef {
                post_id: "b".to_owned(),
                url: "https://www.instagram.com/p/b/".to_owned(),
            },
            force: false,
            origin: Origin::Single {
                request_id: "r".to_owned(),
            },
            owner: None,
        };
        store.accept(&[submission], None, at(0)).await.unwrap();
        assert!(ask(Uuid::from_u128(5)).await.is_some());
        assert_eq!(
            results.holdings().await.entries,
            0,
            "what goes on is not kept"
        );

        let ids = [end(&store, "c", 10).await, end(&store, "d", 10).await];
        for id in ids {
            ask(id).await;
        }
        results.forget_post("c").await;
        assert_eq!(results.holdings().await.entries, 1);
        assert_eq!(results.clear().await, 1);
        assert_eq!(results.holdings().await.bytes, 0);
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let policy = StorePolicy::default();
        let store = SqliteStore::open(&folder.path().join("t.db"), policy.clone()).unwrap();
        let config = CacheConfig {
            memory_mib: 1,
            ..CacheConfig::default()
        };
        let results = Results::new(&config, &Registry::new()).unwrap();
        for n in 0..10 {
            let id = end(&store, &format!("p{n}"), 100_000).await;
            let row = results.analysis(&store, &policy, id, at(2)).await.unwrap();
            assert!(weight(&row.unwrap()) > 200_000);
        }
        let holdings = results.holdings().await;
        assert!(
            (800_000..=1 << 20).contains(&holdings.bytes),
            "{holdings:?}"
        );
    }
}
