//! Rows per second of the writer against the same transactions without a queue.
//!
//! Every side stores the same kind of activities into a new database. The writer
//! has its whole backlog in the queue before it starts.

use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::Djaffar;

use crate::activities::activity;
use crate::backlog::{Backlog, Drained, FRAME_ACTIVITIES, Servers, drain};
use crate::copy::{self, Copied, tuned_postgres};
use crate::effort;
use crate::figures::Figures;
use crate::report::{Report, Target, mebibytes, median, ratios, spread, thousands};
use crate::sqlite;

const ROUNDS: usize = 3;
const POSTGRES_ROWS: u32 = 1_000_000;
const SQLITE_ROWS: u32 = 300_000;
const BATCH_ROWS: usize = 10_000;
/// The writer overlaps two connections to Postgres; so does the other side.
const POSTGRES_CONNECTIONS: usize = 2;
const EMBEDDED_BYTES_MAX: u64 = 1 << 30;
/// Against the same transactions, and against `psql`.
const POSTGRES_TARGETS: [Target; 2] = [Target::AtLeast(0.95), Target::AtLeast(0.80)];
const SQLITE_TARGET: Target = Target::AtLeast(0.90);

pub(crate) async fn run(report: &mut Report, figures: &mut Figures) {
    report.heading("Rows per second");
    report.table(&[
        "",
        "rows/s",
        "writer's ratio to it",
        "target",
        "CPU µs/row",
        "broker",
        "database",
        "peak MiB",
    ]);
    postgres(report, figures).await;
    sqlite(report, figures).await;
    report.line("");
    report.line(format!(
        "{} rows for Postgres (over its Unix socket), {} for SQLite, of 16,000 interleaved \
         sessions, into a new database with all its indexes; frames of {FRAME_ACTIVITIES} activities, batches of \
         {BATCH_ROWS} rows. Both COPYs are binary and encoded before the clock starts; they leave out session infos \
         and accounting. Without a queue the cores have nothing to do but the database's work; with it they share it with \
         the writer and the broker.",
        effort::rows(POSTGRES_ROWS),
        effort::rows(SQLITE_ROWS)
    ));
}

/// The backlog of one JetStream becomes rows of a new Postgres, over its socket.
pub(crate) async fn drain_into_postgres(backlog: Backlog, writers: usize) -> Drained {
    let (server, url) = tuned_postgres().await;
    let nats = NatsServer::running().await;
    backlog.preload_jetstream(&nats).await;
    let mut writers: Vec<Djaffar> = (0..writers).map(|_| Djaffar::writer(&nats.url(), &url)).collect();
    let database = Database::Postgres(server.first_database());
    let servers = Servers { broker: nats.id(), database: server.id() };
    drain(&mut writers, &database, servers, backlog.rows).await
}

async fn postgres(report: &mut Report, figures: &mut Figures) {
    let backlog = Backlog { rows: effort::rows(POSTGRES_ROWS), make: activity };
    let (mut copied, mut psql, mut queued) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort::rounds(ROUNDS) {
        copied.push(copy::in_batches(backlog, BATCH_ROWS, POSTGRES_CONNECTIONS).await);
        queued.push(drain_into_postgres(backlog, 1).await);
        psql.push(copy::with_psql(backlog).await);
    }
    let names = ["COPY in the same transactions, 2 connections", "`psql \\copy`, binary, one transaction"];
    let writer = "`djaffar writer`: JetStream to Postgres";
    for ((name, side), target) in names.into_iter().zip([&copied, &psql]).zip(POSTGRES_TARGETS) {
        ceiling(report, [name, writer], side, &queued, target);
    }
    figures.postgres_rows = Some(stored(report, writer, &queued));
}

async fn sqlite(report: &mut Report, figures: &mut Figures) {
    let backlog = Backlog { rows: effort::rows(SQLITE_ROWS), make: activity };
    let (mut inserted, mut queued) = (Vec::new(), Vec::new());
    for _ in 0..effort::rounds(ROUNDS) {
        inserted.push(sqlite::in_batches(backlog, BATCH_ROWS).await);
        let mut serve = Djaffar::serve();
        backlog.preload_embedded(&mut serve, EMBEDDED_BYTES_MAX).await;
        let database = Database::of_serve(&serve.data_directory());
        queued
            .push(drain(std::slice::from_mut(&mut serve), &database, Servers::default(), backlog.rows).await);
    }
    let serve = "`djaffar serve`: embedded queue to SQLite";
    ceiling(report, ["rusqlite, one prepared statement", serve], &inserted, &queued, SQLITE_TARGET);
    figures.sqlite_rows = Some(stored(report, serve, &queued));
}

fn ceiling(
    report: &mut Report,
    [name, writer]: [&str; 2],
    side: &[Copied],
    queued: &[Drained],
    target: Target,
) {
    let rates: Vec<f64> = side.iter().map(|copied| copied.rate).collect();
    let queued: Vec<f64> = queued.iter().map(|drained| drained.rate).collect();
    let ratios = ratios(&queued, &rates);
    let cpu: Vec<_> = side.iter().map(|copied| Some(copied.cpu_micros)).collect();
    let database: Vec<_> = side.iter().map(|copied| copied.database_cpu_micros).collect();
    let target = report.judge(format!("{writer}, against {name}"), median(&ratios), "", target);
    report.row([
        name,
        &thousands(median(&rates)),
        &spread(&ratios, 2),
        &target,
        &micros(&cpu),
        "-",
        &micros(&database),
        "-",
    ]);
}

/// Returns the median.
fn stored(report: &mut Report, name: &str, queued: &[Drained]) -> f64 {
    let rate = median(&queued.iter().map(|drained| drained.rate).collect::<Vec<_>>());
    let cpu: Vec<_> = queued.iter().map(|drained| Some(drained.cpu_micros)).collect();
    let broker: Vec<_> = queued.iter().map(|drained| drained.broker_cpu_micros).collect();
    let database: Vec<_> = queued.iter().map(|drained| drained.database_cpu_micros).collect();
    let peak = queued.iter().map(|drained| drained.peak_bytes).max().unwrap_or(0);
    let peak = format!("{:.0}", mebibytes(peak));
    let [cpu, broker, database] = [cpu, broker, database].map(|values| micros(&values));
    report.row([name, &thousands(rate), "", "", &cpu, &broker, &database, &peak]);
    rate
}

/// The median, where it was measured.
fn micros(values: &[Option<f64>]) -> String {
    let known: Vec<f64> = values.iter().copied().flatten().filter(|value| !value.is_nan()).collect();
    if known.is_empty() { "-".to_owned() } else { format!("{:.1}", median(&known)) }
}
