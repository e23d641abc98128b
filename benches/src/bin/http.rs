//! The HTTP bench: 10,000 keep-alive connections send 1,000 requests a second for a minute, on one process (`trustcard up`: embedded parts,
//! sample site, models off, rate limiting off). Meanwhile liveness is asked as an orchestrator does, each time on a connection of its
//! own, and the server's resident memory is read once a second.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use benches::{
    Connection, Figure, Mark, Options, Quantiles, Report, Spread, process::resident_mib,
};
use clap::Parser;
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use trustcard_tests::process::Up;

const CONNECTIONS: usize = 10_000;
const PER_SECOND: usize = 1_000;
const SECONDS: usize = 60;
/// The same where a run shall only show that the bench works.
const QUICK: (usize, usize) = (500, 5);
/// Requests are let off this often, so many at a time.
const TICK: Duration = Duration::from_millis(10);
/// Between two questions for liveness.
const PROBE: Duration = Duration::from_millis(50);
/// Seconds at the start whose memory is not counted: connections get their buffers.
const WARM_UP: usize = 10;
/// Connections opened at a time; the queue of the listener holds 1,024.
const AT_ONCE: usize = 200;
/// Marks.
const LIVE_MARK_MS: f64 = 100.0;
const GROWTH_MARK_MIB: f64 = 8.0;
const RATE_MARK: f64 = 0.99 * PER_SECOND as f64;

/// What is sent: mostly polling of a result that is there, and posts that were analysed already.
struct Requests(Vec<Vec<u8>>);

impl Requests {
    fn new(address: &str, analysis_id: &str) -> Self {
        let get =
            |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes();
        let body = json!({ "url": POST }).to_string();
        let post = format!(
            "POST /api/analyze HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut all = vec![get(&format!("/api/results/{analysis_id}")); 8];
        all.push(get("/"));
        all.push(post.into_bytes());
        Self(all)
    }
}

const POST: &str = "https://www.instagram.com/p/DTCsatire01/";

/// What the load came to.
#[derive(Default)]
struct Load {
    answered_ms: Vec<f64>,
    refused: usize,
    live_ms: Vec<f64>,
    resident_mib: Vec<f64>,
    seconds: f64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let args = Options::parse();
    let (connections, seconds) = if args.quick {
        QUICK
    } else {
        (CONNECTIONS, SECONDS)
    };
    let data = tempfile::tempdir()?;
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let (status, answer) = up
        .post("/api/analyze", &json!({ "url": POST }))
        .await
        .context("the API is gone")?;
    ensure!(status == 202, "{status} {answer}");
    let id = answer["analysis_id"]
        .as_str()
        .context("no analysis")?
        .to_owned();
    up.ended_analysis(&id).await;

    let address = up.url.trim_start_matches("http://").to_owned();
    let load = run(
        &address,
        up.pid(),
        Requests::new(&address, &id),
        connections,
        seconds,
    )
    .await?;
    let report = report(&load, connections, !args.quick)?;
    print!("{}", report.summary());
    println!("{}", report.write(&args.out)?.display());
    Ok(ExitCode::from(u8::from(
        report.measurement && !report.passed(),
    )))
}

/// Opens the connections and lets requests off at their pace, each connection in turn.
async fn run(
    address: &str,
    pid: u32,
    requests: Requests,
    connections: usize,
    seconds: usize,
) -> Result<Load> {
    let requests = Arc::new(requests.0);
    let (told, mut answers) = mpsc::unbounded_channel();
    let mut callers = Vec::with_capacity(connections);
    for _ in 0..connections.div_ceil(AT_ONCE) {
        let mut opening = JoinSet::new();
        for _ in 0..AT_ONCE.min(connections - callers.len()) {
            let address = address.to_owned();
            opening.spawn(async move { Connection::open(&address).await });
        }
        while let Some(opened) = opening.join_next().await {
            callers.push(caller(opened??, requests.clone(), told.clone()));
        }
    }
    drop(told);

    let ended = Arc::new(AtomicBool::new(false));
    let (asked, probed) = (address.to_owned(), ended.clone());
    let probes = tokio::task::spawn_blocking(move || apart(probe(asked, probed)));
    let memory = tokio::spawn(watch(pid, ended.clone()));
    let began = Instant::now();
    let mut pace = interval(TICK);
    // A late tick is made up for: the offered load is what was said.
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let each = PER_SECOND / 100;
    let mut due = began;
    for n in 0..seconds * PER_SECOND {
        if n % each == 0 {
            due = pace.tick().await;
        }
        let caller = callers.get(n % connections).context("no caller")?;
        let sent = caller.send((n, due));
        sent.ok().context("the server closed a connection")?;
    }
    let mut load = Load::default();
    for _ in 0..seconds * PER_SECOND {
        match answers.recv().await {
            Some(Some(took)) => load.answered_ms.push(ms(took)),
            Some(None) => load.refused += 1,
            None => break,
        }
    }
    load.seconds = began.elapsed().as_secs_f64();
    ended.store(true, Ordering::Relaxed);
    load.live_ms = probes.await??;
    load.resident_mib = memory.await??;
    // Only now: ten thousand that hang up at once are another load, and keep the server busy for a tenth of a second.
    drop(callers);
    Ok(load)
}

/// Sends on its connection whatever it is told to; how long the answer took from when it was due, or `None` for one that is an error.
fn caller(
    mut connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    told: mpsc::UnboundedSender<Option<Duration>>,
) -> mpsc::UnboundedSender<(usize, Instant)> {
    let (send, mut asked) = mpsc::unbounded_channel::<(usize, Instant)>();
    tokio::spawn(async move {
        while let Some((n, due)) = asked.recv().await {
            let Some(request) = requests.get(n % requests.len()) else {
                break;
            };
            let status = connection.ask(request).await;
            let fine = status.is_ok_and(|status| (200..300).contains(&status));
            if told.send(fine.then(|| due.elapsed())).is_err() {
                break;
            }
        }
    });
    send
}

/// Runs on this thread alone, so that what the load costs this process delays nothing.
fn apart<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Asks for liveness until the load has ended; how long each answer took, the connection included.
async fn probe(address: String, ended: Arc<AtomicBool>) -> Result<Vec<f64>> {
    let request = format!("GET /health/live HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut pace = interval(PROBE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut took = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        pace.tick().await;
        let began = Instant::now();
        let status = Connection::open(&address)
            .await?
            .ask(request.as_bytes())
            .await?;
        ensure!(status == 200, "liveness is {status}");
        took.push(ms(began.elapsed()));
    }
    Ok(took)
}

/// The server's resident memory, once a second until the load has ended.
async fn watch(pid: u32, ended: Arc<AtomicBool>) -> Result<Vec<f64>> {
    let mut pace = interval(Duration::from_secs(1));
    let mut seen = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        pace.tick().await;
        seen.push(resident_mib(pid)?);
    }
    Ok(seen)
}

fn report(load: &Load, connections: usize, measurement: bool) -> Result<Report> {
    let figure = |name: &str, figures: &[f64]| Figure::of(name, figures.iter().copied());
    let slowest = load.live_ms.iter().copied().fold(f64::NAN, f64::max);
    let rate = load.answered_ms.len() as f64 / load.seconds;
    let rate = Spread::of([rate]).context("nothing was measured")?;
    Ok(Report {
        name: "http".to_owned(),
        measurement,
        ratios: vec![
            Mark::at_most("/health/live, slowest of all, ms", slowest, LIVE_MARK_MS),
            Mark::at_most(
                "growth of resident memory, MiB",
                growth(&load.resident_mib),
                GROWTH_MARK_MIB,
            ),
            Mark::at_most("requests not answered 2xx", load.refused as f64, 0.0),
            Mark::at_least("requests answered a second", rate, RATE_MARK),
        ],
        others: vec![
            figure("/health/live, ms", &load.live_ms)?,
            figure("a request, from when it was due, ms", &load.answered_ms)?,
            figure("resident memory, MiB", &load.resident_mib)?,
        ],
        legs: json!([
            { "leg": "/health/live, ms", "p50_p90_p99": Quantiles::of(load.live_ms.clone()).0 },
            { "leg": "a request, ms", "p50_p90_p99": Quantiles::of(load.answered_ms.clone()).0 },
            { "leg": "resident memory by the second, MiB", "values": load.resident_mib },
        ]),
        settings: json!({
            "connections": connections,
            "requests_a_second": PER_SECOND,
            "seconds": load.seconds,
            "requests": "8 of 10 GET /api/results/{id}, 1 GET /, 1 POST /api/analyze of a post that is done",
            "rate_limiting": false,
            "models": false,
        }),
    })
}

/// From the median of the first ten seconds that count to that of the last ten.
fn growth(resident_mib: &[f64]) -> f64 {
    let counted = resident_mib
        .get(WARM_UP..)
        .filter(|counted| counted.len() >= 20);
    let Some(counted) = counted else {
        return resident_mib.last().unwrap_or(&f64::NAN)
            - resident_mib.first().unwrap_or(&f64::NAN);
    };
    let median =
        |part: &[f64]| Spread::of(part.iter().copied()).map_or(f64::NAN, |spread| spread.median);
    let (first, last) = (counted.get(..10), counted.get(counted.len() - 10..));
    median(last.unwrap_or_default()) - median(first.unwrap_or_default())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_climbs_in_the_warm_up_alone_is_flat() {
        let mut seen: Vec<f64> = (0..10).map(f64::from).collect();
        seen.extend([50.0; 50]);
        assert_eq!(growth(&seen), 0.0);
        seen.extend([60.0; 10]);
        assert_eq!(growth(&seen), 10.0);
    }

    #[test]
    fn a_slow_probe_and_a_refusal_miss_their_marks_alone() {
        let load = Load {
            answered_ms: vec![1.0; 60_000],
            refused: 1,
            live_ms: vec![1.0, 150.0],
            resident_mib: vec![50.0; 60],
            seconds: 60.0,
        };
        let report = report(&load, 1, true).unwrap();
        let ok: Vec<bool> = report.ratios.iter().map(|mark| mark.ok).collect();
        assert_eq!(ok, [false, true, false, true]);
    }
}
