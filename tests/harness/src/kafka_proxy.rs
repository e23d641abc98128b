//! Stands before a broker and loses, delays or cuts what a test wants lost, delayed or cut.
//!
//! A request frame is a length of four bytes, then the API key (two bytes), the version (two) and the correlation id (four);
//! a response frame is a length, then the correlation id it answers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::servers::KafkaServer;

/// API keys of Kafka's protocol.
pub mod api {
    /// Records to append.
    pub const PRODUCE: i16 = 0;
    /// Offsets to commit, outside a transaction.
    pub const OFFSET_COMMIT: i16 = 8;
    /// A producer's id and epoch.
    pub const INIT_PRODUCER_ID: i16 = 22;
    /// Commit or abort a transaction.
    pub const END_TXN: i16 = 26;
    /// Offsets to commit with a transaction.
    pub const TXN_OFFSET_COMMIT: i16 = 28;
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never reaches the broker; its connection stays.
    LoseRequest,
    /// The broker acts on it and its answer is lost; the connection stays.
    LoseReply,
    /// It reaches the broker late, even if whoever sent it is gone by then.
    DelayRequest(Duration),
    /// Its answer comes late.
    DelayReply(Duration),
    /// It never reaches the broker and its connection is cut.
    Cut,
    /// The broker acts on it and the connection is cut before the answer.
    CutReply,
}

#[derive(Debug, Default)]
struct Rules {
    /// By API key: what happens to the next so many requests.
    fates: HashMap<i16, (Fate, u64)>,
    /// By API key: what happens to every n-th request.
    every: HashMap<i16, (Fate, u64)>,
    latency: Duration,
    seen: HashMap<i16, u64>,
    struck: HashMap<i16, u64>,
}

impl Rules {
    fn meet(&mut self, key: i16) -> Option<Fate> {
        let seen = self.seen.entry(key).or_default();
        *seen += 1;
        let due = self
            .every
            .get(&key)
            .filter(|(_, n)| (*seen).is_multiple_of(*n));
        let fate = match self.fates.get_mut(&key).filter(|(_, left)| *left > 0) {
            Some((fate, left)) => {
                *left -= 1;
                Some(*fate)
            }
            None => due.map(|(fate, _)| *fate),
        };
        if fate.is_some() {
            *self.struck.entry(key).or_default() += 1;
        }
        fate
    }
}

/// A running proxy. Dropped, its connections end.
#[derive(Debug)]
pub struct KafkaProxy {
    address: String,
    rules: Arc<Mutex<Rules>>,
    /// Ends the connections there are.
    connections: Arc<Mutex<CancellationToken>>,
    listening: JoinHandle<()>,
}

impl KafkaProxy {
    /// Stands before a broker; its clients go to [`Self::address`].
    ///
    /// # Panics
    /// When the system gives it no listener.
    #[must_use]
    pub fn before(server: &KafkaServer) -> Self {
        let (listener, broker) = (server.proxied(), server.behind_proxy());
        let address = listener.local_addr().expect("it is bound").to_string();
        listener.set_nonblocking(true).expect("a listener");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let rules = Arc::new(Mutex::new(Rules::default()));
        let connections = Arc::new(Mutex::new(CancellationToken::new()));
        let (shared, cut) = (Arc::clone(&rules), Arc::clone(&connections));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = lock(&cut).child_token();
                let (rules, broker) = (Arc::clone(&shared), broker.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(broker).await {
                        carry(client, server, rules, cut).await;
                    }
                });
            }
        });
        Self {
            address,
            rules,
            connections,
            listening,
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next `times` requests with this API key meet this fate.
    pub fn strike(&self, key: i16, fate: Fate, times: u64) {
        lock(&self.rules).fates.insert(key, (fate, times));
    }

    /// Every `n`-th request with this API key meets this fate.
    pub fn strike_every(&self, key: i16, fate: Fate, n: u64) {
        lock(&self.rules).every.insert(key, (fate, n));
    }

    /// Takes back what was to happen.
    pub fn calm(&self) {
        let mut rules = lock(&self.rules);
        rules.fates.clear();
        rules.every.clear();
        rules.latency = Duration::ZERO;
    }

    /// Every frame, either way, takes this much longer; frames do not wait for one another.
    pub fn latency(&self, latency: Duration) {
        lock(&self.rules).latency = latency;
    }

    /// How many requests with this API key met a fate.
    #[must_use]
    pub fn struck(&self, key: i16) -> u64 {
        lock(&self.rules).struck.get(&key).copied().unwrap_or(0)
    }

    /// Cuts every connection there is.
    pub fn cut_all(&self) {
        let old = std::mem::take(&mut *lock(&self.connections));
        old.cancel();
    }
}

impl Drop for KafkaProxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame and when it goes on.
type Due = (Instant, Vec<u8>);

/// Carries frames both ways until either side, or a fate, ends the connection.
async fn carry(
    client: TcpStream,
    server: TcpStream,
    rules: Arc<Mutex<Rules>>,
    cut: CancellationToken,
) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (requests_in, requests) = mpsc::unbounded_channel();
    let (replies_in, replies) = mpsc::unbounded_channel();
    let awaited = Arc::new(Mutex::new(HashMap::new()));
    // A client that is gone ends the connection once its last request is on, which may be a late one.
    let taking = async {
        if take_requests(from_client, &requests_in, &rules, &awaited).await {
            return;
        }
        drop(requests_in);
        std::future::pending::<()>().await;
    };
    let answering = async {
        forward(replies, to_client).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = forward(requests, to_server) => {}
        () = answering => {}
        () = taking => {}
        () = take_replies(from_server, &replies_in, &rules, &awaited) => {}
        () = cut.cancelled() => {}
    }
}

/// Takes requests until there are no more; true when the connection is to be cut at once.
async fn take_requests(
    mut from: OwnedReadHalf,
    on: &mpsc::UnboundedSender<Due>,
    rules: &Mutex<Rules>,
    awaited: &Mutex<HashMap<i32, Fate>>,
) -> bool {
    while let Some(frame) = read(&mut from).await {
        let (key, id) = (number(&frame, 4), number(&frame, 8));
        let key = i16::try_from(key >> 16).unwrap_or(-1);
        let (fate, latency) = {
            let mut rules = lock(rules);
            (rules.meet(key), rules.latency)
        };
        let mut due = Instant::now() + latency;
        match fate {
            Some(Fate::Cut) => return true,
            Some(Fate::LoseRequest) => continue,
            Some(Fate::DelayRequest(by)) => due += by,
            Some(fate) => {
                lock(awaited).insert(id, fate);
            }
            None => {}
        }
        if on.send((due, frame)).is_err() {
            return true;
        }
    }
    false
}

async fn take_replies(
    mut from: OwnedReadHalf,
    on: &mpsc::UnboundedSender<Due>,
    rules: &Mutex<Rules>,
    awaited: &Mutex<HashMap<i32, Fate>>,
) {
    while let Some(frame) = read(&mut from).await {
        let fate = lock(awaited).remove(&number(&frame, 4));
        let mut due = Instant::now() + lock(rules).latency;
        match fate {
            Some(Fate::LoseReply) => continue,
            Some(Fate::CutReply) => return,
            Some(Fate::DelayReply(by)) => due += by,
            _ => {}
        }
        if on.send((due, frame)).is_err() {
            return;
        }
    }
}

/// A whole frame, its length included.
async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await.ok()?;
    let length = usize::try_from(number(&frame, 0)).ok()?;
    frame.resize(4 + length, 0);
    from.read_exact(frame.get_mut(4..)?).await.ok()?;
    Some(frame)
}

/// The big-endian number of four bytes at `at`; 0 where the frame is too short.
fn number(frame: &[u8], at: usize) -> i32 {
    let bytes = frame
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    i32::from_be_bytes(bytes.unwrap_or_default())
}

async fn forward(mut frames: mpsc::UnboundedReceiver<Due>, mut to: OwnedWriteHalf) {
    while let Some((due, frame)) = frames.recv().await {
        sleep_until(due).await;
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}
