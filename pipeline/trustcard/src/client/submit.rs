//! `trustcard submit`: many URLs, in batches the API takes, again where it asked to wait. Of a file a journal is kept, so that a cut
//! leaves nothing out and sends nothing twice.

use std::{io::Read, path::Path, time::Duration};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;
use trustcard_client::{BatchAnswer, Client, Error, Fault};
use uuid::Uuid;

use self::journal::{Journal, Part};
use super::{connect, told};
use crate::{
    cli::SubmitArgs,
    show::{progress_bar, say, table},
};

pub mod journal;
mod results_file;

/// Before what the broker did not acknowledge, or a quota did not let in, is sent again where the API does not say when.
const PAUSE: Duration = Duration::from_secs(1);

/// Before a request is sent again that failed; after the last the command gives up.
const AFTER_FAILURES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Batches, in the order sent, with how many items each has.
    pub batches: Vec<(Uuid, u64)>,
    /// URLs that repeat another of the same request.
    pub duplicates: u64,
    /// URLs refused for good.
    pub rejected: Vec<Refused>,
    /// One an accepted URL, in the order sent.
    pub items: Vec<Item>,
}

/// A URL that was refused for good.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Place in the input, from 0.
    pub index: usize,
    /// The URL as sent.
    pub url: String,
    /// Why.
    pub error: Fault,
}

/// A URL that was accepted.
#[derive(Debug)]
pub struct Item {
    /// Place in the input, from 0.
    pub index: usize,
    /// The URL as sent.
    pub url: String,
    /// Its analysis.
    pub analysis_id: Uuid,
    /// Its post.
    pub post_id: String,
}

/// Runs the command; `false` when a URL was refused.
///
/// # Errors
/// When the input can't be read, its journal is another one's, or the API can't be reached.
pub async fn run(args: SubmitArgs) -> Result<bool> {
    let client = connect(&args.api)?;
    let mut journal = Journal::none();
    let urls = match &args.file {
        Some(path) => read_lines(path).await?,
        None => args.urls.clone(),
    };
    if let Some(path) = args.file.as_deref().filter(|path| !is_stdin(path)) {
        journal = Journal::open(path, client.base())?;
    }
    let sent = send(&client, &urls, &mut journal).await?;
    if args.wait || args.results.is_some() {
        wait(&client, &sent.batches).await?;
    }
    if let Some(path) = &args.results {
        results_file::write(path, &client, &sent).await?;
    }
    journal.end()?;
    print(&sent, args.json)?;
    Ok(sent.rejected.is_empty())
}

/// Sends `urls`, waiting where the API asks for it; what the journal has an answer to was sent before.
///
/// # Errors
/// When the API can't be reached or refuses a whole request, or the journal belongs to other URLs.
pub async fn send(client: &Client, urls: &[String], journal: &mut Journal) -> Result<Sent> {
    let bar = progress_bar(urls.len() as u64, "sent");
    let mut sent = Sent::default();
    let mut from = 0;
    for (chunk, urls) in urls.chunks(journal.per_request()).enumerate() {
        let mut rest: Vec<(usize, String)> = (from..).zip(urls.iter().cloned()).collect();
        from += urls.len();
        for round in 0.. {
            let part = Part::new(chunk, round, &rest);
            let known = journal.answer(&part)?;
            let fresh = known.is_none();
            let answer = match known {
                Some(answer) => answer,
                None => {
                    let key = journal.idempotency_key(&part);
                    let begun = chunk > 0 || round > 0;
                    let answer = ask(client, &part.urls, &key, begun, &bar).await?;
                    journal.keep(&part, &answer)?;
                    answer
                }
            };
            let before = rest.len();
            let pause = answer.retry_after.unwrap_or(PAUSE);
            rest = sent.take(&rest, answer);
            bar.inc((before - rest.len()) as u64);
            if rest.is_empty() {
                break;
            }
            if fresh {
                bar.set_message("waiting for room");
                tokio::time::sleep(pause).await;
            }
        }
    }
    bar.finish_and_clear();
    Ok(sent)
}

/// Sends one request, again when the API asks to wait or breaks, always under the same key. An API that does not answer the first
/// request of all (`begun` is false) may not be there.
async fn ask(
    client: &Client,
    urls: &[String],
    key: &str,
    begun: bool,
    bar: &ProgressBar,
) -> Result<BatchAnswer> {
    let mut pauses = AFTER_FAILURES.into_iter();
    loop {
        let pause = match client.submit_batch(urls, key).await {
            Ok(answer) => {
                bar.set_message("");
                return Ok(answer);
            }
            Err(Error::Later { after, .. }) => {
                bar.set_message("waiting for room");
                after
            }
            Err(error) => {
                let hopeless =
                    !error.is_transient() || (!begun && matches!(error, Error::Unreachable { .. }));
                match pauses.next().filter(|_| !hopeless) {
                    Some(pause) => {
                        bar.set_message("the API fails, trying again");
                        pause
                    }
                    None => return Err(told(error)),
                }
            }
        };
        tokio::time::sleep(pause).await;
    }
}

impl Sent {
    /// Takes the answer to a request of `lines`; the lines that have to be sent again.
    fn take(&mut self, lines: &[(usize, String)], answer: BatchAnswer) -> Vec<(usize, String)> {
        if answer.accepted > 0 {
            let items = u64::from(answer.accepted);
            self.batches.push((answer.batch_id, items));
        }
        self.duplicates += u64::from(answer.duplicates);
        // The answer cuts long URLs; what was sent is known here.
        let sent_as = |index: usize| lines.get(index).cloned().unwrap_or_default();
        self.items.extend(answer.items.into_iter().map(|item| {
            let (index, url) = sent_as(item.index);
            Item {
                index,
                url,
                analysis_id: item.analysis_id,
                post_id: item.post_id,
            }
        }));
        let mut again = Vec::new();
        for one in answer.rejected {
            let (index, url) = sent_as(one.index);
            if one.retryable {
                again.push((index, url));
            } else {
                let error = one.error;
                self.rejected.push(Refused { index, url, error });
            }
        }
        again
    }
}

/// Waits until every item of `batches` has ended.
///
/// # Errors
/// When the API can't be reached.
pub async fn wait(client: &Client, batches: &[(Uuid, u64)]) -> Result<()> {
    let total = batches.iter().map(|(_, items)| items).sum();
    let bar = progress_bar(total, "analysed");
    let mut before = 0;
    for (batch_id, items) in batches {
        let mut looks = client.watch_batch(*batch_id);
        while let Some(batch) = looks.next().await.map_err(told)? {
            bar.set_position(before + batch.ended().min(*items));
        }
        before += items;
    }
    bar.finish_and_clear();
    Ok(())
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

async fn read_lines(path: &Path) -> Result<Vec<String>> {
    let text = if is_stdin(path) {
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
        let document = json!({ "batches": batches, "accepted": sent.items.len(),
            "duplicates": sent.duplicates, "rejected": sent.rejected });
        say!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    say!(
        "{} accepted, {} repeated, {} refused",
        sent.items.len(),
        sent.duplicates,
        sent.rejected.len()
    );
    if !sent.rejected.is_empty() {
        let mut rows = table(&["line", "URL", "why"]);
        for item in &sent.rejected {
            rows.add_row([
                &(item.index + 1).to_string(),
                &item.url,
                &item.error.message,
            ]);
        }
        say!("{rows}");
    }
    for (batch, items) in &sent.batches {
        say!("batch {batch}: {items} posts");
    }
    Ok(())
}
