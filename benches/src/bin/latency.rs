//! The latency bench: from the POST of a URL to its result as a read-committed reader of the results topic gets it. Every role is a
//! process of its own; the Kafka broker and the CQL server are real, the upstream is the sample site, models are off. One submission is
//! on its way at a time, or hardly more: this is the wait a partner sees on an idle pipeline, not under load.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, ensure};
use benches::{Figure, Mark, Options, Quantiles, Report};
use clap::Parser;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};
use trustcard_tests::{api::Api, cluster::Cluster, watch::Watch};
use uuid::Uuid;

const PARTITIONS: u32 = 6;
/// Between two submissions. No multiple of the commit interval of 100 ms, so that they meet every phase of it.
const PACE: Duration = Duration::from_millis(211);
/// Submissions that are not counted: connections are opened, statements prepared.
const WARM_UP: usize = 50;
const COUNTED: usize = 1_000;
/// The same where a run shall only show that the bench works.
const QUICK: usize = 50;
/// Marks, ms.
const P50_MARK: f64 = 400.0;
const P99_MARK: f64 = 1_000.0;

/// An accepted URL.
struct Submission {
    id: Uuid,
    sent: Instant,
    /// Until its 202.
    accepted_ms: f64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let args = Options::parse();
    let counted = if args.quick { QUICK } else { COUNTED };
    let cluster = Cluster::start(PARTITIONS).await;
    let [api, _scrape, _detect, _score, _record] = cluster
        .roles(["api", "scrape", "detect", "score", "record"])
        .await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;
    let submissions = submit(&api.api, WARM_UP + counted).await?;
    ensure!(
        watch.reach(submissions.len()).await,
        "{} of {} submissions have a result",
        watch.count(),
        submissions.len()
    );
    let mut accepted = Vec::new();
    let mut ended = Vec::new();
    for submission in submissions.iter().skip(WARM_UP) {
        let seen = watch.at(&submission.id).context("a result is missing")?;
        accepted.push(submission.accepted_ms);
        ended.push(ms(seen - submission.sent));
    }
    let report = report(accepted, ended, !args.quick)?;
    print!("{}", report.summary());
    println!("{}", report.write(&args.out)?.display());
    Ok(ExitCode::from(u8::from(
        report.measurement && !report.passed(),
    )))
}

/// Submits one URL after the other at the pace of the bench.
async fn submit(api: &Api, count: usize) -> Result<Vec<Submission>> {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut submissions = Vec::with_capacity(count);
    for n in 0..count {
        pace.tick().await;
        let body = json!({ "url": format!("https://www.instagram.com/p/loadlatency-{n:06}/") });
        let sent = Instant::now();
        let answer = api.post("/api/analyze", &body).await;
        let accepted_ms = ms(sent.elapsed());
        let (status, answer) = answer.context("the API is gone")?;
        ensure!(status == 202, "{status} {answer}");
        let id = answer["analysis_id"].as_str().unwrap_or_default().parse();
        submissions.push(Submission {
            id: id.with_context(|| format!("no analysis in {answer}"))?,
            sent,
            accepted_ms,
        });
    }
    Ok(submissions)
}

fn report(accepted: Vec<f64>, ended: Vec<f64>, measurement: bool) -> Result<Report> {
    let count = ended.len();
    let figure = |name: &str, figures: &[f64]| Figure::of(name, figures.iter().copied());
    let others = vec![
        figure("submit to result, ms", &ended)?,
        figure("submit to 202, ms", &accepted)?,
    ];
    let (accepted, ended) = (Quantiles::of(accepted), Quantiles::of(ended));
    let [p50, _, p99] = ended.0;
    Ok(Report {
        name: "latency".to_owned(),
        measurement,
        ratios: vec![
            Mark::at_most("submit to result, p50, ms", p50, P50_MARK),
            Mark::at_most("submit to result, p99, ms", p99, P99_MARK),
        ],
        others,
        legs: json!([
            { "leg": "submit to result, ms", "p50_p90_p99": ended.0 },
            { "leg": "submit to 202, ms", "p50_p90_p99": accepted.0 },
        ]),
        settings: json!({
            "submissions": count,
            "warm_up": WARM_UP,
            "pace_ms": PACE.as_millis(),
            "partitions": PARTITIONS,
            "replication": 1,
            "models": false,
        }),
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_tail_misses_its_mark_alone() {
        let mut ended = vec![100.0; 98];
        ended.extend([1_500.0; 2]);
        let report = report(vec![1.0; 100], ended, true).unwrap();
        let ok: Vec<bool> = report.ratios.iter().map(|mark| mark.ok).collect();
        assert_eq!(ok, [true, false]);
    }
}
