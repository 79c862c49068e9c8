//! The most memory that each process takes, where it takes most.

use std::io;

use djaffar_tests::client::Connection;
use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::{Djaffar, peak_resident_bytes};
use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::activities::activity;
use crate::backlog::{Backlog, Progress};
use crate::effort;
use crate::report::{Report, Target, mebibytes};
use crate::rows::drain_into_postgres;
use crate::servers::SECRET_KEY;
use crate::wrk::{self, Visitor};

const CONNECTIONS: u32 = 10_000;
/// Log requests of every connection, all of them at once.
const REQUESTS: usize = 3;
const WRITER_ROWS: u32 = 1_000_000;
/// A little above 1 GiB in frames.
const BACKLOG_ROWS: u32 = 3_700_000;
/// Of which so many are stored: the memory grows no more.
const STORED_ROWS: u64 = 400_000;
const QUEUE_BYTES_MAX: u64 = 4 << 30;
const INGEST_TARGET: Target = Target::AtMost(200.0);
const WRITER_TARGET: Target = Target::AtMost(150.0);
const SERVE_TARGET: Target = Target::AtMost(200.0);

pub(crate) async fn run(report: &mut Report) {
    report.heading("Memory");
    report.table(&["", "peak MB", "target"]);
    let connections = effort::rows(CONNECTIONS);
    let ingest = ingest(connections).await;
    row(report, format!("ingest, {connections} connections that all send at once"), ingest, INGEST_TARGET);
    let backlog = Backlog { rows: effort::rows(WRITER_ROWS), make: activity };
    let writer = drain_into_postgres(backlog, 1).await;
    row(report, "writer at full rate, JetStream to Postgres".to_owned(), writer.peak_bytes, WRITER_TARGET);
    let backlog = Backlog { rows: effort::rows(BACKLOG_ROWS), make: activity };
    let (serve, queued) = serve(backlog).await;
    let name = format!("serve that drains a backlog of {:.2} GiB into SQLite", mebibytes(queued) / 1024.0);
    row(report, name, serve, SERVE_TARGET);
    report.line("");
    report.line("The most that was ever resident (VmHWM), in millions of bytes.");
}

fn row(report: &mut Report, name: String, bytes: u64, target: Target) {
    let megabytes = bytes as f64 / 1e6;
    let target = report.judge(format!("memory: {name}"), megabytes, " MB", target);
    report.row([name, format!("{megabytes:.0}"), target]);
}

/// Every connection stays open; bytes at the end.
async fn ingest(connections: u32) -> u64 {
    allow_open_files(u64::from(connections) + 1000);
    let nats = NatsServer::running().await;
    let ingest =
        Djaffar::ingest(&nats.url(), SECRET_KEY).with("--connections-per-peer-max", connections + 100);
    let mut ingest = ingest.with("--connections-max", connections + 100);
    ingest.start_ready().await;
    let target = ingest.listen();
    let request = wrk::log_request(target, &Visitor::default());
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target).await.expect("there is room for it"));
    }
    for _ in 0..REQUESTS {
        for answer in join_all(open.iter_mut().map(|connection| exchange(connection, &request))).await {
            assert_eq!(answer.expect("an answer"), 204);
        }
    }
    peak_resident_bytes(ingest.id().expect("it runs"))
}

async fn exchange(connection: &mut Connection, request: &[u8]) -> io::Result<u16> {
    connection.send(request).await?;
    Ok(connection.receive().await?.status)
}

/// For this process; the one under test raises its own.
pub(crate) fn allow_open_files(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return;
    }
    let raised = Rlimit { current: Some(count), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("the system allows so many connections: see `ulimit -Hn`");
}

/// Peak of the process, and bytes of the backlog.
async fn serve(backlog: Backlog) -> (u64, u64) {
    let mut serve = Djaffar::serve().with("--embedded-queue-max", QUEUE_BYTES_MAX);
    let queued = backlog.preload_embedded(&mut serve, QUEUE_BYTES_MAX).await;
    serve.start_ready().await;
    let database = Database::of_serve(&serve.data_directory());
    let mut progress = Progress::of(&database).await;
    progress.reach(STORED_ROWS.min(u64::from(backlog.rows))).await;
    let peak = peak_resident_bytes(serve.id().expect("it runs"));
    serve.kill();
    (peak, queued)
}
