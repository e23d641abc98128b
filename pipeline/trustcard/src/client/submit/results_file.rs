//! What became of every URL, as a file of JSON lines in the order of the input: `line` (from 1), `url`, and `analysis` as the API has
//! it, or `rejected` with why. A URL that repeats another of its request has no line.

use std::path::Path;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncWriteExt, BufWriter};
use trustcard_client::{Client, patient};

use super::{Item, Sent};
use crate::{client::told, show::progress_bar};

/// Results asked for at once.
const AT_ONCE: usize = 8;

/// Writes the file; it appears when it is whole.
///
/// # Errors
/// When a result can't be had, or the file can't be written.
pub async fn write(path: &Path, client: &Client, sent: &Sent) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let failed = || format!("{} can't be written", path.display());
    let file = tokio::fs::File::create(&part).await.with_context(failed)?;
    let mut file = BufWriter::new(file);
    let bar = progress_bar(sent.items.len() as u64, "results");

    let mut items: Vec<&Item> = sent.items.iter().collect();
    items.sort_unstable_by_key(|item| item.index);
    let mut rejected: Vec<_> = sent.rejected.iter().collect();
    rejected.sort_unstable_by_key(|refused| refused.index);
    let mut rejected = rejected.into_iter().peekable();
    let mut lines = std::pin::pin!(
        stream::iter(items)
            .map(|item| line(client, item))
            .buffered(AT_ONCE)
    );
    loop {
        let next = lines.try_next().await?;
        let until = next.as_ref().map_or(usize::MAX, |(index, _)| *index);
        while let Some(one) = rejected.next_if(|one| one.index < until) {
            let told = json!({ "line": one.index + 1, "url": one.url, "rejected": one.error });
            put(&mut file, &told).await.with_context(failed)?;
        }
        let Some((_, told)) = next else { break };
        put(&mut file, &told).await.with_context(failed)?;
        bar.inc(1);
    }
    file.flush().await.with_context(failed)?;
    tokio::fs::rename(&part, path).await.with_context(failed)?;
    bar.finish_and_clear();
    Ok(())
}

async fn put(
    file: &mut BufWriter<tokio::fs::File>,
    told: &serde_json::Value,
) -> std::io::Result<()> {
    file.write_all(format!("{told}\n").as_bytes()).await
}

async fn line(client: &Client, item: &Item) -> Result<(usize, serde_json::Value)> {
    let asked = async || client.analysis(item.analysis_id).await;
    // Deleted in between: then there is none.
    let analysis = patient(asked).await.map_err(told)?;
    let told = json!({ "line": item.index + 1, "url": item.url, "analysis": analysis });
    Ok((item.index, told))
}
