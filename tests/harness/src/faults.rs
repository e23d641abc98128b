//! What TrustCard survives, row by row of the fault table: real servers, real role processes, and a balance at the end. The rows run
//! at full size by `make faults` and at a small one among the tests.

use std::{collections::BTreeSet, time::Duration};

use uuid::Uuid;

use crate::{api::Api, balance, cluster::Cluster};

mod groups;
pub mod letters;
mod poison;
mod report;
pub mod rescore;
pub mod row01;
pub mod row02;
pub mod row03;
pub mod row04;
pub mod row05;
pub mod row06;
pub mod row07;
pub mod row08;
pub mod row09;
pub mod row10;
pub mod row11;
pub mod row12;
pub mod row19;

pub use report::Report;

/// How large a run is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Accepted submissions in the rows that count them.
    pub submissions: usize,
    /// How often each stage is killed.
    pub kills: usize,
    /// Rounds of a repeated fault.
    pub rounds: usize,
    /// How long the broker is away.
    pub outage: Duration,
    /// Whether marks in seconds count; where other work shares the machine they don't.
    pub timed: bool,
}

impl Size {
    /// As the fault table asks.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            submissions: 100_000,
            kills: 3,
            rounds: 200,
            outage: Duration::from_secs(60),
            timed: true,
        }
    }

    /// Minutes in all.
    #[must_use]
    pub const fn small() -> Self {
        Self {
            submissions: 600,
            kills: 1,
            rounds: 3,
            outage: Duration::from_secs(3),
            timed: false,
        }
    }
}

/// Most URLs of one batch.
const BATCH: usize = 10_000;
/// Most records a stage may hold: the default of `max_in_flight_records` and what one read may add.
const IN_FLIGHT: f64 = 8_000.0 + 500.0;

/// Submits `count` posts of the sample site; the ids of their analyses.
async fn submit(api: &Api, prefix: &str, count: usize) -> BTreeSet<Uuid> {
    let codes: Vec<String> = (0..count).map(|n| format!("load{prefix}{n:06}")).collect();
    let mut ids = BTreeSet::new();
    for part in codes.chunks(BATCH) {
        let accepted = api.submit(part).await;
        ids.extend(accepted.iter().map(|id| id.parse::<Uuid>().expect("an id")));
    }
    ids
}

/// Balances a cluster's accounts and tells the report.
async fn balance(cluster: &Cluster, accepted: &BTreeSet<Uuid>, report: &mut Report) {
    let store = cluster.store().await;
    let balance = balance::of(&cluster.kafka.bootstrap(), &*store, accepted).await;
    report.figure("balance", &balance);
    report.check(balance.is_even(), "the accounts don't balance");
}
