//! The way to the servers: at most so many statements on their way, at most so many waiting, each with a time limit, and no
//! more than a share of them sent twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::Registry;
use scylla::{
    client::{
        execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder,
    },
    policies::retry::FallthroughRetryPolicy,
    response::query_result::QueryResult,
    serialize::row::SerializeRow,
    statement::{Consistency, prepared::PreparedStatement},
};
use secrecy::ExposeSecret;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout},
};

use super::{ScyllaConfig, error::Failure};
use crate::{
    Result, StoreError,
    metrics::{Connections, StoreMetrics},
};

/// Pause before a statement is sent a second time.
const PAUSE: Duration = Duration::from_millis(50);
/// Retries that may be saved up, so that a quiet hour does not pay for a storm.
const SAVED: f64 = 20.0;

/// Opens a session without a keyspace.
pub(super) async fn connect(config: &ScyllaConfig) -> Result<Session> {
    if let Some(problem) = config.problems().first() {
        return Err(StoreError::Corrupt(format!("database: {problem}")));
    }
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(config.request_timeout()))
        // Whether a statement is sent again is decided here, where the budget is.
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .speculative_execution_policy(None)
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.nodes)
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(config.connect_timeout())
        .keyspaces_to_fetch([&config.keyspace]);
    if let Some(datacenter) = &config.datacenter {
        builder = builder.prefer_datacenter(datacenter.clone());
    }
    if let Some(context) = config.tls.context()? {
        builder = builder.tls_context(Some(context));
    }
    if let (Some(user), Some(password)) = (&config.username, &config.password) {
        builder = builder.user(user, password.expose_secret());
    }
    let nodes = config.nodes.join(", ");
    match timeout(config.connect_timeout() * 2, builder.build()).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(match Failure::from(&error) {
            Failure::Passing(reason) => StoreError::Unavailable(format!(
                "no server of {nodes} lets us in: {reason}; is the database up, and are database.nodes, username, password \
                 and tls right?"
            )),
            lasting @ Failure::Lasting(_) => lasting.into(),
        }),
        Err(_) => Err(StoreError::Unavailable(format!(
            "no server of {nodes} answers in time; is database.nodes right and the database up?"
        ))),
    }
}

/// The driver's own metrics.
struct Driver(Arc<scylla::observability::metrics::Metrics>);

impl Connections for Driver {
    fn active(&self) -> u64 {
        self.0.get_total_connections()
    }

    fn connect_timeouts(&self) -> u64 {
        self.0.get_connection_timeouts()
    }

    fn request_timeouts(&self) -> u64 {
        self.0.get_request_timeouts()
    }
}

/// A session with its limits.
#[derive(Debug)]
pub(super) struct Client {
    session: Session,
    in_flight: Semaphore,
    waiting: Semaphore,
    patience: Duration,
    retries: Mutex<Retries>,
    metrics: StoreMetrics,
}

/// A bucket of retries: every statement adds its share, every retry takes one.
#[derive(Debug)]
struct Retries {
    left: f64,
    share: f64,
}

impl Retries {
    fn offered(&mut self) {
        self.left = (self.left + self.share).min(SAVED);
    }

    fn take(&mut self) -> bool {
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }
}

impl Client {
    pub(super) fn new(session: Session, config: &ScyllaConfig) -> Result<Self> {
        let metrics = StoreMetrics::new();
        Ok(Self {
            metrics: metrics.map_err(|error| StoreError::Corrupt(error.to_string()))?,
            session,
            in_flight: Semaphore::new(config.max_in_flight),
            waiting: Semaphore::new(config.max_waiting),
            patience: config.request_timeout(),
            retries: Mutex::new(Retries {
                // A command of a few statements may send one again.
                left: if config.retry_share > 0.0 { 1.0 } else { 0.0 },
                share: config.retry_share,
            }),
        })
    }

    /// Shows its metrics, and those of the driver.
    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let driver = Driver(self.session.get_metrics());
        self.metrics.register(registry, Arc::new(driver))
    }

    /// Runs a statement. Every one is idempotent, so one that failed in passing is sent once more where the budget allows.
    pub(super) async fn run(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult> {
        self.metrics.counted(self.attempt(statement, values).await)
    }

    async fn attempt(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult> {
        let _permit = self.admit().await.inspect_err(|_| self.metrics.refused())?;
        self.retries().offered();
        let first = match self.send(statement, &values).await {
            Ok(result) => return Ok(result),
            Err(failure) => failure,
        };
        if matches!(first, Failure::Lasting(_)) || !self.retries().take() {
            return Err(first.into());
        }
        self.metrics.retried();
        sleep(PAUSE).await;
        Ok(self.send(statement, &values).await?)
    }

    async fn send(
        &self,
        statement: &PreparedStatement,
        values: &impl SerializeRow,
    ) -> std::result::Result<QueryResult, Failure> {
        let began = Instant::now();
        let answer = self.session.execute_unpaged(statement, values).await;
        self.metrics
            .query(statement.get_statement(), began.elapsed());
        answer.map_err(|error| Failure::from(&error))
    }

    /// A place among those on their way; waits for one as long as for an answer, together with at most `max_waiting` others.
    async fn admit(&self) -> Result<SemaphorePermit<'_>> {
        if let Ok(permit) = self.in_flight.try_acquire() {
            return Ok(permit);
        }
        let _place = self.waiting.try_acquire().map_err(|_| {
            StoreError::Unavailable("too many statements wait for the database".to_owned())
        })?;
        match timeout(self.patience, self.in_flight.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(StoreError::Unavailable(
                "a statement had no turn in time: the database is slow".to_owned(),
            )),
        }
    }

    fn retries(&self) -> std::sync::MutexGuard<'_, Retries> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_never_pass_their_share_of_what_was_offered() {
        let mut retries = Retries {
            left: 0.0,
            share: 0.2,
        };
        let mut granted = 0;
        for _ in 0..1_000 {
            retries.offered();
            granted += u32::from(retries.take());
        }
        assert!((190..=200).contains(&granted), "{granted}");
        for _ in 0..10_000 {
            retries.offered();
        }
        let burst = (0..1_000).filter(|_| retries.take()).count();
        assert_eq!(burst, SAVED as usize);
    }
}
