//! `trustcard replay`: detections of a time span scored again, as one new run, without a new scrape or a model.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use async_trait::async_trait;
use engine::{
    Clock, Kafka, RunnerError, SystemClock,
    copy::{self, Copier, CopyConfig, CopyError, Decision, Ended, Mark, Marks, Ranges, Source},
};
use futures::future::try_join_all;
use indicatif::ProgressBar;
use jiff::Timestamp;
use schemas::topics;
use serde_json::json;
use store::Store;
use uuid::Uuid;

use crate::{
    dlq::place::running_up,
    exit::Failure,
    rows,
    settings::Settings,
    show::{progress_bar, say, table},
};
use args::ReplayArgs;
use choose::{Choice, choose};
use plan::Plan;

pub mod args;
mod choose;
mod plan;

/// Runs the command.
///
/// # Errors
/// When the broker or the store does not answer; what was copied until then stands, and a start with the same name goes on.
pub async fn run(args: ReplayArgs, settings: &Settings) -> Result<bool> {
    let data_dir = &args.place.data_dir;
    if args.place.bootstrap.is_none() && running_up(data_dir).is_some() {
        return Err(Failure::Configuration(format!(
            "`trustcard up` runs on {}: its broker has no transactions and keeps detections for a moment only; a replay needs \
             Kafka (kafka.bootstrap)",
            data_dir.display()
        ))
        .into());
    }
    let store = rows::open(settings, data_dir).await?.store;
    let now = SystemClock.now();
    let id = args
        .id
        .clone()
        .unwrap_or_else(|| now.strftime("%Y%m%dT%H%M%S.%3fZ").to_string());
    let group = format!("trustcard.replay.{id}");
    let config = CopyConfig {
        topic: topics::DETECTIONS.to_owned(),
        transactional_id: group.clone(),
        group,
        max: Some(args.max),
        rate: Some(args.rate),
        dry_run: args.dry_run,
    };
    let mut replay = Replay {
        kafka: args.place.cluster(settings),
        store: &*store,
        asked: (args.from, args.to),
        now,
        plan: None,
        seen: HashSet::new(),
        decided: Vec::new(),
        counts: BTreeMap::new(),
        bar: progress_bar(0, "records"),
    };
    let cluster = replay.kafka.clone();
    let ended = copy::copy(&cluster, &config, &mut replay).await;
    replay.bar.finish_and_clear();
    let ended = ended.map_err(|error| replay.failed(&id, &error))?;
    replay.tell(&args, &id, ended)?;
    Ok(true)
}

/// A replay under way.
struct Replay<'a> {
    kafka: Kafka,
    store: &'a dyn Store,
    /// `--from` and `--to`.
    asked: (Option<Timestamp>, Option<Timestamp>),
    /// When this process began.
    now: Timestamp,
    plan: Option<Plan>,
    /// Analyses that were copied: of a repeated record one copy is enough.
    seen: HashSet<Uuid>,
    decided: Vec<Choice>,
    counts: BTreeMap<&'static str, u64>,
    bar: ProgressBar,
}

impl Replay<'_> {
    /// The plan of a replay that has not begun yet.
    async fn plan(&self) -> Result<Plan, String> {
        let (Some(from), to) = (self.asked.0, self.asked.1.unwrap_or(self.now)) else {
            return Err("no replay of this --id was begun; say --from, and --to".to_owned());
        };
        if from >= to {
            return Err("--from must lie before --to".to_owned());
        }
        let words = |error: CopyError| error.to_string();
        let topic = topics::DETECTIONS;
        let mut ranges = copy::bounds(&self.kafka, topic).await.map_err(words)?;
        let starts = copy::offsets_at(&self.kafka, topic, from)
            .await
            .map_err(words)?;
        let ends = copy::offsets_at(&self.kafka, topic, to)
            .await
            .map_err(words)?;
        for (partition, range) in &mut ranges {
            let end = ends
                .get(partition)
                .map_or(range.end, |end| range.end.min(*end));
            let start = starts
                .get(partition)
                .map_or(end, |start| range.start.max(*start));
            *range = start.min(end)..end;
        }
        Ok(Plan {
            run_ms: self.now.as_millisecond(),
            from_ms: from.as_millisecond(),
            to_ms: to.as_millisecond(),
            ranges,
        })
    }

    /// A replay that goes on does what it was begun for.
    fn check(&self, plan: &Plan) -> Result<(), String> {
        let differs = |asked: Option<Timestamp>, was: i64| {
            asked.is_some_and(|asked| asked.as_millisecond() != was)
        };
        if differs(self.asked.0, plan.from_ms) || differs(self.asked.1, plan.to_ms) {
            return Err(format!(
                "the replay of this --id was begun with --from {} --to {}; leave both out to go on, or choose another --id",
                shown(plan.from_ms),
                shown(plan.to_ms)
            ));
        }
        Ok(())
    }

    fn failed(&self, id: &str, error: &CopyError) -> anyhow::Error {
        let failure = match (error, &self.plan) {
            (CopyError::Fenced, _) => {
                let error = anyhow::Error::new(RunnerError::Fenced);
                return error.context("another process has gone on with this replay");
            }
            (CopyError::Copier(detail), None) => Failure::Configuration(detail.clone()),
            _ => Failure::Unavailable(format!(
                "the replay can't go on: {error}. What was copied is complete; go on with `trustcard replay --id {id}`"
            )),
        };
        failure.into()
    }

    fn tell(&self, args: &ReplayArgs, id: &str, ended: Ended) -> Result<()> {
        let more = ended == Ended::AtMost;
        let Some(plan) = &self.plan else {
            return Ok(());
        };
        if args.json {
            let document = json!({
                "id": id,
                "dry_run": args.dry_run,
                "run": plan.run(),
                "from": shown(plan.from_ms),
                "to": shown(plan.to_ms),
                "counts": self.counts,
                "more": more,
            });
            say!("{document}");
            return Ok(());
        }
        let what = if args.dry_run {
            "would be"
        } else {
            "detections"
        };
        let mut counts = table(&[what, "count"]);
        for (name, count) in &self.counts {
            counts.add_row([(*name).to_owned(), count.to_string()]);
        }
        say!("{counts}");
        if args.dry_run {
            say!("Nothing was copied (--dry-run).");
        } else if more {
            say!(
                "--max {} was reached; go on with `trustcard replay --id {id}`.",
                args.max
            );
        } else {
            say!(
                "Replay {id} is complete: run {} of cause rescore.",
                plan.run_ms
            );
        }
        Ok(())
    }
}

fn shown(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .unwrap_or_default()
        .to_string()
}

#[async_trait]
impl Copier for Replay<'_> {
    async fn begin(&mut self, marks: &Marks) -> Result<(Ranges, Option<Marks>), String> {
        let (plan, pinned) = match (Plan::of(marks)?, &self.plan) {
            (Some(begun), _) => {
                self.check(&begun)?;
                (begun, None)
            }
            (None, Some(plan)) => (plan.clone(), Some(plan.marks())),
            (None, None) => {
                let plan = self.plan().await?;
                let marks = plan.marks();
                (plan, Some(marks))
            }
        };
        let left = plan
            .ranges
            .values()
            .map(|range| (range.end - range.start).max(0));
        self.bar
            .set_length(self.bar.position() + left.sum::<i64>().unsigned_abs());
        let ranges = plan.ranges.clone();
        self.plan = Some(plan);
        Ok((ranges, pinned))
    }

    async fn decide(&mut self, records: &[Source]) -> Result<Vec<Decision>, String> {
        let Some(run) = self.plan.as_ref().map(Plan::run) else {
            return Err("the replay has no plan".to_owned());
        };
        let (store, now) = (self.store, SystemClock.now());
        let choices = records
            .iter()
            .map(|source| choose(&source.record, run, store, now));
        let choices = try_join_all(choices).await;
        let mut choices = choices.map_err(|error| format!("the store can't be asked: {error}"))?;
        let mut here = HashSet::new();
        for choice in &mut choices {
            if let Choice::Again(_, id) = choice
                && (self.seen.contains(id) || !here.insert(*id))
            {
                *choice = Choice::Superseded;
            }
        }
        self.decided = choices;
        let decisions = self.decided.iter().map(|choice| match choice {
            Choice::Again(record, _) => Decision::Copy(record.clone()),
            _ => Decision::Pass,
        });
        Ok(decisions.collect())
    }

    async fn done(&mut self, count: usize) {
        for choice in self.decided.drain(..).take(count) {
            *self.counts.entry(choice.name()).or_default() += 1;
            if let Choice::Again(_, id) = choice {
                self.seen.insert(id);
            }
        }
        self.bar.inc(count as u64);
    }

    fn mark(&self, partition: i32, next: i64) -> Mark {
        self.plan.as_ref().map_or_else(
            || Mark {
                offset: next,
                note: String::new(),
            },
            |plan| plan.mark(partition, next),
        )
    }
}
