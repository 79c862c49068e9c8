//! What ten thousand idle connections and a few hundred slow ones cost everybody else.

use std::time::Duration;

use djaffar_tests::client::Connection;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::{Djaffar, resident_bytes};
use shared::lifecycle::{Shutdown, spawn_owned};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::effort;
use crate::memory::allow_open_files;
use crate::open_loop::OpenLoop;
use crate::report::{Report, Target, percentile};
use crate::servers::SECRET_KEY;
use crate::wrk::{self, Visitor};

const IDLE: u32 = 10_000;
const SLOW: u32 = 200;
const RATE: f64 = 200.0;
const SECONDS: u32 = 20;
const DRIP: Duration = Duration::from_secs(1);
const BEGINNINGS: [&[u8]; 2] = [
    b"POST /djaffar/log/ HTTP/1.1\r\nX: ",
    b"POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\n\
      Content-Length: 9999\r\n\r\n",
];
const P99_TARGET: Target = Target::AtMost(3.0);
const MEMORY_TARGET: Target = Target::AtMost(200.0);

pub(crate) async fn run(report: &mut Report) {
    let (idle, slow) = (effort::rows(IDLE), effort::rows(SLOW));
    allow_open_files(u64::from(idle + slow) + 1000);
    let nats = NatsServer::running().await;
    let connections_max = idle + slow + 100;
    let mut ingest = Djaffar::ingest(&nats.url(), SECRET_KEY)
        .with("--connections-max", connections_max)
        .with("--connections-per-peer-max", connections_max)
        .with("--header-timeout", "10min")
        .with("--body-timeout", "10min")
        .with("--idle-timeout", "10min");
    ingest.start_ready().await;
    let alone = latencies(&ingest).await;
    let mut crowd = Vec::new();
    let request = wrk::log_request(ingest.listen(), &Visitor::default());
    for _ in 0..idle {
        let mut connection = Connection::open(ingest.listen()).await.expect("there is room for it");
        connection.send(&request).await.expect("sent");
        assert_eq!(connection.receive().await.expect("an answer").status, 204);
        crowd.push(connection);
    }
    let mut dripping = Vec::new();
    for beginning in BEGINNINGS.into_iter().cycle().take(slow as usize) {
        let mut client = TcpStream::connect(ingest.listen()).await.expect("there is room for it");
        client.write_all(beginning).await.expect("sent");
        dripping.push(client);
    }
    let stop = Shutdown::new();
    let drips = spawn_owned(drip(dripping, stop.clone()));
    let among_many = latencies(&ingest).await;
    let resident = resident_bytes(ingest.id().expect("it runs"));
    stop.request();
    drips.join().await.expect("no slow connection has ended");
    drop(crowd);
    tell(report, (idle, slow), [&alone, &among_many], resident);
}

/// A byte a second on each.
async fn drip(mut clients: Vec<TcpStream>, stop: Shutdown) {
    let mut drips = tokio::time::interval(DRIP);
    loop {
        tokio::select! {
            _ = drips.tick() => {}
            () = stop.requested() => return,
        }
        for client in &mut clients {
            client.write_all(b"x").await.expect("the server waits for more");
        }
    }
}

/// In microseconds, sorted.
async fn latencies(ingest: &Djaffar) -> Vec<f64> {
    let open_loop = OpenLoop {
        target: ingest.listen(),
        rate: RATE,
        duration: Duration::from_secs(effort::seconds(SECONDS).into()),
        connections: 16,
        request: wrk::log_request(ingest.listen(), &Visitor::default()),
    };
    tokio::task::spawn_blocking(move || open_loop.run()).await.expect("every request is answered")
}

fn tell(report: &mut Report, (idle, slow): (u32, u32), [alone, among_many]: [&[f64]; 2], resident: u64) {
    report.heading("Among a crowd");
    report.table(&["open loop, 200 requests/s", "p50 µs", "p99 µs", "p99 against alone", "target"]);
    let p99 = |latencies: &[f64]| percentile(latencies, 0.99);
    let times = p99(among_many) / p99(alone);
    let judged = report.judge("crowd: p99 against alone".to_owned(), times, "", P99_TARGET);
    let row = |name: String, latencies: &[f64], times: String, judged: String| {
        [name, format!("{:.0}", percentile(latencies, 0.5)), format!("{:.0}", p99(latencies)), times, judged]
    };
    report.row(row("alone".to_owned(), alone, "1".to_owned(), "-".to_owned()));
    let name = format!("beside {idle} idle and {slow} slow connections");
    report.row(row(name, among_many, format!("{times:.2}"), judged));
    report.line("");
    let megabytes = resident as f64 / 1e6;
    let judged = report.judge("crowd: memory of ingest".to_owned(), megabytes, " MB", MEMORY_TARGET);
    report.line(format!("Ingest then has {megabytes:.0} MB resident (target: {judged})."));
}
