//! `trustcard submit`: many URLs, in batches the API takes, again where it asked to wait.

use std::{io::Read, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;
use uuid::Uuid;

use super::{Api, Batch, Rejected};
use crate::{
    cli::SubmitArgs,
    show::{progress_bar, say, table},
};

/// URLs in one request. Small enough that a refusal for want of room costs little.
const PER_REQUEST: usize = 500;
/// How often progress is asked for with `--wait`: soon at first, then so seldom that an hour of it is within the limit of reads.
const FIRST_POLL: Duration = Duration::from_millis(200);
const SLOWEST_POLL: Duration = Duration::from_millis(1500);

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Batches, in the order sent, with how many items each has.
    pub batches: Vec<(Uuid, u64)>,
    /// URLs accepted.
    pub accepted: u64,
    /// URLs that repeat another of the same request.
    pub duplicates: u64,
    /// URLs refused for good.
    pub rejected: Vec<Rejected>,
    /// Analyses, one an accepted URL, in order.
    pub items: Vec<super::Item>,
}

/// Runs the command; `false` when a URL was refused.
///
/// # Errors
/// When the input can't be read or the API can't be reached.
pub async fn run(args: SubmitArgs) -> Result<bool> {
    let urls = match &args.file {
        Some(path) => read_lines(path).await?,
        None => args.urls.clone(),
    };
    let api = Api::new(&args.api.api, args.api.key.clone())?;
    let sent = send(&api, &urls).await?;
    if args.wait {
        wait(&api, &sent.batches).await?;
    }
    print(&sent, args.json)?;
    Ok(sent.rejected.is_empty())
}

/// Sends `urls`, waiting where the API asks for it.
///
/// # Errors
/// When the API can't be reached or refuses a whole request.
pub async fn send(api: &Api, urls: &[String]) -> Result<Sent> {
    let bar = progress_bar(urls.len() as u64, "sent");
    let mut sent = Sent::default();
    for (number, chunk) in urls.chunks(PER_REQUEST).enumerate() {
        let mut rest: Vec<(usize, String)> = chunk.iter().cloned().enumerate().collect();
        while !rest.is_empty() {
            let answer = match api
                .submit(&rest.iter().map(|(_, url)| url.clone()).collect::<Vec<_>>())
                .await?
            {
                Batch::Taken(answer) => answer,
                Batch::Later(pause) => {
                    bar.set_message("waiting for room");
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            let (again, refused): (Vec<_>, Vec<_>) =
                answer.rejected.into_iter().partition(|item| item.retryable);
            if answer.accepted > 0 {
                sent.batches
                    .push((answer.batch_id, u64::from(answer.accepted)));
            }
            sent.accepted += u64::from(answer.accepted);
            sent.duplicates += u64::from(answer.duplicates);
            sent.items.extend(answer.items);
            bar.inc((rest.len() - again.len()) as u64);
            // The answer cuts long URLs; what was sent is known here.
            let sent_as = |item: &Rejected| rest.get(item.index).cloned().unwrap_or_default();
            sent.rejected.extend(refused.into_iter().map(|item| {
                let (place, url) = sent_as(&item);
                Rejected {
                    index: number * PER_REQUEST + place,
                    url,
                    ..item
                }
            }));
            rest = again.iter().map(sent_as).collect();
            if !rest.is_empty() {
                bar.set_message("waiting for room");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    bar.finish_and_clear();
    Ok(sent)
}

/// Waits until every item of `batches` has ended.
///
/// # Errors
/// When the API can't be reached.
pub async fn wait(api: &Api, batches: &[(Uuid, u64)]) -> Result<()> {
    let total = batches.iter().map(|(_, items)| items).sum();
    let bar = progress_bar(total, "analysed");
    let mut before = 0;
    let mut pause = FIRST_POLL;
    for (batch_id, items) in batches {
        loop {
            let progress = api.batch(*batch_id).await?;
            let progress = progress
                .with_context(|| format!("the API does not know batch {batch_id} any more"))?;
            bar.set_position(before + progress.ended());
            if progress.ended() >= progress.total {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 6 / 5).min(SLOWEST_POLL);
        }
        before += items;
    }
    bar.finish_and_clear();
    Ok(())
}

async fn read_lines(path: &std::path::Path) -> Result<Vec<String>> {
    let text = if path.as_os_str() == "-" {
        tokio::task::spawn_blocking(|| {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        })
        .await?
        .context("standard input can't be read")?
    } else {
        tokio::fs::read_to_string(path)
            .await
            .with_context(|| format!("{} can't be read", path.display()))?
    };
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

fn print(sent: &Sent, as_json: bool) -> Result<()> {
    if as_json {
        let batches: Vec<_> = sent.batches.iter().map(|(id, _)| id).collect();
        let document = json!({ "batches": batches, "accepted": sent.accepted, "duplicates": sent.duplicates,
            "rejected": sent.rejected });
        say!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    say!(
        "{} accepted, {} repeated, {} refused",
        sent.accepted,
        sent.duplicates,
        sent.rejected.len()
    );
    if !sent.rejected.is_empty() {
        let mut rows = table(&["line", "URL", "why"]);
        for item in &sent.rejected {
            rows.add_row([
                &(item.index + 1).to_string(),
                &item.url,
                item.error["message"].as_str().unwrap_or("refused"),
            ]);
        }
        say!("{rows}");
    }
    for (batch, items) in &sent.batches {
        say!("batch {batch}: {items} posts");
    }
    Ok(())
}
