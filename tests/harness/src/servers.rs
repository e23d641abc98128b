//! Real servers for tests: a Kafka broker or a Cassandra of one's own, started by the scripts an operator uses, and the shared CQL
//! server.

use std::{
    net::TcpListener,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The CQL server that `make servers-up` starts, or the one `TRUSTCARD_TEST_CQL` names, as `host:port`.
#[must_use]
pub fn cql() -> String {
    std::env::var("TRUSTCARD_TEST_CQL").unwrap_or_else(|_| "127.0.0.1:19042".to_owned())
}

/// Ports that are asked for: below those that systems give to outgoing connections and to whoever binds port 0, so that
/// between the asking and the use nobody else gets one by chance.
const PORTS: Range<u16> = 20_000..32_000;

/// Ports this process has been given so far.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// `count` ports in a row that nobody listens on. Never given twice by one process; another one begins elsewhere.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn free_ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in PORTS {
        let given = GIVEN.fetch_add(count, Ordering::Relaxed);
        if let Some(mut ports) = ports(std::process::id(), given, count)
            && ports.clone().all(free)
        {
            return ports.next().expect("count is more than 0");
        }
    }
    panic!("no {count} free ports in a row");
}

/// The `count` ports that follow the `given` ones that process `pid` has been given. None where they would go past the end.
fn ports(pid: u32, given: u16, count: u16) -> Option<Range<u16>> {
    let many = u32::from(PORTS.end - PORTS.start);
    // A prime, so that processes started one after the other begin far from each other.
    let begin = pid.wrapping_mul(7_919) % many;
    let nth = u16::try_from((begin + u32::from(given)) % many).expect("less than there are");
    let first = PORTS.start + nth;
    (first + count <= PORTS.end).then_some(first..first + count)
}

/// Brokers of one's own come with up to six processes each: more than a few at a time only get in each other's way.
/// One test may hold two; if another did too, they could wait for each other.
static ROOM: Semaphore = Semaphore::const_new(2);

/// A Kafka broker of one's own, in its own folder. Dropped, it is killed and its data are gone.
#[derive(Debug)]
pub struct KafkaServer {
    _room: SemaphorePermit<'static>,
    folder: TempDir,
    port: u16,
    /// Where a proxy may listen: held from the beginning, for what the broker tells clients is settled when it starts.
    proxied: TcpListener,
    secure: bool,
}

impl KafkaServer {
    /// Starts a broker and waits until it answers; before that, until this process has fewer of them.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        Self::started(false).await
    }

    /// Starts one that takes only clients that speak TLS and log in, and lets them do what ACLs allow; see `kafka.sh`.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_secure() -> Self {
        Self::started(true).await
    }

    async fn started(secure: bool) -> Self {
        let server = Self {
            _room: ROOM.acquire().await.expect("it is never closed"),
            folder: tempfile::tempdir().expect("a folder"),
            port: free_ports(3),
            proxied: TcpListener::bind(("127.0.0.1", 0)).expect("a port"),
            secure,
        };
        server.start_again().await;
        server
    }

    /// Starts it once more on the same data.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_again(&self) {
        let (port, proxied) = (self.port.to_string(), self.proxy_port().to_string());
        self.script("start", &[&port, &proxied]).await;
    }

    /// Ends it with SIGKILL; its data stay.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&self) {
        self.script("kill", &[]).await;
    }

    /// Its address.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where a proxy forwards to: a listener whose clients are told to come back to [`Self::proxied`].
    pub(crate) fn behind_proxy(&self) -> String {
        format!("127.0.0.1:{}", self.port + 1)
    }

    /// Where a proxy listens.
    pub(crate) fn proxied(&self) -> TcpListener {
        self.proxied.try_clone().expect("a listener")
    }

    fn proxy_port(&self) -> u16 {
        let address = self.proxied.local_addr();
        address.expect("it is bound").port()
    }

    /// Its data, settings and certificates.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn script(&self, verb: &str, arguments: &[&str]) {
        let mut command = script("kafka.sh", verb, self.folder());
        // Several of them fit on one machine.
        command.args(arguments).env("KAFKA_HEAP", "400m");
        if self.secure {
            command.env("KAFKA_SECURE", "1");
        }
        succeed(command).await;
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        end("kafka.sh", self.folder());
    }
}

/// A Cassandra of one's own that takes only clients that speak TLS, show a certificate and log in. Dropped, it is killed and its
/// data are gone.
#[derive(Debug)]
pub struct SecureCassandra {
    folder: TempDir,
    port: u16,
}

impl SecureCassandra {
    /// Starts it and waits until it lets its first user in.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start() -> Self {
        let server = Self {
            folder: tempfile::tempdir().expect("a folder"),
            port: free_ports(3),
        };
        let mut command = script("cassandra.sh", "start", server.folder());
        command
            .arg(server.port.to_string())
            .env("CASSANDRA_SECURE", "1")
            .env("CASSANDRA_HEAP", "512m");
        succeed(command).await;
        server
    }

    /// Its address.
    #[must_use]
    pub fn node(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its data, settings and certificates.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SecureCassandra {
    fn drop(&mut self) {
        end("cassandra.sh", self.folder());
    }
}

fn script(name: &str, verb: &str, folder: &Path) -> Command {
    let mut command = Command::new(root().join("infra/dev").join(name));
    command.arg(verb).arg(folder).stdin(Stdio::null());
    if cfg!(debug_assertions) {
        // For tests, each of which needs it for a minute; what is measured is built otherwise.
        command.env("BRIEF_SERVERS", "1");
    }
    command
}

/// Runs a script to its end.
///
/// # Panics
/// When it fails, with what it said.
pub async fn succeed(mut command: Command) {
    let told = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("a thread").expect("bash");
    assert!(
        output.status.success(),
        "{told}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Kills the server of a folder; it may be gone already.
fn end(name: &str, folder: &Path) {
    let mut command = script(name, "kill", folder);
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// The checkout this test was built from.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_whoever_asks_for_how_many() {
        // Some begin near the end; the last three had been given one port for a broker and for the proxy before it.
        for pid in (1..40_000).step_by(97).chain([9_090, 9_091, 9_092]) {
            let (mut given, mut seen) = (0, HashSet::new());
            for count in [3, 1, 3, 2].repeat(200) {
                for port in ports(pid, given, count).into_iter().flatten() {
                    assert!(PORTS.contains(&port));
                    assert!(seen.insert(port), "process {pid} is given {port} twice");
                }
                given += count;
            }
        }
    }
}
