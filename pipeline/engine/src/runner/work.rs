//! One turn of a batch: decode, let the stage work, measure. Runs as a task of its own and never panics itself.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use jiff::Timestamp;
use schemas::{Input, Reason, Record, envelope};
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    job::{BoxedJob, Finished, Job, Verdict},
    trace::Trace,
};
use crate::{
    delivery::Outputs,
    producer::Output,
    stage::{Message, Meta, Outcome, Stage, StageError},
    telemetry::LOGGED,
};

/// Lets the stage work on a batch.
pub(super) async fn process<S: Stage>(
    stage: Arc<S>,
    batch: Vec<BoxedJob>,
    output_limit: usize,
) -> Finished {
    let started = Instant::now();
    let mut done = Vec::with_capacity(batch.len());
    let mut jobs = Vec::with_capacity(batch.len());
    let mut messages = Vec::with_capacity(batch.len());
    let mut traces = Vec::with_capacity(batch.len());
    let alone = batch.len() == 1;
    for job in batch {
        match decode::<S::In>(&job, job.attempts().saturating_add(1)) {
            Ok(message) => {
                let headers = &job.source.record;
                traces.push(Trace::of(stage.name(), &message.meta, headers, alone));
                messages.push(message);
                jobs.push(job);
            }
            Err(reason) => done.push((job, Verdict::Undecodable(reason))),
        }
    }
    if !jobs.is_empty() {
        // A batch of one works inside its message's span; a larger one belongs to no single trace.
        let around = match traces.as_slice() {
            [only] => only.span(),
            _ => {
                tracing::error_span!(target: LOGGED, "batch", stage = stage.name(), messages = jobs.len())
            }
        };
        let work = guarded(stage.process(messages))
            .instrument(around.clone())
            .await;
        let seconds = started.elapsed().as_secs_f64();
        around.in_scope(|| {
            tracing::debug!(messages = jobs.len(), seconds, "batch done");
        });
        let outcomes = outcomes(stage.name(), work, jobs.len());
        let parts = jobs.into_iter().zip(traces).zip(outcomes);
        done.extend(parts.map(|((mut job, trace), outcome)| {
            let verdict = match outcome {
                Ok(outcome) => judged(outcome, trace, output_limit),
                Err(verdict) => verdict,
            };
            if let Verdict::Forward { .. } = verdict {
                job.source.forget();
            }
            (job, verdict)
        }));
    }
    Finished {
        jobs: done,
        elapsed: started.elapsed(),
    }
}

/// Tells the stage of a dead letter.
pub(super) async fn bury<S: Stage>(stage: Arc<S>, job: BoxedJob, output_limit: usize) -> Finished {
    let started = Instant::now();
    // It could be read before, and the attempt that failed is one of those it counts.
    let message = decode::<S::In>(&job, job.attempts().max(1));
    let verdict = match (&message, &job.letter) {
        (Ok(message), Some(letter)) => {
            let trace = Trace::of(stage.name(), &message.meta, &job.source.record, true);
            let told = guarded(stage.on_dead_letter(message, letter));
            match told.instrument(trace.span()).await {
                Ok(Ok(mut extra)) => {
                    extra.retain(|record| fits(record, output_limit));
                    trace.go_on(&mut extra);
                    Verdict::Buried(extra)
                }
                Ok(Err(error)) => {
                    tracing::warn!(stage = stage.name(), reason = %error.reason, detail = error.detail,
                        "stage could not be told of a dead letter; it is told again");
                    Verdict::NotBuried
                }
                Err(panic) => {
                    tracing::error!(
                        stage = stage.name(),
                        panic,
                        "stage panicked over a dead letter"
                    );
                    Verdict::NotBuried
                }
            }
        }
        _ => Verdict::Buried(Vec::new()),
    };
    Finished {
        jobs: vec![(job, verdict)],
        elapsed: started.elapsed(),
    }
}

/// The message of a job.
fn decode<E: Input>(job: &Job, attempt: u32) -> Result<Message<E>, Reason> {
    let source = &job.source;
    let event = E::read(&source.record, source.record.value()).map_err(|error| error.reason())?;
    Ok(Message {
        event,
        meta: Meta {
            topic: source.at.topic,
            partition: source.at.partition,
            offset: source.offset,
            timestamp: Timestamp::from_millisecond(job.timestamp_ms()).unwrap_or_default(),
            event_id: envelope::text(&source.record, "ce_id")
                .unwrap_or_default()
                .into(),
            attempt,
        },
    })
}

/// A panic becomes its text.
async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned())
    })
}

/// What an outcome means. Outputs are measured here, by the thread that has just made them.
fn judged(outcome: Outcome, trace: Trace, limit: usize) -> Verdict {
    match outcome {
        Outcome::Forward(records) if records.iter().any(|record| record.size() > limit) => {
            Verdict::Reject(Reason::OutputTooLarge)
        }
        Outcome::Forward(mut records) => {
            trace.go_on(&mut records);
            let outputs: Outputs = records.into_iter().map(Output::from).collect();
            let bytes = outputs.iter().map(|output| output.record.size()).sum();
            Verdict::Forward { outputs, bytes }
        }
        Outcome::Skip(reason) => Verdict::Skip(reason),
        Outcome::Retry { reason, after } => Verdict::Retry { reason, after },
        Outcome::Reject(reason) => Verdict::Reject(reason),
    }
}

/// The outcome of each message, or what became of it without one.
fn outcomes(
    stage: &str,
    work: Result<Result<Vec<Outcome>, StageError>, String>,
    count: usize,
) -> Vec<Result<Outcome, Verdict>> {
    let broken = |reason| {
        let verdict = |_| {
            Err(Verdict::Broken {
                reason,
                shared: count > 1,
            })
        };
        (0..count).map(verdict).collect()
    };
    match work {
        Ok(Ok(outcomes)) if outcomes.len() == count => outcomes.into_iter().map(Ok).collect(),
        Ok(Ok(outcomes)) => {
            tracing::error!(
                stage,
                messages = count,
                outcomes = outcomes.len(),
                "stage returned another number of outcomes than it got messages"
            );
            broken(Reason::StagePanicked)
        }
        Ok(Err(error)) => {
            tracing::warn!(stage, reason = %error.reason, detail = error.detail, messages = count,
                "stage failed; the batch is tried again");
            broken(error.reason)
        }
        Err(panic) => {
            tracing::error!(stage, panic, messages = count, "stage panicked");
            (0..count).map(|_| Err(Verdict::Panicked)).collect()
        }
    }
}

fn fits(record: &Record, limit: usize) -> bool {
    let fits = record.size() <= limit;
    if !fits {
        tracing::error!(
            topic = &*record.topic,
            bytes = record.size(),
            limit,
            "a record that belongs to a dead letter is too large and was left out"
        );
    }
    fits
}
