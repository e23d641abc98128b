//! The throughput bench: analyses per second and per CPU-second of every role, on topics of 1, 3, 6 and 12 partitions. Every role is one
//! process; the Kafka broker and the CQL server are real and share the machine, the upstream is the sample site, models are off.
//!
//! First each role works off, alone, what the one before it has left: that shows which is the limit where each has a machine of its
//! own. Then all of them work at once, from batches that are submitted to results on their topic and in rows. In the end a partner's
//! ten URLs are timed behind the long queue of another.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, ensure};
use benches::{Figure, Options, Report, process::cpu_seconds, submit_batch};
use clap::Parser;
use serde_json::json;
use tokio::time::{Instant, sleep};
use trustcard_tests::{cluster::Cluster, role::RoleProcess, watch::Watch};

mod fairness;

const PARTITIONS: [u32; 4] = [1, 3, 6, 12];
/// Analyses of a leg.
const COUNT: usize = 12_000;
/// URLs of one partner that wait while another submits ten.
const MANY: usize = 100_000;
/// The same where a run shall only show that the bench works.
const QUICK: ([u32; 1], usize, usize) = ([3], 600, 20_000);
/// URLs of a request.
const BATCH: usize = 100;
/// Stages in the order in which one leaves work to the next; each reads one record an analysis.
const STAGES: [&str; 5] = ["record", "scrape", "detect", "score", "webhook"];
const TURN: Duration = Duration::from_millis(50);

/// How far a stage was at a time, and what that had cost.
struct Sample {
    settled: f64,
    cpu: f64,
    at: Instant,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let args = Options::parse();
    let (partitions, count, many) = if args.quick {
        (&QUICK.0[..], QUICK.1, QUICK.2)
    } else {
        (&PARTITIONS[..], COUNT, MANY)
    };
    let mut figures = Vec::new();
    for &partitions in partitions {
        let cluster = Cluster::start(partitions).await;
        let mut api = cluster.role("api", &[("RATE_LIMIT_ENABLED", "false")]);
        api.ready().await;
        submit(&api, "alone", count).await?;
        for stage in STAGES {
            let [per_second, per_cpu_second] = alone(&cluster, stage, count).await?;
            let figure = |name, value| {
                told(
                    format!("{partitions} partitions, {stage} alone, {name}"),
                    value,
                )
            };
            figures.push(figure("analyses per second", per_second));
            figures.push(figure("per CPU-second", per_cpu_second));
        }
        for (name, value) in together(&cluster, &api, count).await? {
            figures.push(told(
                format!("{partitions} partitions, together, {name}"),
                value,
            ));
        }
        api.stop().await;
    }
    figures.extend(fairness::measure(many).await?);
    let report = Report {
        name: "throughput".to_owned(),
        measurement: !args.quick,
        ratios: Vec::new(),
        others: figures,
        legs: json!([]),
        settings: json!({ "partitions": partitions, "analyses_of_a_leg": count, "urls_of_a_request": BATCH }),
    };
    print!("{}", report.summary());
    println!("{}", report.write(&args.out)?.display());
    Ok(ExitCode::SUCCESS)
}

/// A figure, shown at once: the rest takes minutes.
fn told(name: String, value: f64) -> Figure {
    eprintln!("{value:12.1} {name}");
    Figure::once(name, value)
}

/// Submits posts that nobody has submitted before.
async fn submit(api: &RoleProcess, name: &str, count: usize) -> Result<()> {
    for first in (0..count).step_by(BATCH) {
        let posts = first..count.min(first + BATCH);
        submit_batch(&api.api, posts.map(|n| format!("load{name}{n:06}"))).await?;
    }
    Ok(())
}

/// A stage works off `count` records that wait: analyses a second and a CPU-second, from the first that it settles to the last.
async fn alone(cluster: &Cluster, stage: &str, count: usize) -> Result<[f64; 2]> {
    let mut role = cluster.role(stage, &[]);
    role.ready().await;
    let first = settled(&role, stage, 1).await?;
    let last = settled(&role, stage, count).await?;
    role.stop().await;
    let done = last.settled - first.settled;
    Ok([
        done / (last.at - first.at).as_secs_f64(),
        done / (last.cpu - first.cpu),
    ])
}

/// All roles at once, from the first URL that is submitted to the last row: the pipeline's rate, and what each role can do with a
/// CPU-second.
async fn together(
    cluster: &Cluster,
    api: &RoleProcess,
    count: usize,
) -> Result<Vec<(String, f64)>> {
    let mut roles = cluster.roles(STAGES).await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;
    let mut before = vec![cpu_seconds(api.pid())?];
    for role in &roles {
        before.push(cpu_seconds(role.pid())?);
    }
    let began = Instant::now();
    submit(api, "together", count).await?;
    ensure!(
        watch.reach(2 * count).await,
        "{} of {} analyses have a result",
        watch.count(),
        2 * count
    );
    let mut last = began;
    for (role, stage) in roles.iter().zip(STAGES) {
        last = last.max(settled(role, stage, count).await?.at);
    }
    let count = count as f64;
    let mut figures = vec![(
        "analyses per second".to_owned(),
        count / (last - began).as_secs_f64(),
    )];
    let mut all = 0.0;
    let names = ["api"].into_iter().chain(STAGES);
    for ((role, name), before) in [api].into_iter().chain(&roles).zip(names).zip(before) {
        let used = cpu_seconds(role.pid())? - before;
        all += used;
        figures.push((format!("{name}, per CPU-second"), count / used));
    }
    figures.push(("all roles, per CPU-second".to_owned(), count / all));
    for role in &mut roles {
        role.stop().await;
    }
    Ok(figures)
}

/// Waits until a stage has settled so many records.
async fn settled(role: &RoleProcess, stage: &str, count: usize) -> Result<Sample> {
    let label = format!("task_name=\"{stage}\"");
    loop {
        let settled = role.metric("trustcard_tasks_total", &label).await;
        let settled = settled.with_context(|| format!("{stage} is gone"))?;
        if settled >= count as f64 {
            return Ok(Sample {
                settled,
                cpu: cpu_seconds(role.pid())?,
                at: Instant::now(),
            });
        }
        sleep(TURN).await;
    }
}
