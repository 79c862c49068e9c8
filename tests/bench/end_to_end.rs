//! From HTTP to committed rows, everything on the cores of this machine.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;

use crate::backlog::Progress;
use crate::batch::{self, Coding, Ids};
use crate::copy::tuned_postgres;
use crate::effort;
use crate::figures::Figures;
use crate::machine::{cpu_seconds, family_cpu_seconds};
use crate::report::{Report, median, or_dash, spread, thousands};
use crate::servers::ingest;
use crate::wrk::{self, Load, Visitor};

const ROUNDS: usize = 3;
const SECONDS: u32 = 6;
pub(crate) const CONNECTIONS: u32 = 256;
/// Browsers, each with a session of its own.
const VISITORS: usize = 500;
/// Those that were offline for a while.
const BATCHING_VISITORS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Split,
    Serve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    Single,
    Batched,
}

const VARIANTS: [(Place, Requests); 4] = [
    (Place::Split, Requests::Single),
    (Place::Split, Requests::Batched),
    (Place::Serve, Requests::Single),
    (Place::Serve, Requests::Batched),
];

/// In processes of their own, or in `serve`, which is all of them.
pub(crate) enum Pipeline {
    Split(Box<Split>),
    Serve(Box<Djaffar>),
}

pub(crate) struct Split {
    pub(crate) ingest: Djaffar,
    pub(crate) writer: Djaffar,
    nats: NatsServer,
    postgres: Postgres,
}

impl Pipeline {
    pub(crate) async fn start(place: Place) -> Self {
        match place {
            Place::Split => {
                let (postgres, url) = tuned_postgres().await;
                let nats = NatsServer::running().await;
                let mut writer = Djaffar::writer(&nats.url(), &url).with("--stream-bytes-max", "8GiB");
                let mut ingest = ingest(&nats);
                ingest.start_ready().await;
                writer.start_ready().await;
                Self::Split(Box::new(Split { ingest, writer, nats, postgres }))
            }
            Place::Serve => {
                let serve = Djaffar::serve().with("--connections-per-peer-max", 4096);
                // Batches come faster than SQLite takes them.
                let mut serve = serve.with("--embedded-queue-max", "8GiB");
                serve.start_ready().await;
                Self::Serve(Box::new(serve))
            }
        }
    }

    pub(crate) fn entrance(&self) -> &Djaffar {
        match self {
            Self::Split(split) => &split.ingest,
            Self::Serve(serve) => serve,
        }
    }

    pub(crate) fn database(&self) -> Database {
        match self {
            Self::Split(split) => Database::Postgres(split.postgres.first_database()),
            Self::Serve(serve) => Database::of_serve(&serve.data_directory()),
        }
    }

    /// CPU seconds of ingest, broker, writer and database so far.
    fn used(&self) -> Vec<f64> {
        match self {
            Self::Split(split) => {
                let Split { ingest, writer, nats, postgres } = &**split;
                let own = [ingest.id(), nats.id(), writer.id()].into_iter().flatten().map(cpu_seconds);
                own.chain(postgres.id().map(family_cpu_seconds)).collect()
            }
            Self::Serve(serve) => serve.id().map(cpu_seconds).into_iter().collect(),
        }
    }
}

struct Round {
    /// Activities per second that were answered.
    accepted: f64,
    /// Activities per second from the first request to the last COMMIT.
    committed: f64,
    /// From the last answer to the last COMMIT.
    behind: Duration,
    /// Per activity, as [`Pipeline::used`].
    cpu_micros: Vec<f64>,
}

/// Ready to be sent; each visitor has got a session by one log request.
pub(crate) async fn prepare(target: SocketAddr, requests: Requests) -> Vec<Vec<u8>> {
    let mut cookies = Vec::new();
    for _ in 0..VISITORS {
        cookies.push(wrk::session_cookie(target, &Visitor::default()).await);
    }
    match requests {
        Requests::Single => {
            let visitors = cookies.into_iter().map(|cookie| Visitor(vec![("Cookie", cookie)]));
            visitors.map(|visitor| wrk::log_request(target, &visitor)).collect()
        }
        Requests::Batched => {
            let visitors = cookies.iter().take(BATCHING_VISITORS);
            let requests = |cookie| batch::requests(target, Coding::Identity, Ids::MadeByIngest, cookie);
            visitors.flat_map(|cookie: &String| requests(cookie)).collect()
        }
    }
}

async fn measure(place: Place, requests: Requests) -> Round {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pipeline = Pipeline::start(place).await;
    let mut progress = Progress::of(&pipeline.database()).await;
    let target = pipeline.entrance().listen();
    let ready = prepare(target, requests).await;
    let (connections, items) = match requests {
        Requests::Single => (CONNECTIONS, 1.0),
        Requests::Batched => (batch::CONNECTIONS, f64::from(batch::ITEMS)),
    };
    let load = Load { target, connections, seconds: effort::seconds(SECONDS) };
    let used = pipeline.used();
    let measured = wrk::repeat(load, &ready, directory.path()).await;
    let answered = Instant::now();
    let activities = measured.requests * items;
    // What wrk had no time to hear the answer of is stored too.
    let (_, committed) = progress.reach(VISITORS as u64 + activities as u64).await;
    let cpu = pipeline.used().into_iter().zip(used).map(|(now, before)| now - before);
    Round {
        accepted: measured.requests_per_second * items,
        // By wrk's own clock: its start is nobody's.
        committed: activities / (measured.seconds() + (committed - answered).as_secs_f64()),
        behind: committed - answered,
        cpu_micros: cpu.map(|seconds| seconds * 1e6 / activities).collect(),
    }
}

/// Single log requests that became rows of Postgres, per second.
pub(crate) async fn requests_to_rows() -> f64 {
    measure(Place::Split, Requests::Single).await.committed
}

pub(crate) async fn run(report: &mut Report, figures: &Figures) {
    report.heading("End to end");
    report.table(&[
        "everything on these cores",
        "accepted/s",
        "committed/s",
        "to its slower ceiling",
        "behind at the end, s",
        "CPU µs/activity: ingest, broker, writer, database",
    ]);
    let mut rounds: [Vec<Round>; VARIANTS.len()] = Default::default();
    for _ in 0..effort::rounds(ROUNDS) {
        for ((place, requests), rounds) in VARIANTS.iter().zip(&mut rounds) {
            rounds.push(measure(*place, *requests).await);
        }
    }
    for (variant, rounds) in VARIANTS.iter().zip(&rounds) {
        row(report, *variant, rounds, figures);
    }
    report.line("");
    report.line(format!(
        "{CONNECTIONS} connections with one activity a request, {} with {} activities; committed/s runs from the \
         first request to the last COMMIT. The slower ceiling is the smaller of two rates above that were measured \
         each without the other: requests into the queue, and rows out of it.",
        batch::CONNECTIONS,
        batch::ITEMS
    ));
}

fn row(report: &mut Report, (place, requests): (Place, Requests), rounds: &[Round], figures: &Figures) {
    let each = |value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    let committed = each(|round| round.committed);
    let (taken, stored) = match (place, requests) {
        (Place::Split, Requests::Single) => (figures.jetstream_requests, figures.postgres_rows),
        (Place::Split, Requests::Batched) => (figures.jetstream_batched, figures.postgres_rows),
        (Place::Serve, Requests::Single) => (figures.embedded_requests, figures.sqlite_rows),
        // Batches into the embedded queue are far from being what limits it.
        (Place::Serve, Requests::Batched) => (figures.sqlite_rows, figures.sqlite_rows),
    };
    let ceiling = taken.zip(stored).map(|(taken, stored)| taken.min(stored));
    let cpu = (0..rounds[0].cpu_micros.len())
        .map(|index| median(&rounds.iter().map(|round| round.cpu_micros[index]).collect::<Vec<_>>()))
        .map(|micros| format!("{micros:.1}"));
    let name = match (place, requests) {
        (Place::Split, Requests::Single) => "ingest, JetStream, writer, Postgres: single",
        (Place::Split, Requests::Batched) => "ingest, JetStream, writer, Postgres: batched",
        (Place::Serve, Requests::Single) => "`djaffar serve` on SQLite: single",
        (Place::Serve, Requests::Batched) => "`djaffar serve` on SQLite: batched",
    };
    report.row([
        name.to_owned(),
        thousands(median(&each(|round| round.accepted))),
        thousands(median(&committed)),
        or_dash(
            ceiling
                .map(|ceiling| spread(&committed.iter().map(|rate| rate / ceiling).collect::<Vec<_>>(), 2)),
        ),
        format!("{:.1}", median(&each(|round| round.behind.as_secs_f64()))),
        cpu.collect::<Vec<_>>().join(", "),
    ]);
}
