//! What answers log requests, new for each round: no backlog of the round before is worked off in it.

use std::net::SocketAddr;
use std::path::Path;

use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::{Djaffar, Process, peak_resident_bytes};
use tempfile::TempDir;

use crate::ceiling;
use crate::machine::cpu_seconds;
use crate::wrk::Measured;

pub(crate) const SECRET_KEY: &str = "a secret key for the benchmark alone";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ceiling,
    Embedded,
    JetStreamAlways,
    JetStreamDefault,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "empty warp handler",
            Self::Embedded => "`djaffar serve` (embedded queue, SQLite)",
            Self::JetStreamAlways => "`djaffar ingest`, JetStream, `sync_interval: always`",
            Self::JetStreamDefault => "`djaffar ingest`, JetStream, default sync",
        }
    }
}

pub(crate) struct Servers {
    pub(crate) target: SocketAddr,
    /// The process that answers, and the broker.
    processes: (u32, Option<u32>),
    directory: TempDir,
    _owned: Owned,
}

/// Stopped with the round.
enum Owned {
    Ceiling { _process: Process },
    Embedded { _serve: Djaffar },
    JetStream { _ingest: Djaffar, _nats: NatsServer },
}

/// CPU of the process that answers and of the broker, in seconds since their starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used(f64, Option<f64>);

/// What a run of wrk has measured and what it cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) measured: Measured,
    pub(crate) cpu_micros: f64,
    pub(crate) broker_cpu_micros: Option<f64>,
    pub(crate) peak_bytes: u64,
}

impl Servers {
    pub(crate) async fn start(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (target, processes, owned) = match kind {
            Kind::Ceiling => {
                let (process, target) = ceiling::start(directory.path()).await;
                (target, (process.id(), None), Owned::Ceiling { _process: process })
            }
            Kind::Embedded => {
                let mut serve = Djaffar::serve().with("--connections-per-peer-max", 4096);
                serve.start_ready().await;
                let id = serve.id().expect("it runs");
                (serve.listen(), (id, None), Owned::Embedded { _serve: serve })
            }
            Kind::JetStreamAlways => Self::jetstream("sync_interval: always").await,
            Kind::JetStreamDefault => Self::jetstream("sync_interval: 2m").await,
        };
        Self { target, processes, directory, _owned: owned }
    }

    async fn jetstream(settings: &str) -> (SocketAddr, (u32, Option<u32>), Owned) {
        let mut nats = NatsServer::with_jetstream(settings);
        nats.start_ready().await;
        let mut ingest = ingest(&nats);
        ingest.start_ready().await;
        let processes = (ingest.id().expect("it runs"), nats.id());
        (ingest.listen(), processes, Owned::JetStream { _ingest: ingest, _nats: nats })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn used(&self) -> Used {
        Used(cpu_seconds(self.processes.0), self.processes.1.map(cpu_seconds))
    }

    /// Of what was measured since `before`.
    pub(crate) fn round(&self, measured: Measured, Used(process, broker): Used) -> Round {
        let now = self.used();
        let per_request = |seconds: f64| seconds * 1e6 / measured.requests;
        Round {
            measured,
            cpu_micros: per_request(now.0 - process),
            broker_cpu_micros: now.1.zip(broker).map(|(now, before)| per_request(now - before)),
            peak_bytes: peak_resident_bytes(self.processes.0),
        }
    }
}

/// An ingest that takes what one load generator sends.
pub(crate) fn ingest(nats: &NatsServer) -> Djaffar {
    Djaffar::ingest(&nats.url(), SECRET_KEY)
        .with("--stream-bytes-max", "8GiB")
        .with("--connections-per-peer-max", 4096)
}
