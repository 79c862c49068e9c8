//! Clients that ask and do not read: nothing of theirs is kept for ever, and nothing piles up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use djaffar_tests::wait_until;
use shared::lifecycle::spawn_owned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::server::Server;

const LIMIT: Duration = Duration::from_secs(60);
const REQUEST: &str = "OPTIONS /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\n\r\n";
const REQUESTS_AT_ONCE: usize = 100;
/// Far more than the buffers of both sockets hold of requests and answers.
const ENDLESS_BYTES: usize = 128 * 1024 * 1024;

/// Takes few answers before it has read some.
async fn connect(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(server.address).await.expect("connect")
}

#[tokio::test]
async fn a_client_that_never_reads_is_ended_and_not_answered_into_memory() {
    let server =
        Server::start_with(|config| config.connection_limits.write_timeout = Duration::from_millis(400))
            .await;
    let mut client = connect(&server).await;
    let requests = REQUEST.repeat(REQUESTS_AT_ONCE);
    let mut sent = 0;
    let ended = tokio::time::timeout(LIMIT, async {
        while client.write_all(requests.as_bytes()).await.is_ok() {
            sent += requests.len();
            assert!(sent < ENDLESS_BYTES, "the server goes on reading what it cannot answer");
        }
    });
    ended.await.expect("the server keeps the connection");
    server.serves(&mut server.client().await).await;
}

/// However little it takes at a time does not prolong it.
#[tokio::test]
async fn a_client_that_reads_in_drips_is_ended() {
    let server =
        Server::start_with(|config| config.connection_limits.write_timeout = Duration::from_millis(400))
            .await;
    let (mut answers, mut asking) = connect(&server).await.into_split();
    let asked = spawn_owned(async move {
        let requests = REQUEST.repeat(REQUESTS_AT_ONCE);
        while asking.write_all(requests.as_bytes()).await.is_ok() {}
    });
    let dripping = tokio::time::timeout(LIMIT, async {
        let mut drips = tokio::time::interval(Duration::from_millis(20));
        loop {
            drips.tick().await;
            if !matches!(answers.read(&mut [0; 16]).await, Ok(1..)) {
                break;
            }
        }
    });
    dripping.await.expect("the server keeps the connection");
    asked.join().await.expect("no panic");
    server.serves(&mut server.client().await).await;
}

/// Nobody who only reads late loses an answer.
#[tokio::test]
async fn a_client_that_reads_late_gets_every_answer() {
    const REQUESTS: usize = 150_000;
    let server = Server::start_with(|config| config.connection_limits.write_timeout = LIMIT * 10).await;
    let (mut answers, mut asking) = connect(&server).await.into_split();
    let sent = Arc::new(AtomicUsize::new(0));
    let asked = spawn_owned({
        let sent = Arc::clone(&sent);
        async move {
            let requests = REQUEST.repeat(REQUESTS_AT_ONCE);
            for _ in 0..REQUESTS / REQUESTS_AT_ONCE {
                asking.write_all(requests.as_bytes()).await?;
                sent.fetch_add(REQUESTS_AT_ONCE, Ordering::Relaxed);
            }
            asking.shutdown().await?;
            Ok::<_, io::Error>(asking)
        }
    });
    let mut before = 0;
    wait_until("the server to take no more", LIMIT, || {
        let now = sent.load(Ordering::Relaxed);
        let is_still = now > 0 && now == std::mem::replace(&mut before, now);
        async move { is_still }
    })
    .await;
    let mut received = Vec::new();
    answers.read_to_end(&mut received).await.expect("every answer");
    let count = received.windows(12).filter(|window| *window == b"HTTP/1.1 204").count();
    assert_eq!(count, REQUESTS);
    asked.join().await.expect("no panic").expect("every request is taken");
}
