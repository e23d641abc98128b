//! `trustcard batch`: how far a batch is, once or until it has ended.

use anyhow::Result;
use trustcard_client::{Batch, Error};

use super::{connect, told};
use crate::{
    cli::BatchArgs,
    show::{numbers, progress_bar, say, table},
};

/// Runs the command; `false` when there is no such batch.
///
/// # Errors
/// When the API can't be reached.
pub async fn run(args: BatchArgs) -> Result<bool> {
    let client = connect(&args.api)?;
    let mut looks = client.watch_batch(args.batch_id);
    let bar = progress_bar(0, "ended");
    let mut last = None;
    loop {
        let batch = match looks.next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(Error::UnknownBatch(id)) => {
                eprintln!("trustcard: there is no batch {id} that belongs to this key");
                return Ok(false);
            }
            Err(error) => return Err(told(error)),
        };
        bar.set_length(batch.total);
        bar.set_position(batch.ended());
        bar.set_message(format!("{} failed", batch.counts.failed));
        if args.json && last.as_ref() != Some(&batch) {
            say!("{}", serde_json::to_string(&batch)?);
        }
        last = Some(batch);
        if !args.watch {
            break;
        }
    }
    bar.finish_and_clear();
    match last {
        Some(batch) if !args.json => show(&batch)?,
        _ => {}
    }
    Ok(true)
}

fn show(batch: &Batch) -> Result<()> {
    let mut rows = table(&[
        "batch",
        "posts",
        "ended",
        "pending",
        "processing",
        "completed",
        "failed",
        "reused",
        "repeated",
        "refused",
    ]);
    rows.add_row([
        batch.batch_id.to_string(),
        batch.total.to_string(),
        format!("{} %", batch.percent),
        batch.counts.pending.to_string(),
        batch.counts.processing.to_string(),
        batch.counts.completed.to_string(),
        batch.counts.failed.to_string(),
        batch.reused.to_string(),
        batch.duplicates.to_string(),
        batch.rejected.to_string(),
    ]);
    numbers(&mut rows, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    say!("{rows}");
    Ok(())
}
