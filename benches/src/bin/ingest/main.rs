//! The ingest bench: accepted URLs per CPU-second of our API against those of a bare axum-to-rdkafka handler, in batches of 100 and one by
//! one, and how long a batch waits at half the peak. Same run, same machine, same broker; our API is a process of its own as in
//! production, with all its checks, the broker's acknowledgement of every URL, and rows in a CQL store. Legs take turns; a ratio is
//! that of one round. Further legs are bare handlers that do a part of what ours has to, and so tell how near the marks it can come
//! ([`bare`]). In the end an API is given a million URLs that nobody works on, and ten thousand listeners.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use benches::{Connection, Figure, Mark, Options, Quantiles, Report, Spread, process::cpu_seconds};
use clap::{Parser, Subcommand};
use serde_json::json;
use tokio::{process::Command, task::JoinSet, time::Instant};
use trustcard_tests::{
    cluster::Cluster,
    servers::{cql, free_ports},
    wait::until,
};

mod bare;
mod crowd;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PARTITIONS: u32 = 6;
/// URLs of a batch.
const BATCH: usize = 100;
/// Connections that each have one request on its way.
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;
const LEG: Duration = Duration::from_secs(15);
/// The same where a run shall only show that the bench works.
const QUICK: (usize, Duration) = (1, Duration::from_secs(3));
/// What waits and who listens in the end.
const CROWD: crowd::Size = crowd::Size {
    urls: 1_000_000,
    listeners: 10_000,
};
const QUICK_CROWD: crowd::Size = crowd::Size {
    urls: 20_000,
    listeners: 100,
};
/// Marks.
const BATCH_MARK: f64 = 0.5;
const SINGLE_MARK: f64 = 0.7;
const P99_MARK_MS: f64 = 100.0;

/// URLs sent by all legs: each is a post of its own.
static SENT: AtomicUsize = AtomicUsize::new(0);

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Serves the bare handler; for the bench itself
    Bare(bare::Place),
}

/// A server and one of its ways in.
#[derive(Clone, Copy)]
struct Leg<'a> {
    name: &'a str,
    address: &'a str,
    path: &'a str,
    pid: u32,
    /// URLs of a request.
    urls: usize,
}

/// What a leg came to.
struct Measured {
    urls_per_second: f64,
    urls_per_cpu_second: f64,
    waits_ms: Vec<f64>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let Args { options, role } = Args::parse();
    if let Some(Role::Bare(place)) = role {
        bare::serve(&place).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let (rounds, time) = if options.quick { QUICK } else { (ROUNDS, LEG) };
    let cluster = Cluster::start(PARTITIONS).await;
    let unlimited = [("RATE_LIMIT_ENABLED", "false"), ("LOG_LEVEL", "WARN")];
    let mut api = cluster.role("api", &unlimited);
    api.ready().await;
    let port = free_ports(1);
    let mut bare = Command::new(std::env::current_exe()?)
        .args(["bare", &port.to_string(), &cluster.kafka.bootstrap()])
        .args([&cql(), &cluster.keyspace])
        .kill_on_drop(true)
        .spawn()?;
    let bare_address = format!("127.0.0.1:{port}");
    until("the bare handler", async || {
        Connection::open(&bare_address).await.ok()
    })
    .await;
    let bare_pid = bare.id().context("the bare handler has ended")?;
    let address = api.api.url.trim_start_matches("http://").to_owned();
    let leg = |name, ours: bool, path, urls| Leg {
        name,
        path,
        urls,
        address: if ours { &address } else { &bare_address },
        pid: if ours { api.pid() } else { bare_pid },
    };
    let legs = [
        leg("ours, batches", true, "/api/analyze/batch", BATCH),
        leg("bare, batches", false, "/batch", BATCH),
        leg("ours, singles", true, "/api/analyze", 1),
        leg("bare, singles", false, "/single", 1),
        leg("bare like ours, batches", false, "/like-ours/batch", BATCH),
        leg("bare like ours, singles", false, "/like-ours/single", 1),
        leg("bare and kept, singles", false, "/kept/single", 1),
    ];
    for leg in &legs {
        load(leg, time / 4, None).await?;
    }
    let mut measured: [Vec<Measured>; 7] = Default::default();
    for _ in 0..rounds {
        for (leg, measured) in legs.iter().zip(&mut measured) {
            measured.push(load(leg, time, None).await?);
        }
    }
    let peak = measured[0].iter().map(|round| round.urls_per_second);
    let peak = peak.fold(0.0, f64::max);
    let half = load(&legs[0], time, Some(peak / 2.0)).await?;
    bare.kill().await?;
    let mut report = report(&legs, &measured, &half, !options.quick)?;
    api.stop().await;
    let crowd = if options.quick { QUICK_CROWD } else { CROWD };
    report.others.extend(crowd::measure(&cluster, crowd).await?);
    print!("{}", report.summary());
    println!("{}", report.write(&options.out)?.display());
    Ok(ExitCode::from(u8::from(
        report.measurement && !report.passed(),
    )))
}

/// Loads a leg for a time, as fast as it goes or at this many URLs a second.
async fn load(leg: &Leg<'_>, time: Duration, urls_per_second: Option<f64>) -> Result<Measured> {
    let pause =
        urls_per_second.map(|rate| Duration::from_secs_f64((leg.urls * CONNECTIONS) as f64 / rate));
    let (cpu, began) = (cpu_seconds(leg.pid)?, Instant::now());
    let mut clients: JoinSet<Result<Vec<f64>>> = JoinSet::new();
    for client in 0..CONNECTIONS {
        let (address, path, urls) = (leg.address.to_owned(), leg.path.to_owned(), leg.urls);
        // Spread over one pause, so that they do not come at once.
        let first = pause.map(|pause| began + pause.mul_f64(client as f64 / CONNECTIONS as f64));
        clients.spawn(async move {
            let mut connection = Connection::open(&address).await?;
            let mut waits = Vec::new();
            let mut due = first.unwrap_or(began);
            while began.elapsed() < time {
                if let Some(pause) = pause {
                    tokio::time::sleep_until(due).await;
                    due += pause;
                }
                let request = request(&address, &path, urls);
                let sent = Instant::now();
                let status = connection.ask(&request).await?;
                ensure!(status == 202, "{path}: {status}");
                waits.push(sent.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok(waits)
        });
    }
    let mut waits_ms = Vec::new();
    while let Some(waits) = clients.join_next().await {
        waits_ms.extend(waits??);
    }
    let urls = (waits_ms.len() * leg.urls) as f64;
    Ok(Measured {
        urls_per_second: urls / began.elapsed().as_secs_f64(),
        urls_per_cpu_second: urls / (cpu_seconds(leg.pid)? - cpu).max(f64::MIN_POSITIVE),
        waits_ms,
    })
}

/// A request of so many URLs that no other had.
fn request(address: &str, path: &str, urls: usize) -> Vec<u8> {
    let first = SENT.fetch_add(urls, Ordering::Relaxed);
    let url = |n: usize| format!("https://www.instagram.com/p/load{n:010}/");
    let body = match urls {
        1 => json!({ "url": url(first) }),
        _ => json!({ "urls": (first..first + urls).map(url).collect::<Vec<_>>() }),
    };
    let body = body.to_string();
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn report(
    legs: &[Leg<'_>; 7],
    measured: &[Vec<Measured>; 7],
    half: &Measured,
    measurement: bool,
) -> Result<Report> {
    let ratio = |ours: &[Measured], bare: &[Measured]| {
        let rounds = ours.iter().zip(bare);
        let ratios = rounds.map(|(ours, bare)| ours.urls_per_cpu_second / bare.urls_per_cpu_second);
        Spread::of(ratios).context("nothing was measured")
    };
    let [
        ours,
        bare,
        ours_single,
        bare_single,
        like_ours,
        like_ours_single,
        kept_single,
    ] = measured;
    let shares = [
        ("batches, ours to bare like ours", ours, like_ours),
        ("batches, bare like ours to bare", like_ours, bare),
        ("singles, ours to bare and kept", ours_single, kept_single),
        (
            "singles, bare like ours to bare",
            like_ours_single,
            bare_single,
        ),
        ("singles, bare and kept to bare", kept_single, bare_single),
    ];
    let shares = shares.map(|(name, one, other)| {
        let name = format!("{name}, URLs per CPU-second");
        ratio(one, other).map(|spread| Figure { name, spread })
    });
    let Quantiles([_, _, p99]) = Quantiles::of(half.waits_ms.clone());
    let figures = legs.iter().zip(measured).map(|(leg, rounds)| {
        let rates = rounds.iter().map(|round| round.urls_per_cpu_second);
        Figure::of(format!("{}: URLs per CPU-second", leg.name), rates)
    });
    let told = legs.iter().zip(measured).map(|(leg, rounds)| {
        let rounds = rounds.iter().map(|round| {
            json!({
                "urls_per_second": round.urls_per_second,
                "urls_per_cpu_second": round.urls_per_cpu_second,
                "wait_ms_p50_p90_p99": Quantiles::of(round.waits_ms.clone()).0,
            })
        });
        json!({ "leg": leg.name, "rounds": rounds.collect::<Vec<_>>() })
    });
    Ok(Report {
        name: "ingest".to_owned(),
        measurement,
        ratios: vec![
            Mark::at_least(
                "batches of 100, URLs per CPU-second, ours to bare",
                ratio(ours, bare)?,
                BATCH_MARK,
            ),
            Mark::at_least(
                "singles, URLs per CPU-second, ours to bare",
                ratio(ours_single, bare_single)?,
                SINGLE_MARK,
            ),
            Mark::at_most("batch at half the peak, p99, ms", p99, P99_MARK_MS),
        ],
        others: figures.chain(shares).collect::<Result<_>>()?,
        legs: told.collect(),
        settings: json!({
            "connections": CONNECTIONS,
            "partitions": PARTITIONS,
            "replication": 1,
            "half_peak_urls_per_second": half.urls_per_second,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_its_round_and_a_slow_tail_misses_its_mark_alone() {
        let leg = Leg {
            name: "a",
            address: "",
            path: "",
            pid: 0,
            urls: 1,
        };
        let round = |rate: f64| {
            vec![Measured {
                urls_per_second: rate,
                urls_per_cpu_second: rate,
                waits_ms: vec![1.0],
            }]
        };
        let half = Measured {
            urls_per_second: 1.0,
            urls_per_cpu_second: 1.0,
            waits_ms: [vec![1.0; 98], vec![200.0; 2]].concat(),
        };
        let rates = [60.0, 100.0, 60.0, 80.0, 90.0, 80.0, 70.0];
        let measured = rates.map(round);
        let report = report(&[leg; 7], &measured, &half, true).unwrap();
        let ok: Vec<bool> = report.ratios.iter().map(|mark| mark.ok).collect();
        assert_eq!(ok, [true, true, false]);
        assert_eq!(report.ratios[0].value, 0.6);
    }
}
