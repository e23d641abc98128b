//! Stands before a CQL server and spoils statements that carry a mark.
//!
//! A frame of protocol 4 is a version, flags, a stream (two bytes), an opcode and a length (four bytes), then a body. A reply
//! carries the stream of its request.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex as AsyncMutex,
};

/// What a statement must contain to be spoiled and counted.
pub(super) const MARK: &str = "fault-";

const EXECUTE: u8 = 0x0a;
const HEADER: usize = 9;

/// What becomes of statements with the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// They pass.
    Pass,
    /// The connection ends in the middle of the reply.
    Cut,
    /// The reply never comes.
    Stall,
    /// They reach the server later.
    Delay(Duration),
    /// The server's answer to too much.
    Overloaded,
    /// The server's answer when replicas did not confirm in time.
    WriteTimeout,
    /// The server's answer when too few replicas are alive.
    Unavailable,
}

#[derive(Debug)]
struct Shared {
    server: String,
    fault: Mutex<Fault>,
    /// Statements that are spoiled before the rest pass.
    left: AtomicUsize,
    seen: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            fault: Mutex::new(Fault::Pass),
            left: AtomicUsize::new(0),
            seen: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Spoils the next `times` statements with the mark.
    pub(super) fn spoil(&self, fault: Fault, times: usize) {
        *self.shared.fault.lock().unwrap() = fault;
        self.shared.left.store(times, Ordering::SeqCst);
    }

    /// Statements with the mark that came since the last call.
    pub(super) fn seen(&self) -> usize {
        self.shared.seen.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// What becomes of a request.
    fn judge(&self, frame: &[u8]) -> Fault {
        let marked = frame[4] == EXECUTE
            && frame[HEADER..]
                .windows(MARK.len())
                .any(|part| part == MARK.as_bytes());
        if !marked {
            return Fault::Pass;
        }
        self.seen.fetch_add(1, Ordering::SeqCst);
        let spoiled = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match spoiled {
            Ok(_) => *self.fault.lock().unwrap_or_else(PoisonError::into_inner),
            Err(_) => Fault::Pass,
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(&shared.server).await else {
                return;
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let to_client = Arc::new(AsyncMutex::new(to_client));
            let spoiled = Spoiled::default();
            // Either way's end ends the connection.
            tokio::select! {
                () = requests(from_client, to_server, &to_client, &shared, &spoiled) => {}
                () = replies(from_server, &to_client, &spoiled) => {}
            }
        });
    }
}

/// Streams of a connection whose reply is cut short, or never comes.
#[derive(Debug, Default)]
struct Spoiled {
    cut: Mutex<HashSet<[u8; 2]>>,
    stalled: Mutex<HashSet<[u8; 2]>>,
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    to_client: &AsyncMutex<OwnedWriteHalf>,
    shared: &Shared,
    spoiled: &Spoiled,
) {
    while let Some(frame) = read(&mut client).await {
        let stream = [frame[2], frame[3]];
        let answer = match shared.judge(&frame) {
            Fault::Pass => None,
            Fault::Cut => {
                spoiled.cut.lock().unwrap().insert(stream);
                None
            }
            Fault::Stall => {
                spoiled.stalled.lock().unwrap().insert(stream);
                None
            }
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                None
            }
            // Codes and fields of the protocol's specification; 6 is LOCAL_QUORUM.
            Fault::Overloaded => Some(error(0x1001, &[])),
            Fault::Unavailable => Some(error(0x1000, &[0, 6, 0, 0, 0, 2, 0, 0, 0, 1])),
            Fault::WriteTimeout => {
                let fields = [&[0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 6][..], b"SIMPLE"].concat();
                Some(error(0x1100, &fields))
            }
        };
        let sent = match answer {
            None => server.write_all(&frame).await,
            Some(body) => {
                let length = u32::try_from(body.len()).unwrap().to_be_bytes();
                let header = [&[0x84, 0, stream[0], stream[1], 0][..], &length].concat();
                to_client
                    .lock()
                    .await
                    .write_all(&[header, body].concat())
                    .await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn error(code: u32, fields: &[u8]) -> Vec<u8> {
    let message = b"as the test wants";
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&code.to_be_bytes()[..], &length, message, fields].concat()
}

async fn replies(
    mut server: OwnedReadHalf,
    client: &AsyncMutex<OwnedWriteHalf>,
    spoiled: &Spoiled,
) {
    while let Some(frame) = read(&mut server).await {
        let stream = [frame[2], frame[3]];
        if spoiled.stalled.lock().unwrap().remove(&stream) {
            continue;
        }
        let cut = spoiled.cut.lock().unwrap().remove(&stream);
        let part = if cut {
            &frame[..HEADER + 1]
        } else {
            &frame[..]
        };
        if client.lock().await.write_all(part).await.is_err() || cut {
            return;
        }
    }
}

/// The next frame; `None` at the end.
async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    from.read_exact(&mut frame).await.ok()?;
    let length = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
    frame.resize(HEADER + length as usize, 0);
    from.read_exact(&mut frame[HEADER..]).await.ok()?;
    Some(frame)
}
