//! The embedded broker forgets everything when its process ends; the store does not. Every accepted submission without a
//! terminal row is published again at the start, with its old ids.

use std::time::Duration;

use anyhow::{Context, Result};
use engine::{lifecycle::Shutdown, publisher::Publisher};
use futures::future::join_all;
use schemas::{Event, Submission, encode, topics};
use store::SqliteStore;

use crate::{
    parts::{ACK_TIMEOUT, MAX_WAITING, Parts},
    roles::Tasks,
};

/// How many at a time.
const PAGE: u32 = 500;
/// How long to wait where the broker has no room or did not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// What was accepted before this process began and has no result. Read before the API opens, so that nothing accepted later is
/// among it.
///
/// # Errors
/// When the store can't be read.
pub async fn unfinished(store: &SqliteStore) -> Result<Vec<Submission>> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(Submission::id);
        let page = store
            .unfinished(after, PAGE)
            .await
            .context("accepted submissions can't be read")?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Publishes `submissions` beside everything else, waiting where the broker has no room.
///
/// # Errors
/// When no producer can be made.
pub fn start(
    submissions: Vec<Submission>,
    parts: &Parts,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) -> Result<()> {
    if submissions.is_empty() {
        return Ok(());
    }
    let publisher = Publisher::new(
        &parts.kafka,
        "trustcard-republish",
        ACK_TIMEOUT,
        MAX_WAITING,
    )?;
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        tracing::info!(
            count = submissions.len(),
            "publishing again what was accepted before"
        );
        for page in submissions.chunks(PAGE as usize) {
            tokio::select! {
                done = publish(&publisher, page) => done?,
                () = shutdown.wait() => return Ok(()),
            }
        }
        shutdown.wait().await;
        Ok(())
    });
    Ok(())
}

/// Publishes all of them; as many at a time as there is room for.
async fn publish(publisher: &Publisher, page: &[Submission]) -> Result<()> {
    let mut rest: Vec<&Submission> = page.iter().collect();
    while !rest.is_empty() {
        let mut reserved = Vec::with_capacity(rest.len());
        for submission in &rest {
            match publisher.reserve(vec![encode(topics::SUBMISSIONS, *submission)?]) {
                Ok(room) => reserved.push(room.publish()),
                Err(_) => break,
            }
        }
        let results = join_all(reserved).await;
        let acknowledged = |index: usize| {
            results
                .get(index)
                .is_some_and(|one| one.iter().all(Result::is_ok))
        };
        let left: Vec<&Submission> = rest
            .iter()
            .enumerate()
            .filter(|(index, _)| !acknowledged(*index))
            .map(|(_, one)| *one)
            .collect();
        if left.len() == rest.len() {
            tokio::time::sleep(PAUSE).await;
        }
        rest = left;
    }
    Ok(())
}
