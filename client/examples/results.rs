//! Reads a results topic as a consumer group, through the types of `trustcard-schemas`, and prints a line for each result and each
//! deletion.
//!
//! ```text
//! cargo run -p trustcard-client --example results -- 127.0.0.1:9092 my-group [TOPIC] [--until-end]
//! ```
//!
//! A record is committed after its line was printed: a crash repeats lines and loses none.

use std::{collections::BTreeSet, env, time::Duration};

use anyhow::{Context as _, Result};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};
use schemas::{AnalysisResult, DecodeError, Header, decode};

fn main() -> Result<()> {
    let (flags, words): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|word| word.starts_with("--"));
    let mut words = words.into_iter();
    let bootstrap = words.next().context("which broker?")?;
    let group = words.next().context("which group?")?;
    let topic = words.next();
    let until_end = flags.iter().any(|flag| flag == "--until-end");

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    consumer.subscribe(&[topic.as_deref().unwrap_or(schemas::topics::RESULTS)])?;
    let mut ended = BTreeSet::new();
    loop {
        match consumer.poll(Duration::from_secs(1)) {
            None => {}
            Some(Ok(record)) => {
                if let Some(line) = line(&record)? {
                    println!("{line}");
                }
                consumer.commit_message(&record, CommitMode::Async)?;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
                let assigned = consumer.assignment()?.count();
                if until_end && ended.len() >= assigned {
                    return Ok(());
                }
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// What a record says; `None` when it is an event of a later release.
fn line(record: &BorrowedMessage<'_>) -> Result<Option<String>> {
    let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
    if record.payload().is_none() {
        return Ok(Some(format!("{key} deleted")));
    }
    let headers = record.headers().map(|headers| headers.iter());
    let headers: Vec<Header> = headers
        .into_iter()
        .flatten()
        .map(|header| {
            let value = header.value.unwrap_or_default().to_vec();
            Header::new(header.key.to_owned(), value)
        })
        .collect();
    let result: AnalysisResult = match decode(&headers, record.payload()) {
        Ok(result) => result,
        Err(DecodeError::UnknownType { .. } | DecodeError::UnknownVersion(_)) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("the record of {key}")),
    };
    let said = match (result.trust_score, result.error) {
        (Some(score), _) => format!("{score} {}", result.grade.unwrap_or_default()),
        (None, Some(error)) => format!("{}: {}", error.code.code(), error.message),
        (None, None) => "no score".to_owned(),
    };
    Ok(Some(format!("{key} {} {said}", result.post.post_id)))
}
