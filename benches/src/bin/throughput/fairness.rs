//! How long ten URLs of one partner take while nothing else waits, and while a long queue of another does.

use anyhow::{Context as _, Result, ensure};
use benches::{Figure, submit_batch};
use tokio::time::{Instant, sleep};
use trustcard_tests::{api::Api, cluster::Cluster};

use super::{STAGES, TURN};

const PARTITIONS: u32 = 6;
/// URLs of a request of the partner that has many.
const BATCH: usize = 10_000;
const FEW: usize = 10;
/// URLs of a holder in a minute that do not wait as bulk (`api.quota.straight_per_minute`): more of the few would wait behind the many.
const STRAIGHT: usize = 100;
/// Times the ten are submitted, before the queue and behind it.
const TIMES: usize = STRAIGHT / (2 * FEW);

/// Seconds from the POST of ten URLs to the end of the last, with nothing else to do and behind `many` URLs of another holder.
pub async fn measure(many: usize) -> Result<Vec<Figure>> {
    let cluster = Cluster::start(PARTITIONS).await;
    // An API learns of a key that is made after it started a while later.
    let keys = [cluster.key("few").await, cluster.key("many").await];
    let unlimited = many.to_string();
    let mut api = cluster.role(
        "api",
        &[
            ("RATE_LIMIT_ENABLED", "false"),
            ("TRUSTCARD__API__QUOTA__PER_MINUTE", &unlimited),
        ],
    );
    api.ready().await;
    let _roles = cluster.roles(STAGES).await;
    let [few, partner] = keys.map(|key| api.api.keyed(&key));
    let alone = waits(&few, "alone").await?;
    let mut last = String::new();
    for first in (0..many).step_by(BATCH) {
        let posts = first..many.min(first + BATCH);
        last = submit(&partner, "many", posts).await?;
    }
    let behind = waits(&few, "behind").await?;
    ensure!(
        ended(&partner, &last).await? == 0,
        "the queue is too short: its last batch has begun"
    );
    let figure = |name: &str, waits: Vec<f64>| {
        Figure::of(
            format!("ten URLs, {name}, seconds to their last result"),
            waits,
        )
    };
    Ok(vec![
        figure("nothing else waits", alone)?,
        figure(&format!("{many} of another partner wait"), behind)?,
    ])
}

/// Ten URLs again and again, each ten after the last have ended; seconds of each.
async fn waits(api: &Api, name: &str) -> Result<Vec<f64>> {
    let mut waits = Vec::new();
    for time in 0..TIMES {
        let began = Instant::now();
        let batch = submit(api, name, time * FEW..(time + 1) * FEW).await?;
        while ended(api, &batch).await? < FEW as u64 {
            sleep(TURN).await;
        }
        waits.push(began.elapsed().as_secs_f64());
    }
    Ok(waits)
}

/// Submits a batch; the address of its progress.
async fn submit(api: &Api, name: &str, posts: std::ops::Range<usize>) -> Result<String> {
    let batch = submit_batch(api, posts.map(|n| format!("load{name}{n:07}"))).await?;
    Ok(format!("/api/batches/{batch}"))
}

/// How many of a batch have ended.
async fn ended(api: &Api, batch: &str) -> Result<u64> {
    let (status, answer) = api.get(batch).await;
    ensure!(status == 200, "{status} {answer}");
    let count = |name: &str| answer["counts"][name].as_u64().context("no counts");
    Ok(count("completed")? + count("failed")?)
}
