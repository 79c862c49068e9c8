//! A queue full of activities, and how fast somebody stores them.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::{Djaffar, peak_resident_bytes};
use shared::event::Activity;
use shared::frame::{Compression, EncodedActivity, Frame, FrameBuilder, FrameId};
use shared::lifecycle::{Shutdown, spawn_owned};
use shared::queue::embedded::{EmbeddedConfig, EmbeddedQueue};
use shared::queue::jetstream::{JetStreamConfig, JetStreamQueue};
use shared::queue::{FramePublisher, QueueBacklog};
use shared::readiness::Readiness;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::machine::{Cores, cpu_seconds, family_cpu_seconds};

/// What a frame holds under load.
pub(crate) const FRAME_ACTIVITIES: usize = 250;
pub(crate) const LIMIT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const STORED: &str = "select cast(coalesce(sum(stored), 0) as bigint) from accounting";

/// Makes activity number so and so, the first of which is of that date.
pub(crate) type Maker = fn(u32, DateTime<Utc>) -> Activity;

/// Activities that wait to be stored.
#[derive(Clone, Copy)]
pub(crate) struct Backlog {
    pub(crate) rows: u32,
    pub(crate) make: Maker,
}

impl Backlog {
    /// The same in groups, each made when it is asked for.
    pub(crate) fn groups(self, size: usize) -> impl Iterator<Item = Vec<Activity>> {
        let start = shared::time::now() - chrono::TimeDelta::hours(1);
        (0..self.rows).step_by(size).map(move |first| {
            let numbers = first..self.rows.min(first + u32::try_from(size).expect("fits"));
            numbers.map(|number| (self.make)(number, start)).collect()
        })
    }

    pub(crate) fn frames(self) -> impl Iterator<Item = Frame> {
        let mut builder = FrameBuilder::new(usize::MAX);
        self.groups(FRAME_ACTIVITIES).map(move |group| {
            for activity in group {
                builder.push(&EncodedActivity::from(&activity));
            }
            builder.finish(FrameId::generate(), Compression::None)
        })
    }

    /// Returns the bytes that the queue holds then.
    async fn publish(self, queue: &(impl FramePublisher + QueueBacklog)) -> u64 {
        for frame in self.frames() {
            let deadline = tokio::time::Instant::now() + LIMIT;
            queue.publish(&frame, deadline).await.expect("the queue takes it");
        }
        queue.backlog().await.expect("the queue says what it holds").bytes
    }

    /// Into the stream that a writer would make; returns its bytes.
    pub(crate) async fn preload_jetstream(self, nats: &NatsServer) -> u64 {
        let readiness = Readiness::default();
        let config = JetStreamConfig { servers: nats.url(), ..JetStreamConfig::default() };
        let queue =
            JetStreamQueue::open(config, readiness.condition("queue")).await.expect("the queue opens");
        let _watch = spawn_owned(queue.clone().watch(Shutdown::new()));
        self.publish(&queue).await
    }

    /// The first start makes the data directory; returns the queue's bytes.
    pub(crate) async fn preload_embedded(self, serve: &mut Djaffar, bytes_max: u64) -> u64 {
        serve.start_ready().await;
        serve.stop(LIMIT).await;
        let directory = Path::new(&serve.data_directory()).join("queue");
        assert!(directory.exists(), "the embedded queue is elsewhere");
        let config = EmbeddedConfig { directory, bytes_max };
        self.publish(&EmbeddedQueue::open(&config).expect("the queue opens")).await
    }
}

/// How fast the rows came; CPU and memory are those of the processes that stored them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    pub(crate) rate: f64,
    pub(crate) cpu_micros: f64,
    pub(crate) peak_bytes: u64,
    pub(crate) broker_cpu_micros: Option<f64>,
    pub(crate) database_cpu_micros: Option<f64>,
    /// The share of all cores, from 0 to 1.
    pub(crate) busy: f64,
}

/// The processes that a writer keeps busy, where they are processes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Servers {
    pub(crate) broker: Option<u32>,
    /// The parent of those that serve connections.
    pub(crate) database: Option<u32>,
}

impl Servers {
    /// CPU seconds so far.
    fn used(self) -> [Option<f64>; 2] {
        [self.broker.map(cpu_seconds), self.database.map(family_cpu_seconds)]
    }
}

/// Starts the processes and waits until they have stored so many rows.
///
/// The clock runs from the first stored batch, as a start-up is no rate.
pub(crate) async fn drain(
    processes: &mut [Djaffar],
    database: &Database,
    servers: Servers,
    rows: u32,
) -> Drained {
    for process in &mut *processes {
        process.start();
    }
    processes[0].wait_ready().await;
    let mut progress = Progress::of(database).await;
    let ids: Vec<u32> = processes.iter().map(|process| process.id().expect("it runs")).collect();
    let cpu = || ids.iter().copied().map(cpu_seconds).sum::<f64>();
    let (first, started) = progress.reach(1).await;
    let (cpu_before, servers_before, cores) = (cpu(), servers.used(), Cores::read());
    let (last, ended) = progress.reach(u64::from(rows)).await;
    let stored = (last - first) as f64;
    let used = servers.used().into_iter().zip(servers_before);
    let mut used = used.map(|(now, before)| Some((now? - before?) * 1e6 / stored));
    Drained {
        rate: stored / (ended - started).as_secs_f64(),
        cpu_micros: (cpu() - cpu_before) * 1e6 / stored,
        peak_bytes: ids.iter().copied().map(peak_resident_bytes).max().unwrap_or(0),
        broker_cpu_micros: used.next().flatten(),
        database_cpu_micros: used.next().flatten(),
        busy: Cores::busy_since(cores),
    }
}

/// What is stored so far, asked over one connection: a new one each time would cost the database a process.
pub(crate) enum Progress {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Progress {
    pub(crate) async fn of(database: &Database) -> Self {
        match database {
            Database::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let connection = SqliteConnection::connect_with(&options).await;
                Self::Sqlite(connection.expect("the database can be opened"))
            }
            Database::Postgres(url) => {
                Self::Postgres(PgConnection::connect(url).await.expect("the database can be reached"))
            }
        }
    }

    pub(crate) async fn stored(&mut self) -> u64 {
        let (stored,): (i64,) = match self {
            Self::Sqlite(connection) => sqlx::query_as(STORED).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_as(STORED).fetch_one(connection).await,
        }
        .expect("the rows are accounted for");
        u64::try_from(stored).expect("counts are not negative")
    }

    /// How much is stored, and when, once it is so much.
    pub(crate) async fn reach(&mut self, goal: u64) -> (u64, Instant) {
        let started = Instant::now();
        loop {
            let stored = self.stored().await;
            if stored >= goal {
                return (stored, Instant::now());
            }
            assert!(started.elapsed() < LIMIT, "{stored} of {goal} rows after {LIMIT:?}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
