//! Ten thousand connections that want nothing, or take for ever (row 27).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use djaffar_tests::checker::report;
use djaffar_tests::client::{Connection, Load, exchange, log_request};
use djaffar_tests::process::Djaffar;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use uuid::Uuid;

use crate::judge_serve;

/// Below `--connections-max`, which leaves room for who has something to say.
const CROWD: usize = 9_000;
/// Below `--connections-per-peer-max`.
const FROM_ONE_ADDRESS: usize = 900;
const HEAD: &[u8] = b"POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: 999\r\n";

/// What a client of the crowd has said before it falls silent.
const BEGINNINGS: [&[u8]; 4] = [b"", b"POST /djaffar/lo", HEAD, b"GET /djaffar/pixel.gif HTTP/1.1\r\nX: "];

async fn connect_from(number: usize, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(number / FROM_ONE_ADDRESS + 2).expect("a few addresses");
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    socket.connect(server).await
}

/// How long the median and the slowest of some log requests take, each on a connection of its own.
async fn answer_times(serve: &Djaffar) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..50 {
        let request = log_request(Uuid::new_v4(), shared::time::now(), "/among-many", None);
        let begun = Instant::now();
        let response = exchange(serve.listen(), &request).await.expect("an answer");
        assert_eq!(response.status, 204, "{response:?}");
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

#[tokio::test]
async fn thousands_of_idle_and_slow_connections_hold_nobody_up() {
    let test = "thousands_of_idle_and_slow_connections_hold_nobody_up";
    let mut serve = Djaffar::serve().with("--header-timeout", "30s").with("--body-timeout", "30s");
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 4);
    load.progress(20).await;
    let alone = answer_times(&serve).await;
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut client = match connect_from(number, serve.listen()).await {
            Ok(client) => client,
            Err(error) => {
                println!("SKIPPED: only {number} connections can be had here: {error}");
                break;
            }
        };
        client.write_all(BEGINNINGS[number % BEGINNINGS.len()]).await.expect("the beginning is sent");
        crowd.push(client);
    }
    let among_many = answer_times(&serve).await;
    println!("{test}: median and slowest alone {alone:?}, among {} {among_many:?}", crowd.len());
    // A second where 100 ms are meant: other tests run beside this one.
    assert!(among_many.0 < Duration::from_secs(1), "alone {alone:?}, among many {among_many:?}");
    let resident = serve.resident_bytes();
    assert!(resident < 512 * 1024 * 1024, "{resident} bytes for {} connections", crowd.len());
    drop(crowd);
    load.progress(20).await;
    let mut connection = Connection::open(serve.listen()).await.expect("there is room");
    connection.send(&log_request(Uuid::new_v4(), shared::time::now(), "/after", None)).await.expect("sent");
    assert_eq!(connection.receive().await.expect("an answer").status, 204);
    let journal = load.finish().await;
    let verdict = judge_serve(&serve, &journal).await;
    // The requests of `answer_times` are not in the journal.
    assert_eq!((verdict.figures.lost, verdict.figures.doubled), (0, 0), "{verdict:?}");
    report(test, 1, &verdict.figures);
}
