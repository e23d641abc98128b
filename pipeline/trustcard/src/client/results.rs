//! `trustcard results`: the newest analyses, or each result as it comes.

use anyhow::Result;
use engine::tail::{From, tail};
use futures::TryStreamExt;
use serde_json::{Value, json};
use trustcard_client::patient;

use super::{connect, told};
use crate::{
    cli::ResultsArgs,
    exit::Failure,
    settings::Settings,
    show::{reasons, say, score, table, text},
    up,
};

/// Runs the command.
///
/// # Errors
/// When the API or the broker can't be reached.
pub async fn run(args: ResultsArgs, settings: &Settings) -> Result<()> {
    if args.follow {
        return follow(&args, settings).await;
    }
    let client = connect(&args.api)?;
    let status = args.status.map(Into::into);
    let asked = async || client.analyses(args.limit, status).await;
    let page = patient(asked).await.map_err(told)?;
    let list: Vec<Value> = page
        .analyses
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    if args.json {
        for one in list {
            say!("{one}");
        }
        return Ok(());
    }
    let mut rows = table(&[
        "analysis",
        "post",
        "status",
        "score",
        "grade",
        "strongest reasons",
    ]);
    for one in &list {
        rows.add_row([
            text(&one["analysis_id"]),
            text(&one["post_id"]),
            text(&one["status"]),
            &score(one),
            text(&one["grade"]),
            &reasons(one, 3),
        ]);
    }
    say!("{rows}");
    Ok(())
}

async fn follow(args: &ResultsArgs, settings: &Settings) -> Result<()> {
    let mut kafka = settings.kafka.clone();
    if let Some(bootstrap) = args
        .bootstrap
        .clone()
        .or_else(|| up::bootstrap_of(&args.data_dir))
    {
        kafka.bootstrap = bootstrap;
    }
    let unreadable = |error| {
        Failure::Unavailable(format!(
            "the broker at {} can't be read: {error}",
            kafka.bootstrap
        ))
    };
    let records = tail(&kafka.cluster(), schemas::topics::RESULTS, From::End)
        .await
        .map_err(unreadable)?;
    let mut records = std::pin::pin!(records);
    while let Some(record) = records.try_next().await.map_err(unreadable)? {
        let Some(value) = record.value.as_deref() else {
            let id = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
            if args.json {
                say!("{}", json!({ "analysis_id": id, "deleted": true }));
            } else {
                say!("{id}  deleted");
            }
            continue;
        };
        let Ok(result) = serde_json::from_slice::<Value>(value) else {
            continue;
        };
        if args.json {
            say!("{result}");
        } else {
            say!(
                "{}  {:>6}  {:2}  {}",
                text(&result["post"]["post_id"]),
                score(&result),
                text(&result["grade"]),
                reasons(&result, 3)
            );
        }
    }
    Ok(())
}
