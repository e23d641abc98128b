//! What the API holds while a million URLs wait that it has accepted, and while ten thousand callers listen to how batches go on.

use anyhow::{Context as _, Result, ensure};
use benches::{
    Figure,
    process::{peak_mib, resident_mib},
    submit_batch,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::Instant,
};
use trustcard_tests::{cluster::Cluster, role::RoleProcess};

/// URLs of a request: the most that it may hold.
const BATCH: usize = 10_000;
/// Requests on their way at once.
const AT_ONCE: usize = 2;
/// Connections that are opened at once.
const OPENING: usize = 64;

/// URLs that wait, and listeners.
#[derive(Clone, Copy)]
pub struct Size {
    pub urls: usize,
    pub listeners: usize,
}

/// Measures an API of its own, behind which no stage runs: everything waits.
pub async fn measure(cluster: &Cluster, size: Size) -> Result<Vec<Figure>> {
    let listeners = size.listeners.to_string();
    let settings = [
        ("RATE_LIMIT_ENABLED", "false"),
        ("LOG_LEVEL", "WARN"),
        ("TRUSTCARD__API__EVENTS__MAX_LISTENERS", &listeners),
    ];
    let mut api = cluster.role("api", &settings);
    api.ready().await;
    let idle = resident_mib(api.pid())?;
    let began = Instant::now();
    let batches = queue(&api, size.urls).await?;
    let seconds = began.elapsed().as_secs_f64();
    let (peak, queued) = (peak_mib(api.pid())?, resident_mib(api.pid())?);
    let streams = listen(&api, &batches, size.listeners).await?;
    let listening = resident_mib(api.pid())?;
    drop(streams);
    let count = (batches.len() * BATCH) as f64;
    let figures = [
        ("API, idle, MiB", idle),
        (
            "URLs accepted in requests of 10,000, per second",
            count / seconds,
        ),
        ("API, most while they came, MiB", peak),
        ("API, all of them waiting, MiB", queued),
        ("API, and all listeners, MiB", listening),
        (
            "a listener, KiB",
            (listening - queued).max(0.0) * 1024.0 / size.listeners as f64,
        ),
    ];
    Ok(figures
        .map(|(name, value)| Figure::once(name, value))
        .into())
}

/// Submits so many URLs; the batches.
async fn queue(api: &RoleProcess, urls: usize) -> Result<Vec<String>> {
    let submit = |batch: usize| {
        let posts = batch * BATCH..(batch + 1) * BATCH;
        submit_batch(&api.api, posts.map(|n| format!("crowd{n:010}")))
    };
    let batches = (0..urls.div_ceil(BATCH)).map(submit);
    stream::iter(batches)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Listens with so many connections, each until it was told once.
async fn listen(
    api: &RoleProcess,
    batches: &[String],
    listeners: usize,
) -> Result<Vec<BufReader<TcpStream>>> {
    let address = api.api.url.trim_start_matches("http://");
    let open = async |batch: &String| {
        let stream = TcpStream::connect(address)
            .await
            .context("no connection; is `ulimit -n` too low?")?;
        let mut stream = BufReader::with_capacity(1024, stream);
        let request =
            format!("GET /api/batches/{batch}/events HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut line = String::new();
        while !line.starts_with("event: progress") && !line.starts_with("event:progress") {
            line.clear();
            ensure!(
                stream.read_line(&mut line).await? > 0,
                "a listener was sent away"
            );
            ensure!(
                !line.starts_with("HTTP/1.1 4") && !line.starts_with("HTTP/1.1 5"),
                "{line}"
            );
        }
        Ok(stream)
    };
    let batches = batches.iter().cycle().take(listeners).map(open);
    stream::iter(batches)
        .buffer_unordered(OPENING)
        .try_collect()
        .await
}
