//! A round: ask, read what has to be read, tell.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use rdkafka::Offset;
use tokio::time::Instant;

use super::{
    GroupLag, Lag, LagError, PartitionLag, Pattern, State, Watched,
    broker::{self, Broker, REQUEST, Topics},
    read::{self, Job},
    scan::{self, Bounds, Scan, Want},
    steady::SteadyClock,
};
use crate::{clock::SharedClock, kafka::Kafka, ledger::TopicPartition, topic_name::TopicName};

/// Most groups that patterns may add; each costs a client with its connections.
const MAX_GROUPS: usize = 200;
/// How often patterns are matched against the groups there are.
const LOOK_FOR_GROUPS: Duration = Duration::from_secs(60);
/// How long records may be read for in a round.
const READING: Duration = Duration::from_secs(5);

/// Commits of one group by partition.
type Commits = BTreeMap<TopicPartition, Option<i64>>;

/// Watches groups. Needs a broker and nothing else.
pub struct Monitor {
    /// `None` while a round is under way, and after one that was interrupted.
    rounds: Option<Rounds>,
}

struct Rounds {
    broker: Broker,
    own: Vec<Watched>,
    foreign: Vec<Pattern>,
    /// What patterns matched last time, and when that was.
    matched: Option<(Instant, BTreeSet<String>)>,
    scans: HashMap<(String, TopicPartition), Scan>,
    clock: SteadyClock,
    reads: u64,
}

impl Monitor {
    /// Watches the groups `own`, whose topics are known, and those that match `foreign`, whose topics are those they have
    /// commits for. Connects nothing yet.
    ///
    /// # Errors
    /// When a Kafka setting is wrong.
    pub fn new(
        kafka: &Kafka,
        own: Vec<Watched>,
        foreign: Vec<Pattern>,
        clock: SharedClock,
    ) -> Result<Self, LagError> {
        Ok(Self {
            rounds: Some(Rounds {
                broker: Broker::new(kafka.clone())?,
                own,
                foreign,
                matched: None,
                scans: HashMap::new(),
                clock: SteadyClock::new(clock),
                reads: 0,
            }),
        })
    }

    /// Lag as it is now. Takes seconds at most where brokers answer; about twenty at most where they stop in the middle.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn round(&mut self) -> Result<Lag, LagError> {
        let mut rounds = self.rounds.take().ok_or(LagError::Interrupted)?;
        let done = tokio::task::spawn_blocking(move || {
            let lag = rounds.round();
            (rounds, lag)
        });
        let (rounds, lag) = done.await.map_err(|_| LagError::Interrupted)?;
        self.rounds = Some(rounds);
        lag
    }

    /// Partitions read since the beginning: the cost beside offsets.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.rounds.as_ref().map_or(0, |rounds| rounds.reads)
    }
}

impl Rounds {
    fn round(&mut self) -> Result<Lag, LagError> {
        let topics = self.broker.topics()?;
        let (groups, problem) = self.groups();
        self.broker.watch(&groups)?;
        // Commits before ends: a group that works on is never beyond an end that was read later.
        let commits = self.broker.commits(&topics);
        let groups: Vec<(String, Result<Commits, String>)> = commits
            .into_iter()
            .map(|(group, commits)| {
                let commits = commits
                    .map(|commits| self.relevant(&group, commits, &topics))
                    .map_err(|error| error.to_string());
                (group, commits)
            })
            .collect();
        let bounds = self.bounds(&groups, &topics);
        self.scan(&groups, &bounds);
        let (now, steady) = (self.clock.now(), Instant::now());
        let groups = groups.into_iter().map(|(group, commits)| match commits {
            Err(problem) => GroupLag {
                group,
                problem: Some(problem),
                partitions: Vec::new(),
            },
            Ok(commits) => {
                let partitions = commits.into_iter().map(|(at, committed)| {
                    let scan = self.scans.get(&(group.clone(), at.clone()));
                    tell(
                        &at,
                        committed,
                        bounds.get(&at).copied().zip(scan),
                        now,
                        steady,
                    )
                });
                GroupLag {
                    partitions: partitions.collect(),
                    problem: None,
                    group,
                }
            }
        });
        Ok(Lag {
            at: now,
            groups: groups.collect(),
            problem,
        })
    }

    /// The groups to watch, and why some may be missing.
    fn groups(&mut self) -> (BTreeSet<String>, Option<String>) {
        let mut groups: BTreeSet<String> = self.own.iter().map(|own| own.group.clone()).collect();
        let (open, names): (Vec<_>, Vec<_>) = self.foreign.iter().partition(|p| p.is_open());
        groups.extend(names.into_iter().map(|name| name.0.clone()));
        if open.is_empty() {
            return (groups, None);
        }
        let mut problem = None;
        let fresh = |(at, _): &(Instant, _)| at.elapsed() < LOOK_FOR_GROUPS;
        if !self.matched.as_ref().is_some_and(fresh) {
            match self.broker.group_names() {
                Ok(all) => {
                    let matched = all
                        .into_iter()
                        .filter(|name| open.iter().any(|pattern| pattern.matches(name)));
                    self.matched = Some((Instant::now(), matched.collect()));
                }
                Err(error) => {
                    problem = Some(format!("the broker does not list its groups: {error}"));
                }
            }
        }
        let matched = self.matched.iter().flat_map(|(_, matched)| matched);
        let more: Vec<_> = matched.filter(|name| !groups.contains(*name)).collect();
        if more.len() > MAX_GROUPS {
            problem = Some(format!(
                "{} groups match and only the first {MAX_GROUPS} are watched: choose narrower patterns",
                more.len()
            ));
        }
        let more: Vec<String> = more.into_iter().take(MAX_GROUPS).cloned().collect();
        groups.extend(more);
        (groups, problem)
    }

    /// Every partition of the topics a group reads: those it is known to read, and those it has commits for.
    fn relevant(
        &self,
        group: &str,
        commits: BTreeMap<TopicPartition, i64>,
        topics: &Topics,
    ) -> Commits {
        let own = self.own.iter().find(|own| own.group == group);
        let known = |topic: &str| own.is_some_and(|own| own.topics.iter().any(|own| own == topic));
        let committed: BTreeSet<TopicName> = commits.keys().map(|at| at.topic).collect();
        let mut relevant = Commits::new();
        for (topic, partitions) in topics {
            if known(topic) || committed.contains(topic) {
                for (partition, _) in partitions {
                    let at = TopicPartition::new(*topic, *partition);
                    let offset = commits.get(&at).copied();
                    relevant.insert(at, offset);
                }
            }
        }
        relevant
    }

    /// Where every partition that some group reads begins and ends.
    fn bounds(
        &self,
        groups: &[(String, Result<Commits, String>)],
        topics: &Topics,
    ) -> BTreeMap<TopicPartition, Bounds> {
        let leaders: BTreeSet<(&str, i32)> = topics
            .iter()
            .flat_map(|(topic, partitions)| {
                let led = partitions.iter().filter(|(_, leader)| *leader);
                led.map(|(partition, _)| (&**topic, *partition))
            })
            .collect();
        let at: BTreeSet<&TopicPartition> = groups
            .iter()
            .filter_map(|(_, commits)| commits.as_ref().ok())
            .flat_map(BTreeMap::keys)
            .filter(|at| leaders.contains(&(&*at.topic, at.partition)))
            .collect();
        let at: Vec<TopicPartition> = at.into_iter().cloned().collect();
        let until = Instant::now() + REQUEST;
        let (committed, uncommitted) = (&self.broker.committed, &self.broker.uncommitted);
        // In this order each is at least what the one before was.
        let low = broker::offsets(uncommitted, &at, Offset::Beginning, until);
        let stable = broker::offsets(committed, &at, Offset::End, until);
        let high = broker::offsets(uncommitted, &at, Offset::End, until);
        at.into_iter()
            .filter_map(|at| {
                let (low, stable, high) = (*low.get(&at)?, *stable.get(&at)?, *high.get(&at)?);
                let stable = stable.min(high);
                let low = low.min(stable);
                Some((at, Bounds { low, stable, high }))
            })
            .collect()
    }

    /// Brings what is known of the logs up to these commits and bounds.
    fn scan(
        &mut self,
        groups: &[(String, Result<Commits, String>)],
        bounds: &BTreeMap<TopicPartition, Bounds>,
    ) {
        let mut before = std::mem::take(&mut self.scans);
        for (group, commits) in groups {
            for (at, committed) in commits.iter().flatten() {
                let key = (group.clone(), at.clone());
                let known = before.remove(&key);
                match bounds.get(at) {
                    Some(bounds) => {
                        let (start, _) = scan::start(*committed, *bounds);
                        let mut scan = known.unwrap_or_else(|| Scan::at(start));
                        scan.move_to(start, *bounds);
                        self.scans.insert(key, scan);
                    }
                    // Nothing is known now, which is no reason to forget.
                    None => {
                        self.scans.extend(known.map(|known| (key, known)));
                    }
                }
            }
        }
        let until = Instant::now() + READING;
        // Twice: only who found nothing to read before the last stable offset looks behind it.
        for _ in 0..2 {
            self.read(bounds, until);
        }
    }

    fn read(&mut self, bounds: &BTreeMap<TopicPartition, Bounds>, until: Instant) {
        let wants: Vec<_> = self
            .scans
            .iter()
            .filter_map(|(key, scan)| {
                let want = scan.want(*bounds.get(&key.1)?)?;
                Some((key.clone(), want))
            })
            .collect();
        let jobs = |open: bool| {
            wants.iter().filter_map(move |((_, at), want)| {
                let (from, to, count) = match *want {
                    Want::Committed { from, to, count } if !open => (from, to, count),
                    Want::Uncommitted { from, to } if open => (from, to, false),
                    _ => return None,
                };
                Some((at.clone(), Job { from, to, count }))
            })
        };
        let committed = read::read(&self.broker.committed, jobs(false), until);
        let uncommitted = read::read(&self.broker.uncommitted, jobs(true), until);
        self.reads += (committed.len() + uncommitted.len()) as u64;
        for (key, want) in wants {
            let (found, from) = match want {
                Want::Committed { from, .. } => (&committed, from),
                Want::Uncommitted { from, .. } => (&uncommitted, from),
            };
            let found = found.get(&(key.1.clone(), from));
            if let (Some(found), Some(scan), Some(bounds)) =
                (found, self.scans.get_mut(&key), bounds.get(&key.1))
            {
                scan.learn(want, *found, *bounds);
            }
        }
    }
}

fn tell(
    at: &TopicPartition,
    committed: Option<i64>,
    known: Option<(Bounds, &Scan)>,
    now: Timestamp,
    steady: Instant,
) -> PartitionLag {
    let mut told = PartitionLag {
        topic: at.topic.to_string(),
        partition: at.partition,
        committed,
        log_start: None,
        last_stable: None,
        end: None,
        lag: None,
        exact: false,
        lag_seconds: None,
        state: State::Unavailable,
    };
    let Some((bounds, scan)) = known else {
        return told;
    };
    let measure = scan.measure(bounds);
    let (_, state) = scan::start(committed, bounds);
    (told.log_start, told.last_stable, told.end) =
        (Some(bounds.low), Some(bounds.stable), Some(bounds.high));
    (told.lag, told.exact) = (Some(measure.records), measure.exact);
    told.lag_seconds = match measure.head {
        Some(head) => Some(head.age(now.as_millisecond(), steady)),
        None => (measure.records == 0).then_some(0.0),
    };
    told.state = match state {
        State::Ok if measure.blocked => State::OpenTransaction,
        State::Ok if told.lag_seconds.is_none() => State::HeadUnknown,
        other => other,
    };
    told
}
