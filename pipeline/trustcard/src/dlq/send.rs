//! `trustcard dlq replay`: letters back to the topics they came from.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use anyhow::Result;
use async_trait::async_trait;
use engine::{
    Clock, Kafka, Publisher, RunnerError, SystemClock,
    copy::{self, Copier, CopyConfig, CopyError, Decision, Ended, Mark, Marks, Ranges, Source},
};
use futures::future::try_join_all;
use indicatif::ProgressBar;
use schemas::{Run, topics};
use serde_json::{Value, json};
use store::{Operations, ProgressStep, SqliteStore, Store};

use super::{
    args::SendArgs,
    fate::{Fate, Judge, run_at},
    group,
    letter::Letter,
    place::Place,
    progress::Progress,
};
use crate::{
    exit::Failure,
    parts::{ACK_TIMEOUT, MAX_WAITING},
    rows,
    settings::Settings,
    show::{progress_bar, say, table},
};

/// Refused letters that are listed; the others are counted.
const LISTED: usize = 50;

/// Runs the command. `false` when letters were refused.
///
/// # Errors
/// When the broker or the store does not answer; what was sent until then stands, and the next start goes on.
pub async fn run(args: &SendArgs, settings: &Settings) -> Result<bool> {
    let (place, store) = Place::find(&args.place, settings).await?;
    let mut sending = Sending::new(args, &*store);
    let ended = match &place {
        Place::Topics(kafka) => over_topics(kafka, args, &mut sending).await?,
        Place::Rows(kept, kafka) => over_rows(kept, kafka, args, &mut sending).await?,
    };
    sending.bar.finish_and_clear();
    sending.tell(args, &place, ended)?;
    Ok(sending.refused.is_empty())
}

/// What is known of a replay under way.
struct Sending<'a> {
    args: &'a SendArgs,
    store: &'a dyn Store,
    run: Run,
    bar: ProgressBar,
    /// Fates of the letters decided last, each with the letter's id and code.
    decided: Vec<(Fate, String, &'static str)>,
    counts: BTreeMap<&'static str, u64>,
    refused: Vec<Value>,
    kafka: Option<Kafka>,
    /// Ends of the partitions, fixed at the start.
    ends: Option<Ranges>,
    progress: Progress,
}

impl<'a> Sending<'a> {
    fn new(args: &'a SendArgs, store: &'a dyn Store) -> Self {
        Self {
            args,
            store,
            run: run_at(SystemClock.now()),
            bar: progress_bar(0, "letters"),
            decided: Vec::new(),
            counts: BTreeMap::new(),
            refused: Vec::new(),
            kafka: None,
            ends: None,
            progress: Progress::default(),
        }
    }

    fn code(&self) -> Option<&'a str> {
        self.args.code.as_deref()
    }

    /// Decides about letters, all at once.
    async fn judge(&mut self, letters: Vec<Letter>) -> Result<(), String> {
        let judge = Judge {
            stage: &self.args.stage,
            store: self.store,
            run: self.run,
            cap: self.args.cap,
            now: SystemClock.now(),
        };
        let (code, progress) = (self.code(), &self.progress);
        let fates = letters.iter().map(async |letter| {
            let asked = code.is_none_or(|code| code == letter.code());
            if asked && progress.is_open(letter) {
                judge.fate(letter).await
            } else {
                Ok(Fate::NotAsked)
            }
        });
        let fates = try_join_all(fates).await;
        let fates = fates.map_err(|error| format!("the store can't be asked: {error}"))?;
        let letters = letters.into_iter();
        self.decided = fates
            .into_iter()
            .zip(letters)
            .map(|(fate, letter)| {
                let code = letter.code();
                (fate, letter.id, code)
            })
            .collect();
        Ok(())
    }

    /// The first `count` of the letters decided last are dealt with.
    async fn dealt_with(&mut self, count: usize) {
        let mut steps: Vec<ProgressStep> = Vec::new();
        for (fate, id, code) in self.decided.drain(..).take(count) {
            *self.counts.entry(fate.name()).or_default() += 1;
            match fate {
                Fate::NewRun(_, step) => steps.extend(step),
                Fate::Refused(why) if self.refused.len() < LISTED => {
                    let listed = json!({ "letter": id, "code": code, "why": why });
                    self.refused.push(listed);
                }
                _ => {}
            }
        }
        self.bar.inc(count as u64);
        if steps.is_empty() || self.args.dry_run {
            return;
        }
        if let Err(error) = self.store.progress(&steps).await {
            tracing::warn!(%error, runs = steps.len(), "letters were sent, but their runs have no row before they end");
        }
    }

    fn tell(&self, args: &SendArgs, place: &Place, ended: Ended) -> Result<()> {
        let more = ended == Ended::AtMost;
        let rows = matches!(place, Place::Rows(..));
        if args.json {
            say!(
                "{}",
                json!({
                    "stage": args.stage,
                    "code": args.code,
                    "dry_run": args.dry_run,
                    "run": self.run,
                    "exactly_once": !rows,
                    "counts": self.counts,
                    "refused": self.refused,
                    "more": more,
                })
            );
            return Ok(());
        }
        let mut shown = table(&[if args.dry_run { "would be" } else { "letters" }, "count"]);
        for (name, count) in &self.counts {
            shown.add_row([(*name).to_owned(), count.to_string()]);
        }
        say!("{shown}");
        for one in &self.refused {
            say!("refused {}", one);
        }
        if rows {
            say!("Sent at least once: the broker of `trustcard up` has no transactions.");
        }
        if more {
            say!(
                "There may be more: --max {} was reached; start again to go on.",
                args.max
            );
        }
        Ok(())
    }
}

#[async_trait]
impl Copier for Sending<'_> {
    async fn begin(&mut self, marks: &Marks) -> Result<(Ranges, Option<Marks>), String> {
        self.progress = Progress::of(marks);
        let ends = match (&self.ends, &self.kafka) {
            (Some(ends), _) => ends.clone(),
            (None, Some(kafka)) => {
                let topic = topics::dead_letters(&self.args.stage);
                let bounds = copy::bounds(kafka, &topic).await;
                bounds.map_err(|error| error.to_string())?
            }
            (None, None) => Ranges::new(),
        };
        let mut ranges = ends.clone();
        for (partition, range) in &mut ranges {
            range.start = self.progress.start(*partition, self.code(), range.start);
        }
        let left = ranges
            .values()
            .map(|range| (range.end - range.start).max(0));
        self.bar
            .set_length(self.bar.position() + left.sum::<i64>().unsigned_abs());
        self.ends = Some(ends);
        Ok((ranges, None))
    }

    async fn decide(&mut self, records: &[Source]) -> Result<Vec<Decision>, String> {
        self.judge(records.iter().cloned().map(Letter::from).collect())
            .await?;
        let decisions = self.decided.iter().map(|(fate, _, _)| match fate.record() {
            Some(record) => Decision::Copy(record.clone()),
            None => Decision::Pass,
        });
        Ok(decisions.collect())
    }

    async fn done(&mut self, count: usize) {
        self.dealt_with(count).await;
    }

    fn mark(&self, partition: i32, next: i64) -> Mark {
        let ends = self.ends.as_ref();
        let low = ends.and_then(|ends| ends.get(&partition));
        let low = low.map_or(0, |range| range.start);
        self.progress.mark(partition, self.code(), low, next)
    }
}

async fn over_topics(kafka: &Kafka, args: &SendArgs, sending: &mut Sending<'_>) -> Result<Ended> {
    let group = group(&args.stage);
    let config = CopyConfig {
        topic: topics::dead_letters(&args.stage),
        transactional_id: group.clone(),
        group,
        max: Some(args.max),
        rate: Some(args.rate),
        dry_run: args.dry_run,
    };
    sending.kafka = Some(kafka.clone());
    let ended = copy::copy(kafka, &config, sending).await;
    ended.map_err(|error| match error {
        CopyError::Fenced => anyhow::Error::new(RunnerError::Fenced)
            .context("another `dlq replay` of this stage has begun"),
        error => Failure::Unavailable(format!(
            "the letters can't be sent: {error}. What was sent is complete; start again to go on"
        ))
        .into(),
    })
}

/// Rows, oldest first: sent and acknowledged, then forgotten.
async fn over_rows(
    store: &SqliteStore,
    kafka: &Kafka,
    args: &SendArgs,
    sending: &mut Sending<'_>,
) -> Result<Ended> {
    let letters = store.dead_letters(&args.stage, u32::MAX).await;
    let letters = letters.map_err(rows::failed)?;
    let publisher = Publisher::new(kafka, "trustcard-dlq", ACK_TIMEOUT, MAX_WAITING)?;
    sending.bar.set_length(letters.len() as u64);
    let mut sent = 0;
    for row in letters.into_iter().rev() {
        let letter = Letter::from(row);
        let kept = letter.row.clone();
        sending
            .judge(vec![letter])
            .await
            .map_err(Failure::Unavailable)?;
        let fate = sending.decided.first().map(|(fate, _, _)| fate.clone());
        let record = fate.as_ref().and_then(Fate::record).cloned();
        if record.is_some() && sent >= args.max {
            return Ok(Ended::AtMost);
        }
        if let Some(record) = record.filter(|_| !args.dry_run) {
            publish(&publisher, record, args.rate).await?;
        }
        sent += u64::from(fate.as_ref().is_some_and(|fate| fate.record().is_some()));
        let over = !matches!(fate, None | Some(Fate::NotAsked | Fate::Refused(_)));
        if let Some(kept) = kept.filter(|_| over && !args.dry_run) {
            store
                .forget_dead_letter(&kept)
                .await
                .map_err(rows::failed)?;
        }
        sending.dealt_with(1).await;
    }
    Ok(Ended::AtTheEnd)
}

async fn publish(publisher: &Publisher, record: schemas::Record, rate: NonZeroU32) -> Result<()> {
    let reserved = publisher.reserve(vec![record])?;
    let acknowledged = reserved.publish().await;
    for one in acknowledged {
        one.map_err(|error| {
            Failure::Unavailable(format!(
                "{error}; is `trustcard up` still running? Start again to go on"
            ))
        })?;
    }
    tokio::time::sleep(Duration::from_secs(1) / rate.get()).await;
    Ok(())
}
