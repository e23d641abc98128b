//! Row 3: members join and leave a stage's group at random.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, interval};

use super::{Report, Size, balance, submit};
use crate::{cluster::Cluster, role::RoleProcess, watch::Watch};

/// Changes of membership a minute.
const CHANGES_A_MINUTE: usize = 20;
/// Most members at once.
const MEMBERS: usize = 4;
const MARK: Duration = Duration::from_secs(30);
/// Posts that come in a second meanwhile: a load that the machine carries.
const A_SECOND: usize = 40;

/// How the group shares out partitions.
#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    /// Everybody gives back everything.
    Eager,
    /// Only what moves is given back.
    Cooperative,
    /// The broker decides (KIP-848).
    Consumer,
}

impl Protocol {
    const fn settings(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Eager => (
                "3 eager",
                "random joins and leaves, eager",
                "classic",
                "range",
            ),
            Self::Cooperative => (
                "3 cooperative",
                "random joins and leaves, cooperative",
                "classic",
                "cooperative-sticky",
            ),
            Self::Consumer => (
                "3 consumer",
                "random joins and leaves, KIP-848",
                "consumer",
                "cooperative-sticky",
            ),
        }
    }
}

/// Runs the row.
pub async fn run(size: &Size, protocol: Protocol) -> Report {
    let (row, what, group, assignor) = protocol.settings();
    let mut report = Report::new(row, what);
    let mut cluster = Cluster::start(6).await;
    for (name, value) in [("PROTOCOL", group), ("ASSIGNOR", assignor)] {
        let name = format!("TRUSTCARD__KAFKA__GROUP__{name}");
        cluster.settings.insert(name, value.to_owned());
    }
    let [api, _record, _detect, _score] = cluster.roles(["api", "record", "detect", "score"]).await;
    let mut members: Vec<RoleProcess> = cluster.roles(["scrape"]).await.into();
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let changes = if size.timed {
        CHANGES_A_MINUTE
    } else {
        size.rounds
    };
    let every = Duration::from_secs(60) / u32::try_from(CHANGES_A_MINUTE).unwrap_or(1);
    let mut accepted = BTreeSet::new();
    let mut dice = Dice(0x5eed);
    let mut turns = interval(Duration::from_secs(1));
    let (began, mut done, mut second) = (Instant::now(), 0, 0);
    while done < changes {
        turns.tick().await;
        second += 1;
        let prefix = format!("row03-{second:04}-");
        accepted.extend(submit(&api.api, &prefix, A_SECOND).await);
        let due = began.elapsed() >= every * u32::try_from(done + 1).unwrap_or(u32::MAX);
        if !due {
            continue;
        }
        done += 1;
        if members.is_empty() || (members.len() < MEMBERS && dice.even()) {
            members.push(cluster.role("scrape", &[]));
        } else {
            let leaver = dice.below(members.len());
            let mut leaver = members.swap_remove(leaver);
            // A leave, not a stop to be waited for: the next change may come while it drains.
            leaver.signal("TERM").await;
            tokio::spawn(async move { leaver.ended().await });
        }
    }
    if members.is_empty() {
        members.push(cluster.role("scrape", &[]));
    }
    let stopped = Instant::now();
    let whole = watch.reach(accepted.len()).await;
    report.figure("changes", done);
    report.figure("submissions", accepted.len());
    report.check(whole, "the lag was not recovered");
    report.time("lag recovered after", stopped.elapsed(), MARK, size.timed);
    balance(&cluster, &accepted, &mut report).await;
    report
}

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn even(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }
}
