//! The promise itself: what was accepted against what came out.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use schemas::AnalysisResult;
use store::Store;
use uuid::Uuid;

use crate::read;

/// How accepted analyses and results compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Analyses that were accepted.
    pub accepted: usize,
    /// Terminal results a read-committed reader sees.
    pub results: usize,
    /// Accepted analyses without any.
    pub lost: usize,
    /// Results beyond the first of one (analysis, run).
    pub duplicated: usize,
    /// Where those are: partition and offset.
    pub repeats: Vec<(i32, i64)>,
    /// Results of analyses that nobody submitted.
    pub unknown: usize,
    /// Analyses whose newest result is not the one in the store.
    pub other_row: usize,
}

impl Balance {
    /// Whether nothing is lost, repeated or different.
    #[must_use]
    pub const fn is_even(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.unknown == 0 && self.other_row == 0
    }
}

impl std::fmt::Display for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} accepted, {} results: {} lost, {} duplicated, {} unknown, {} other rows",
            self.accepted, self.results, self.lost, self.duplicated, self.unknown, self.other_row
        )?;
        match &*self.repeats {
            [] => Ok(()),
            repeats => write!(f, "; repeats at (partition, offset) {repeats:?}"),
        }
    }
}

/// Compares accepted analyses with the results topic and the store.
///
/// # Panics
/// When either can't be read.
pub async fn of(bootstrap: &str, store: &dyn Store, accepted: &BTreeSet<Uuid>) -> Balance {
    let mut runs: BTreeMap<(Uuid, i64), usize> = BTreeMap::new();
    let mut newest: BTreeMap<Uuid, AnalysisResult> = BTreeMap::new();
    let (mut results, mut repeats) = (0, Vec::new());
    for record in read::all(bootstrap, schemas::topics::RESULTS).await {
        let Some(value) = record.value else {
            continue;
        };
        let result: AnalysisResult = serde_json::from_slice(&value).expect("a result");
        results += 1;
        let times = runs
            .entry((result.analysis_id, result.run.started_ms))
            .or_default();
        *times += 1;
        if *times > 1 {
            repeats.push((record.partition, record.offset));
        }
        let later = newest
            .get(&result.analysis_id)
            .is_none_or(|other| other.run.started_ms <= result.run.started_ms);
        if later {
            newest.insert(result.analysis_id, result);
        }
    }
    let other_row = stream::iter(&newest)
        .map(|(id, result)| async move {
            let row = store
                .analysis(*id, result.completed_at)
                .await
                .expect("a row");
            row.and_then(|row| row.result).as_ref() != Some(result)
        })
        .buffer_unordered(32)
        .filter(|differs| std::future::ready(*differs))
        .count()
        .await;
    Balance {
        accepted: accepted.len(),
        results,
        lost: accepted
            .iter()
            .filter(|id| !newest.contains_key(id))
            .count(),
        duplicated: repeats.len(),
        repeats,
        unknown: newest.keys().filter(|id| !accepted.contains(id)).count(),
        other_row,
    }
}
