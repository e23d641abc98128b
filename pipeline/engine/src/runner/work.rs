//! One turn of a batch: decode, let the stage work, measure. Runs as a task of its own and never panics itself.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use jiff::Timestamp;
use schemas::{Reason, Record, envelope};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::job::{Finished, Job, Verdict};
use crate::{
    stage::{Message, Meta, Outcome, Stage, StageError},
    telemetry::propagation,
};

/// Lets the stage work on a batch.
pub(super) async fn process<S: Stage>(
    stage: Arc<S>,
    batch: Vec<Job<S::In>>,
    output_limit: usize,
) -> Finished<S::In> {
    let started = Instant::now();
    let mut done = Vec::with_capacity(batch.len());
    let mut jobs = Vec::with_capacity(batch.len());
    let mut messages = Vec::with_capacity(batch.len());
    let mut spans = Vec::with_capacity(batch.len());
    for mut job in batch {
        match decode(&mut job) {
            Ok(message) => {
                spans.push(span(stage.name(), &message.meta, &job));
                messages.push(message);
                jobs.push(job);
            }
            Err(reason) => done.push((job, Verdict::Undecodable(reason))),
        }
    }
    if !jobs.is_empty() {
        // A batch of one works inside its message's span; a larger one belongs to no single trace.
        let around = match spans.as_slice() {
            [only] => only.clone(),
            _ => Span::none(),
        };
        let work = guarded(stage.process(&messages)).instrument(around).await;
        let verdicts = verdicts(stage.name(), work, messages.len());
        let parts = jobs.into_iter().zip(messages).zip(spans).zip(verdicts);
        done.extend(parts.map(|(((mut job, message), span), mut verdict)| {
            if let Verdict::Outcome(Outcome::Forward(records)) = &mut verdict {
                if records.iter().any(|record| record.size() > output_limit) {
                    verdict = Verdict::Outcome(Outcome::Reject(Reason::OutputTooLarge));
                } else {
                    trace(&span, records);
                }
            }
            job.message = Some(message);
            (job, verdict)
        }));
    }
    Finished {
        jobs: done,
        elapsed: started.elapsed(),
    }
}

/// Tells the stage of a dead letter.
pub(super) async fn bury<S: Stage>(
    stage: Arc<S>,
    job: Job<S::In>,
    output_limit: usize,
) -> Finished<S::In> {
    let started = Instant::now();
    let verdict = match (&job.message, &job.letter) {
        (Some(message), Some(letter)) => {
            let span = span(stage.name(), &message.meta, &job);
            let told = guarded(stage.on_dead_letter(message, letter));
            match told.instrument(span.clone()).await {
                Ok(Ok(mut extra)) => {
                    extra.retain(|record| fits(record, output_limit));
                    trace(&span, &mut extra);
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

/// The message of a job, decoded at its first attempt.
fn decode<E: schemas::Event>(job: &mut Job<E>) -> Result<Message<E>, Reason> {
    let attempt = job.attempts().saturating_add(1);
    if let Some(mut message) = job.message.take() {
        message.meta.attempt = attempt;
        return Ok(message);
    }
    let source = &job.source;
    let event = envelope::decode(&source.headers, source.value.as_deref())
        .map_err(|error| error.reason())?;
    Ok(Message {
        event,
        meta: Meta {
            topic: Arc::clone(&source.at.topic),
            partition: source.at.partition,
            offset: source.offset,
            timestamp: Timestamp::from_millisecond(job.timestamp_ms()).unwrap_or_default(),
            event_id: envelope::text(&source.headers, "ce_id")
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

fn verdicts(
    stage: &str,
    work: Result<Result<Vec<Outcome>, StageError>, String>,
    count: usize,
) -> Vec<Verdict> {
    let broken = |reason| {
        let verdict = |_| Verdict::Broken {
            reason,
            shared: count > 1,
        };
        (0..count).map(verdict).collect()
    };
    match work {
        Ok(Ok(outcomes)) if outcomes.len() == count => {
            outcomes.into_iter().map(Verdict::Outcome).collect()
        }
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
            (0..count).map(|_| Verdict::Panicked).collect()
        }
    }
}

fn fits(record: &Record, limit: usize) -> bool {
    let fits = record.size() <= limit;
    if !fits {
        tracing::error!(
            topic = record.topic,
            bytes = record.size(),
            limit,
            "a record that belongs to a dead letter is too large and was left out"
        );
    }
    fits
}

/// The span of one message, part of the trace its record names.
fn span<E>(stage: &'static str, meta: &Meta, job: &Job<E>) -> Span {
    let span = tracing::info_span!(
        "message",
        otel.name = stage,
        stage,
        topic = &*meta.topic,
        partition = meta.partition,
        offset = meta.offset,
        event_id = &*meta.event_id,
    );
    if !span.is_disabled() {
        propagation::continue_trace(&span, propagation::extract(&job.source.headers));
    }
    span
}

fn trace(span: &Span, records: &mut [Record]) {
    if !span.is_disabled() {
        for record in records {
            propagation::inject(span, &mut record.headers);
        }
    }
}
