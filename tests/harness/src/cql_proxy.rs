//! Stands before a CQL server and answers, stalls or cuts as a test wants it.
//!
//! A frame of protocol version 4 is: version, flags, stream (two bytes), opcode, length (four bytes), body.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
};

const HEADER: usize = 9;
/// Opcodes of requests that read or write rows.
const QUERY: u8 = 0x07;
const EXECUTE: u8 = 0x0a;
const BATCH: u8 = 0x0d;
/// Opcode of an error, and the version byte of a response.
const ERROR: u8 = 0x00;
const RESPONSE: u8 = 0x84;

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Well.
    #[default]
    Well,
    /// It answers that it is overloaded.
    Overloaded,
    /// It answers that not enough replicas have written in time.
    WriteTimeout,
    /// It answers that not enough replicas live.
    Unavailable,
    /// Nothing goes through, and nothing is lost.
    Stalled,
    /// Connections are cut in the middle of an answer.
    CutMidReply,
}

impl Mood {
    /// The body of the error that stands for it, by the protocol's section on errors.
    fn error(self) -> Option<Vec<u8>> {
        // LOCAL_QUORUM, as the consistency in the errors.
        const QUORUM: [u8; 2] = [0x00, 0x06];
        let (code, detail): (i32, Vec<u8>) = match self {
            Self::Overloaded => (0x1001, Vec::new()),
            Self::Unavailable => {
                let replicas = [1_i32.to_be_bytes(), 0_i32.to_be_bytes()];
                (0x1000, [&QUORUM[..], &replicas.concat()].concat())
            }
            Self::WriteTimeout => {
                let replicas = [0_i32.to_be_bytes(), 1_i32.to_be_bytes()].concat();
                let kind = [&6_u16.to_be_bytes()[..], b"SIMPLE"].concat();
                (0x1100, [&QUORUM[..], &replicas, &kind].concat())
            }
            Self::Well | Self::Stalled | Self::CutMidReply => return None,
        };
        let text = b"as the test wants it";
        let length = u16::try_from(text.len()).unwrap_or(0).to_be_bytes();
        Some([&code.to_be_bytes()[..], &length, text, &detail].concat())
    }
}

/// A running proxy. Dropped, it takes no more connections.
#[derive(Debug)]
pub struct CqlProxy {
    address: String,
    mood: watch::Sender<Mood>,
    requests: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl CqlProxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `server`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let mood = watch::Sender::new(Mood::Well);
        let requests = Arc::new(AtomicU64::new(0));
        let (watched, counted) = (mood.subscribe(), Arc::clone(&requests));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mood, requests, server) =
                    (watched.clone(), Arc::clone(&counted), server.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        carry(client, server, mood, requests).await;
                    }
                });
            }
        });
        Self {
            address,
            mood,
            requests,
            listening,
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Behaves so from now on.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Requests that read or write rows, since the start.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for CqlProxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn carry(
    client: TcpStream,
    server: TcpStream,
    mood: watch::Receiver<Mood>,
    requests: Arc<AtomicU64>,
) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (answers_in, answers) = mpsc::channel(1024);
    tokio::select! {
        () = take_requests(from_client, to_server, answers_in.clone(), mood.clone(), &requests) => {}
        () = take_answers(from_server, answers_in, mood) => {}
        () = give_answers(answers, to_client) => {}
    }
}

async fn take_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    answers: mpsc::Sender<Vec<u8>>,
    mut mood: watch::Receiver<Mood>,
    requests: &AtomicU64,
) {
    while let Some(frame) = read(&mut from).await {
        if mood.wait_for(|mood| *mood != Mood::Stalled).await.is_err() {
            return;
        }
        let now = *mood.borrow();
        let rows = matches!(frame.get(4), Some(&QUERY | &EXECUTE | &BATCH));
        if rows {
            requests.fetch_add(1, Ordering::Relaxed);
        }
        let sent = match now.error().filter(|_| rows) {
            Some(body) => answers.send(error(&frame, &body)).await.is_ok(),
            None => to.write_all(&frame).await.is_ok(),
        };
        if !sent {
            return;
        }
    }
}

async fn take_answers(
    mut from: OwnedReadHalf,
    answers: mpsc::Sender<Vec<u8>>,
    mut mood: watch::Receiver<Mood>,
) {
    while let Some(mut frame) = read(&mut from).await {
        if mood.wait_for(|mood| *mood != Mood::Stalled).await.is_err() {
            return;
        }
        let cut = *mood.borrow() == Mood::CutMidReply;
        if cut {
            frame.truncate(frame.len() / 2);
        }
        if answers.send(frame).await.is_err() || cut {
            // What was handed over is written before the connection ends.
            tokio::time::sleep(Duration::from_millis(5)).await;
            return;
        }
    }
}

async fn give_answers(mut answers: mpsc::Receiver<Vec<u8>>, mut to: OwnedWriteHalf) {
    while let Some(frame) = answers.recv().await {
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// An error in answer to `request`.
fn error(request: &[u8], body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    let stream = request.get(2..4).unwrap_or(&[0, 0]);
    [&[RESPONSE, 0], stream, &[ERROR], &length, body].concat()
}

/// A whole frame.
async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    from.read_exact(&mut frame).await.ok()?;
    let length = frame.get(5..HEADER)?.try_into().ok()?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok()?;
    frame.resize(HEADER + length, 0);
    from.read_exact(frame.get_mut(HEADER..)?).await.ok()?;
    Some(frame)
}
