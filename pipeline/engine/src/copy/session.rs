//! A copy from one interruption to the next: what is read begins at the committed marks, and each batch is one transaction.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    BATCH_RECORDS, Copier, CopyConfig, CopyError, Decision, Ended, Marks, OPENING, Source,
    pace::Pace, reader::Reader, topic,
};
use crate::{
    kafka::Kafka,
    ledger::TopicPartition,
    producer::Output,
    topic_name::TopicName,
    transactional::{Member, Offsets, Position, TransactionError, TransactionalProducer},
};

/// A transaction open for longer is aborted by the broker.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs until the end, until enough was written, or until something fails. `written` counts the copies.
pub(super) async fn run(
    kafka: &Kafka,
    config: &CopyConfig,
    copier: &mut dyn Copier,
    written: &mut u64,
) -> Result<Ended, CopyError> {
    // Before the marks are read: what another copy had left open is committed or aborted then, and it can write no more.
    let mut writer = match config.dry_run {
        true => None,
        false => Some(Writer::open(kafka, config).await?),
    };
    let mut marks = topic::progress(kafka, &config.topic, &config.group).await?;
    let (ranges, pinned) = copier.begin(&marks).await.map_err(CopyError::Copier)?;
    let mut reader = Reader::open(kafka, &config.topic, &config.group, &ranges)?;
    if let Some(writer) = &mut writer {
        writer.member = Some(reader.member());
        if let Some(pinned) = pinned {
            writer.commit(Vec::new(), &pinned).await?;
            marks = pinned;
        }
    }
    let mut pace = Pace::new(config.rate);
    loop {
        let batch = reader.batch(pace.batch(BATCH_RECORDS)).await?;
        if batch.is_empty() {
            break;
        }
        let decisions = copier.decide(&batch).await.map_err(CopyError::Copier)?;
        let left = config
            .max
            .map_or(u64::MAX, |max| max.saturating_sub(*written));
        let (count, records) = take(decisions, left);
        let copies = records.len();
        if let Some(writer) = &mut writer {
            pace.wait(copies).await;
            let moved = moved(copier, batch.iter().take(count));
            writer.commit(records, &moved).await?;
            marks.extend(moved);
        }
        *written += copies as u64;
        copier.done(count).await;
        if count < batch.len() {
            return Ok(Ended::AtMost);
        }
    }
    if let Some(writer) = &mut writer {
        // Behind the last records there may be marks of transactions; they are done with too.
        let ends = reader
            .next()
            .iter()
            .map(|(p, next)| (*p, copier.mark(*p, *next)));
        let ends: Marks = ends
            .filter(|(p, mark)| marks.get(p) != Some(mark))
            .collect();
        if !ends.is_empty() {
            writer.commit(Vec::new(), &ends).await?;
        }
    }
    Ok(Ended::AtTheEnd)
}

/// As many decisions as make at most `left` copies, and the copies.
fn take(decisions: Vec<Decision>, left: u64) -> (usize, Vec<schemas::Record>) {
    let (mut count, mut records) = (0, Vec::new());
    for decision in decisions {
        if let Decision::Copy(record) = decision {
            if records.len() as u64 >= left {
                break;
            }
            records.push(record);
        }
        count += 1;
    }
    (count, records)
}

/// The marks behind these records.
fn moved<'a>(copier: &dyn Copier, records: impl Iterator<Item = &'a Source>) -> Marks {
    let next: BTreeMap<i32, i64> = records.map(|one| (one.partition, one.offset + 1)).collect();
    let marks = next.into_iter().map(|(p, next)| (p, copier.mark(p, next)));
    marks.collect()
}

struct Writer {
    producer: TransactionalProducer,
    topic: TopicName,
    member: Option<Arc<dyn Member>>,
}

impl Writer {
    async fn open(kafka: &Kafka, config: &CopyConfig) -> Result<Self, CopyError> {
        let producer = TransactionalProducer::open(
            kafka,
            &config.transactional_id,
            "trustcard-copy",
            TRANSACTION_TIMEOUT,
        );
        let producer = timeout(OPENING, producer).await.map_err(|_| {
            let detail = "the cluster gives no leave to write; check that it runs and allows this client to use the transactional id";
            CopyError::Write(format!("{detail} {}", config.transactional_id))
        })?;
        Ok(Self {
            producer: producer.map_err(failed)?,
            topic: config.topic.as_str().into(),
            member: None,
        })
    }

    /// All of `records` and all of `marks`, or nothing.
    async fn commit(
        &mut self,
        records: Vec<schemas::Record>,
        marks: &Marks,
    ) -> Result<(), CopyError> {
        let Some(member) = self.member.clone() else {
            return Err(CopyError::Write("nothing was opened yet".to_owned()));
        };
        let positions = marks.iter().map(|(partition, mark)| Position {
            at: TopicPartition {
                topic: self.topic,
                partition: *partition,
            },
            epoch: 0,
            next_offset: mark.offset,
            note: Some(mark.note.clone()),
        });
        let offsets = Offsets {
            member,
            positions: positions.collect(),
        };
        let outputs = Box::new(records.into_iter().map(Output::from));
        let committed = self.producer.commit(outputs, Some(offsets)).await;
        committed.map(drop).map_err(failed)
    }
}

fn failed(error: TransactionError) -> CopyError {
    match error {
        TransactionError::Fenced => CopyError::Fenced,
        TransactionError::Closed => CopyError::Interrupted,
        TransactionError::Settings(error) => CopyError::Kafka(error),
        TransactionError::Aborted(detail) | TransactionError::Rebuilt(detail) => {
            CopyError::Write(detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy() -> Decision {
        Decision::Copy(schemas::Record {
            topic: "t".into(),
            key: None,
            value: None,
            headers: Vec::new(),
        })
    }

    #[test]
    fn what_is_passed_over_behind_the_last_copy_is_done_with_too() {
        let decisions = || vec![Decision::Pass, copy(), copy(), Decision::Pass, copy()];
        let took = |left| {
            let (count, records) = take(decisions(), left);
            (count, records.len())
        };
        assert_eq!(took(0), (1, 0));
        assert_eq!(took(1), (2, 1));
        assert_eq!(took(2), (4, 2));
        assert_eq!(took(3), (5, 3));
        assert_eq!(took(u64::MAX), (5, 3));
    }
}
