//! Requests per second of a synced answer against an empty handler.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::{Djaffar, Process};
use djaffar_tests::{START_LIMIT, free_port, wait_until};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::machine::cpu_seconds;
use crate::report::{Report, median, spread, thousands};
use crate::wrk::{self, Measured};

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
const SECRET_KEY: &str = "a secret key for the benchmark alone";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Empty,
    Embedded,
    JetStreamAlways,
    JetStreamDefault,
}

const VARIANTS: [Variant; 4] =
    [Variant::Empty, Variant::Embedded, Variant::JetStreamAlways, Variant::JetStreamDefault];

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty warp handler",
            Self::Embedded => "`djaffar serve` (embedded queue, SQLite)",
            Self::JetStreamAlways => "`djaffar ingest`, JetStream, `sync_interval: always`",
            Self::JetStreamDefault => "`djaffar ingest`, JetStream, default sync",
        }
    }

    fn target(self, connections: u32) -> Option<f64> {
        match (self, connections) {
            (Self::Embedded, _) => Some(0.4),
            (Self::JetStreamAlways, 64) => Some(0.45),
            (Self::JetStreamAlways, _) => Some(0.5),
            (Self::Empty | Self::JetStreamDefault, _) => None,
        }
    }
}

/// What is measured, new for each round: no backlog of the round before is worked off in it.
struct Servers {
    target: SocketAddr,
    /// The process that answers, and the broker.
    processes: [Option<u32>; 2],
    _owned: (Option<Process>, Option<Djaffar>, Option<NatsServer>, TempDir),
}

impl Servers {
    async fn start(variant: Variant) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        match variant {
            Variant::Empty => {
                let target = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
                let mut command = Command::new(env::current_exe().expect("this program"));
                command.args(["empty-handler", &target.to_string()]);
                let process = Process::start("empty handler", &mut command, &directory.path().join("log"));
                let connected = || async { TcpStream::connect(target).await.is_ok() };
                wait_until("the empty handler", START_LIMIT, connected).await;
                let processes = [Some(process.id()), None];
                Self { target, processes, _owned: (Some(process), None, None, directory) }
            }
            Variant::Embedded => {
                let mut serve = Djaffar::serve().with("--connections-per-peer-max", 4096);
                serve.start_ready().await;
                let processes = [serve.id(), None];
                Self { target: serve.listen(), processes, _owned: (None, Some(serve), None, directory) }
            }
            Variant::JetStreamAlways | Variant::JetStreamDefault => {
                let settings = if variant == Variant::JetStreamAlways {
                    "sync_interval: always"
                } else {
                    "sync_interval: 2m"
                };
                let mut nats = NatsServer::with_jetstream(settings);
                nats.start_ready().await;
                let ingest = Djaffar::ingest(&nats.url(), SECRET_KEY).with("--stream-bytes-max", "8GiB");
                let mut ingest = ingest.with("--connections-per-peer-max", 4096);
                ingest.start_ready().await;
                let processes = [ingest.id(), nats.id()];
                Self {
                    target: ingest.listen(),
                    processes,
                    _owned: (None, Some(ingest), Some(nats), directory),
                }
            }
        }
    }

    async fn measure(&self, connections: u32, directory: &Path) -> Round {
        let cpu = |index: usize| self.processes[index].map(cpu_seconds);
        let before = [cpu(0), cpu(1)];
        let measured = wrk::run(self.target, connections, SECONDS, directory).await;
        let used = |index: usize| Some((cpu(index)? - before[index]?) * 1e6 / measured.requests);
        Round { measured, cpu_micros: [used(0), used(1)] }
    }
}

struct Round {
    measured: Measured,
    cpu_micros: [Option<f64>; 2],
}

pub(crate) async fn run(report: &mut Report) {
    report.heading("Requests per second");
    report.table(&[
        "64 and 256 connections",
        "requests/s",
        "ratio",
        "target",
        "p99 ms",
        "CPU µs/request",
        "broker",
    ]);
    for connections in [64, 256] {
        let mut rounds: [Vec<Round>; VARIANTS.len()] = Default::default();
        for _ in 0..ROUNDS {
            for (variant, rounds) in VARIANTS.iter().zip(&mut rounds) {
                let servers = Servers::start(*variant).await;
                rounds.push(servers.measure(connections, servers._owned.3.path()).await);
            }
        }
        for (variant, measured) in VARIANTS.iter().zip(&rounds) {
            report.row(cells(*variant, connections, measured, &rounds[0]));
        }
    }
    report.line("");
    report.line(
        "Each request carries a session cookie and a form of 150 bytes; the answer comes after the sync. \
         `djaffar serve` also writes the rows to SQLite on the same cores meanwhile.",
    );
}

fn cells(variant: Variant, connections: u32, rounds: &[Round], empty: &[Round]) -> [String; 7] {
    let each = |value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    let rates = each(|round| round.measured.requests_per_second);
    let ratios: Vec<f64> =
        rates.iter().zip(empty).map(|(rate, empty)| rate / empty.measured.requests_per_second).collect();
    let cpu = |index: usize| {
        let used: Vec<f64> = rounds.iter().filter_map(|round| round.cpu_micros[index]).collect();
        if used.is_empty() { "-".to_owned() } else { format!("{:.1}", median(&used)) }
    };
    [
        format!("{connections}: {}", variant.name()),
        thousands(median(&rates)),
        spread(&ratios, 2),
        variant.target(connections).map_or("-".to_owned(), |target| target.to_string()),
        format!("{:.1}", median(&each(|round| round.measured.p99_milliseconds))),
        cpu(0),
        cpu(1),
    ]
}
