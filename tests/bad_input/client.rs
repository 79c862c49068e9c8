//! A client that sends bytes as they are.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Status line and headers of the last answer, as they came.
    last_head: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.expect("connect"),
            unread: Vec::new(),
            last_head: String::new(),
        }
    }

    pub(crate) async fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(source, 0)).expect("a loopback address");
        Self {
            stream: socket.connect(address).await.expect("connect"),
            unread: Vec::new(),
            last_head: String::new(),
        }
    }

    /// Bytes that the server does not want any more may get lost.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.stream.write_all(bytes.as_ref()).await {
            println!("sending ended early: {error}");
        }
    }

    /// Nothing more will be sent.
    pub(crate) async fn finish_sending(&mut self) {
        self.stream.shutdown().await.expect("an open connection");
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("an answer")
    }

    /// `None` when the connection ends first.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            self.read_more().await?;
        };
        self.last_head = String::from_utf8_lossy(&self.unread[..head_end]).into_owned();
        let head = self.last_head.to_lowercase();
        let status = head.split(' ').nth(1).expect("a status line").parse().expect("a status");
        self.unread.drain(..head_end + 4);
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.unread.len() < length {
            self.read_more().await?;
        }
        answer.body = String::from_utf8_lossy(&self.unread[..length]).into_owned();
        self.unread.drain(..length);
        Some(answer)
    }

    /// A header of the last answer, its value as it came.
    pub(crate) fn last_header(&self, name: &str) -> Option<&str> {
        let mut lines = self.last_head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Reads an answer that has headers only, whatever they say.
    pub(crate) async fn head_answer(&mut self) -> String {
        while !self.unread.windows(4).any(|window| window == b"\r\n\r\n") {
            self.read_more().await.expect("an answer");
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).to_lowercase()
    }

    /// Waits until the server ends the connection.
    pub(crate) async fn closed(&mut self) {
        while self.read_more().await.is_some() {}
    }

    async fn read_more(&mut self) -> Option<()> {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the server is silent");
        match read {
            Ok(0) | Err(_) => None,
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Some(())
            }
        }
    }
}
