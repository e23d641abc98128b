//! Signs of life, dead letters and halts.

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::Halt;

use super::{ScyllaStore, rows::ttl};
use crate::{
    Heartbeat, KeptDeadLetter, Operations, Result,
    values::{DAY_MS, HEARTBEAT_TTL_S, after, from_json, to_json},
};

#[async_trait]
impl Operations for ScyllaStore {
    async fn ping(&self) -> Result<()> {
        self.write(&self.statements.ping, ()).await
    }

    async fn heartbeat(&self, beat: &Heartbeat, now: Timestamp) -> Result<()> {
        let values = (
            &beat.role,
            &beat.instance,
            to_json(beat)?,
            now.as_millisecond(),
            ttl(HEARTBEAT_TTL_S),
            now.as_microsecond(),
        );
        self.write(&self.statements.put_beat, values).await
    }

    async fn heartbeats(&self, now: Timestamp) -> Result<Vec<Heartbeat>> {
        let rows: Vec<(Option<String>, Option<i64>)> =
            self.rows(&self.statements.beats, ()).await?;
        rows.into_iter()
            .filter_map(|(beat, kept_ms)| Some((beat?, kept_ms?)))
            .filter(|(_, kept_ms)| after(*kept_ms, HEARTBEAT_TTL_S) > now.as_millisecond())
            .map(|(beat, _)| from_json("a heartbeat", &beat))
            .collect()
    }

    async fn keep_dead_letter(&self, letter: &KeptDeadLetter) -> Result<()> {
        let (topic, partition, offset) = &letter.origin;
        let day = letter.failed_at.as_millisecond().div_euclid(DAY_MS);
        let ttl = ttl(self.policy.analysis_ttl_s);
        let values = (
            &letter.stage,
            day,
            letter.failed_at.as_microsecond(),
            topic,
            partition,
            offset,
            to_json(letter)?,
            ttl,
        );
        self.write(&self.statements.put_letter, values).await?;
        let values = (&letter.stage, day, ttl);
        self.write(&self.statements.put_letter_day, values).await
    }

    async fn dead_letters(&self, stage: &str, limit: u32) -> Result<Vec<KeptDeadLetter>> {
        let limit = limit as usize;
        let days: Vec<(i64,)> = self.rows(&self.statements.letter_days, (stage,)).await?;
        let mut letters = Vec::new();
        for (day,) in days {
            let wanted = limit.saturating_sub(letters.len());
            if wanted == 0 {
                break;
            }
            let key = (stage, day, i32::try_from(wanted).unwrap_or(i32::MAX));
            let rows: Vec<(String,)> = self.rows(&self.statements.letters, key).await?;
            for (text,) in rows {
                letters.push(from_json("a dead letter", &text)?);
            }
        }
        Ok(letters)
    }

    async fn halt(&self, stage: &str, halt: &Halt) -> Result<()> {
        self.write(&self.statements.put_halt, (stage, to_json(halt)?))
            .await
    }

    async fn halted(&self, stage: &str) -> Result<Option<Halt>> {
        let row: Option<(Option<String>,)> = self.row(&self.statements.halt, (stage,)).await?;
        row.and_then(|(text,)| text)
            .map(|text| from_json("a halt", &text))
            .transpose()
    }

    async fn release(&self, stage: &str) -> Result<Option<Halt>> {
        let halt = self.halted(stage).await?;
        self.write(&self.statements.drop_halt, (stage,)).await?;
        Ok(halt)
    }
}
