//! A real server that publishes keys, and can be told to misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::identity::json_web_token::KeySetPlace;

pub(super) struct JwksServer {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    _task: OwnedTask<()>,
}

struct Shared {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
}

#[derive(Clone)]
pub(super) enum Answer {
    Body(String),
    Status(&'static str),
    /// To somebody else.
    Redirect,
    Never,
}

impl Answer {
    pub(super) fn keys(keys: &[Value]) -> Self {
        Self::Body(json!({ "keys": keys }).to_string())
    }
}

impl JwksServer {
    pub(super) async fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { answer: Mutex::new(answer), asked: AtomicUsize::new(0) });
        let task = spawn_owned(serve(listener, Arc::clone(&shared)));
        Self { address, shared, _task: task }
    }

    pub(super) fn place(&self) -> KeySetPlace {
        format!("http://{}/keys.json?key=of-ours", self.address).parse().expect("a URL")
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().expect("nobody panics") = answer;
    }

    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut open = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        open.push(spawn_owned(answer(stream, Arc::clone(&shared))));
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut question).await? == 0 {
            return Ok(());
        }
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let answer = shared.answer.lock().expect("nobody panics").clone();
    let (status, headers, body) = match answer {
        Answer::Body(body) => ("200 OK", "", body),
        Answer::Status(status) => (status, "", String::new()),
        Answer::Redirect => ("302 Found", "Location: /other.json\r\n", String::new()),
        Answer::Never => std::future::pending().await,
    };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
