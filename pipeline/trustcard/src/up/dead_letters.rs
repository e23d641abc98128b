//! Dead letters as rows of the embedded store, because its broker's topics are rolling windows.

use std::sync::Arc;

use async_trait::async_trait;
use engine::Archive;
use schemas::{Record, dead_letter::DeadLetter};
use store::{KeptDeadLetter, Operations, SqliteStore};

/// Writes each dead letter as a row.
pub struct DeadLetterRows(pub Arc<SqliteStore>);

#[async_trait]
impl Archive for DeadLetterRows {
    async fn keep(&self, letters: Vec<Record>) -> Result<(), String> {
        for letter in letters.into_iter().filter_map(row) {
            self.0
                .keep_dead_letter(&letter)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn row(record: Record) -> Option<KeptDeadLetter> {
    let (letter, _) = DeadLetter::read(&record.headers)?;
    Some(KeptDeadLetter {
        stage: letter.stage,
        code: letter.code,
        origin: (letter.topic, letter.partition, letter.offset),
        failed_at: letter.last_failure,
        key: record.key.map(Vec::from),
        value: record.value.map(Vec::from),
        headers: record
            .headers
            .into_iter()
            .map(|header| (header.name.into_owned(), header.value.into()))
            .collect(),
    })
}
