//! Metrics of a store, the same for both adapters, and of the results that are written to it.
//!
//! A query is one statement, measured each time it is sent: on CQL with the way there and back, on SQLite while it runs (a
//! write is on disk only after the commit of its group, which is no query).

use std::{sync::Arc, time::Duration};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use schemas::{AnalysisResult, events::result::Outcome};

use crate::{Result, StoreError};

/// Bounds of queries, seconds: the old application's 0.001 to 5, and finer ones below.
const QUERY_SECONDS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0,
    5.0,
];
/// Bounds of runs, seconds. Analyses take less than a second when nothing waits, minutes when it does.
const RUN_SECONDS: [f64; 16] = [
    0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0,
];
const OPERATIONS: [&str; 4] = ["select", "insert", "update", "delete"];

/// The operation of a statement; `None` for what is no query, such as a commit.
pub(crate) fn operation(statement: &str) -> Option<&'static str> {
    let word = statement.split_whitespace().next()?;
    // A subquery that is named first belongs to the statement that reads it.
    let word = if word.eq_ignore_ascii_case("with") {
        "select"
    } else {
        word
    };
    OPERATIONS
        .into_iter()
        .find(|operation| operation.eq_ignore_ascii_case(word))
}

/// The metrics of one store.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    queries: HistogramVec,
    failures: IntCounterVec,
    retries: IntCounter,
    refused: IntCounter,
}

impl StoreMetrics {
    /// Metrics that nobody sees before they are registered.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let queries = HistogramOpts::new(
            "trustcard_db_query_duration_seconds",
            "Time a statement took, each time it was sent.",
        );
        let queries = HistogramVec::new(queries.buckets(QUERY_SECONDS.to_vec()), &["operation"])?;
        for operation in OPERATIONS {
            queries.with_label_values(&[operation]);
        }
        let failures = Opts::new(
            "trustcard_db_failures_total",
            "Calls that failed: the store was unavailable, or held or was given something unusable.",
        );
        let failures = IntCounterVec::new(failures, &["kind"])?;
        for kind in ["unavailable", "corrupt"] {
            failures.with_label_values(&[kind]);
        }
        Ok(Self {
            queries,
            failures,
            retries: IntCounter::new(
                "trustcard_db_retries_total",
                "Statements that were sent a second time.",
            )?,
            refused: IntCounter::new(
                "trustcard_db_refused_total",
                "Statements that were not sent, because too many were on their way or waiting.",
            )?,
        })
    }

    /// Shows them in `registry`, with the store's connections.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(
        &self,
        registry: &Registry,
        connections: Arc<dyn Connections>,
    ) -> prometheus::Result<()> {
        registry.register(Box::new(self.queries.clone()))?;
        registry.register(Box::new(self.failures.clone()))?;
        registry.register(Box::new(self.retries.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(ConnectionMetrics::new(connections)?))
    }

    /// A statement was answered, or failed, after so long.
    pub(crate) fn query(&self, statement: &str, took: Duration) {
        if let Some(operation) = operation(statement) {
            self.queries
                .with_label_values(&[operation])
                .observe(took.as_secs_f64());
        }
    }

    /// Counts a call that failed, and gives its result back.
    pub(crate) fn counted<T>(&self, result: Result<T>) -> Result<T> {
        let kind = match &result {
            Ok(_) => return result,
            Err(StoreError::Unavailable(_)) => "unavailable",
            Err(StoreError::Corrupt(_)) => "corrupt",
        };
        self.failures.with_label_values(&[kind]).inc();
        result
    }

    pub(crate) fn retried(&self) {
        self.retries.inc();
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }
}

/// What a store knows of its connections whenever it is asked.
pub trait Connections: Send + Sync + 'static {
    /// Open ones.
    fn active(&self) -> u64;
    /// Attempts to open one that were not answered in time.
    fn connect_timeouts(&self) -> u64;
    /// Requests that were not answered in time.
    fn request_timeouts(&self) -> u64;
}

/// Asked when metrics are read.
struct ConnectionMetrics {
    connections: Arc<dyn Connections>,
    active: prometheus::IntGauge,
    connect_timeouts: IntCounter,
    request_timeouts: IntCounter,
}

impl ConnectionMetrics {
    fn new(connections: Arc<dyn Connections>) -> prometheus::Result<Self> {
        Ok(Self {
            connections,
            active: prometheus::IntGauge::new(
                "trustcard_db_connections_active",
                "Open connections to the store.",
            )?,
            connect_timeouts: IntCounter::new(
                "trustcard_db_connect_timeouts_total",
                "Attempts to connect to the store that were not answered in time.",
            )?,
            request_timeouts: IntCounter::new(
                "trustcard_db_request_timeouts_total",
                "Requests to the store that were not answered in time.",
            )?,
        })
    }
}

impl Collector for ConnectionMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let counters = [&self.connect_timeouts, &self.request_timeouts];
        let counters = counters.into_iter().flat_map(Collector::desc);
        self.active.desc().into_iter().chain(counters).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let active = self.connections.active();
        self.active.set(i64::try_from(active).unwrap_or(i64::MAX));
        let up_to = |counter: &IntCounter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
            counter.collect()
        };
        let mut families = self.active.collect();
        families.extend(up_to(
            &self.connect_timeouts,
            self.connections.connect_timeouts(),
        ));
        families.extend(up_to(
            &self.request_timeouts,
            self.connections.request_timeouts(),
        ));
        families
    }
}

/// Counts runs that ended, whichever stage ended them.
#[derive(Debug, Clone)]
pub struct EndMetrics {
    completed: IntCounterVec,
    duration: Histogram,
}

impl EndMetrics {
    /// Registers them, every label's value at 0 from the start.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let completed = IntCounterVec::new(
            Opts::new(
                "trustcard_analyses_completed_total",
                "Analyses that ended, by how.",
            ),
            &["status"],
        )?;
        for outcome in [Outcome::Completed, Outcome::Failed] {
            completed.with_label_values(&[outcome.name()]);
        }
        let duration = HistogramOpts::new(
            "trustcard_analysis_duration_seconds",
            "Seconds from the start of a run to the record its result was derived from.",
        );
        let duration = Histogram::with_opts(duration.buckets(RUN_SECONDS.to_vec()))?;
        registry.register(Box::new(completed.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self {
            completed,
            duration,
        })
    }

    /// Counts a result that was written and is being emitted. One that is redone after an aborted transaction counts again.
    pub fn observe(&self, result: &AnalysisResult) {
        self.completed
            .with_label_values(&[result.status.name()])
            .inc();
        let took = result.completed_at.duration_since(result.created_at);
        self.duration.observe(took.as_secs_f64().max(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_one_of_four_operations_or_no_query() {
        assert_eq!(operation("SELECT a FROM b"), Some("select"));
        assert_eq!(operation("\n  insert or ignore into b"), Some("insert"));
        assert_eq!(operation("UPDATE b SET a = 1"), Some("update"));
        assert_eq!(operation("DELETE FROM b"), Some("delete"));
        assert_eq!(
            operation("WITH c AS (SELECT 1) SELECT * FROM c"),
            Some("select")
        );
        for none in ["COMMIT", "SAVEPOINT job", "PRAGMA x", ""] {
            assert_eq!(operation(none), None, "{none}");
        }
    }
}
