//! A server written by hand, for what no well-behaved server does: it counts connections and answers each with whatever bytes,
//! however slowly.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub struct Origin {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

/// One step of an answer.
#[derive(Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// These bytes again and again, until the client hangs up.
    Repeat(Vec<u8>),
    /// The same with a wait before each.
    Drip(Vec<u8>, Duration),
}

impl Origin {
    /// Listens on 127.0.0.1 and answers every request by its path.
    pub async fn start(answer: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), answer).await
    }

    /// Listens and counts; nobody is meant to come.
    pub async fn trap(ip: IpAddr, port: u16) -> Self {
        Self::at(SocketAddr::new(ip, port), |_| ok(b"trapped")).await
    }

    async fn at(
        address: SocketAddr,
        answer: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        assert!(address.ip().is_loopback());
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(answer), Arc::clone(&connections));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let _ = serve(stream, &*answer).await;
                });
            }
        });
        Self {
            address,
            connections,
            server,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&str) -> Vec<Step> + Send + Sync),
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    for step in answer(text.split(' ').nth(1).unwrap_or_default()) {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).await?,
            Step::Repeat(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Step::Drip(bytes, wait) => loop {
                tokio::time::sleep(wait).await;
                stream.write_all(&bytes).await?;
            },
        }
    }
    stream.shutdown().await
}

/// A whole answer with its true length; the connection ends with it.
pub fn ok(body: &[u8]) -> Vec<Step> {
    sized(body.len(), body)
}

/// An answer that claims a length.
pub fn sized(length: usize, body: &[u8]) -> Vec<Step> {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    vec![Step::Send([head.as_bytes(), body].concat())]
}

/// An answer without a length, to be ended by the end of the connection.
pub fn unsized_head() -> Step {
    Step::Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec())
}

/// A redirect.
pub fn moved(to: &str) -> Vec<Step> {
    vec![Step::Send(
        format!(
            "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes(),
    )]
}

/// An answer with a status and nothing else.
pub fn status(status: u16) -> Vec<Step> {
    vec![Step::Send(
        format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .into_bytes(),
    )]
}
