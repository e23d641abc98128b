//! `trustcard results`: the newest analyses, or each result as it comes.

use anyhow::Result;
use engine::tail::{From, tail};
use futures::TryStreamExt;
use serde_json::Value;

use super::Api;
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
    let api = Api::new(&args.api.api, args.api.key.clone())?;
    let list = api.list(args.limit, args.status.as_deref()).await?;
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
        let Some(result) = record
            .value
            .as_deref()
            .and_then(|value| serde_json::from_slice::<Value>(value).ok())
        else {
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
