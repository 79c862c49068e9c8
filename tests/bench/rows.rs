//! Rows per second of the writer against the same transactions without a queue.
//!
//! Both sides store the same kind of activities into a new database. The writer
//! has its whole backlog in the queue before it starts; the clock runs from the
//! first stored batch, as a start-up is no rate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;
use shared::event::Activity;
use shared::frame::{Compression, EncodedActivity, Frame, FrameBuilder, FrameId};
use shared::lifecycle::{Shutdown, spawn_owned};
use shared::queue::FramePublisher;
use shared::queue::embedded::{EmbeddedConfig, EmbeddedQueue};
use shared::queue::jetstream::{JetStreamConfig, JetStreamQueue};
use shared::readiness::Readiness;
use shared::secret::Secret;
use shared::store::{Batch, Origin, SessionInfo, Store, StoredActivity};
use writer::store::postgres::{PostgresConfig, PostgresStore};
use writer::store::sqlite::{SqliteConfig, SqliteStore};

use crate::activities::activity;
use crate::machine::cpu_seconds;
use crate::report::{Report, median, spread, thousands};

const ROUNDS: usize = 3;
const ROWS: u32 = 400_000;
const BATCH_ROWS: usize = 10_000;
/// What a frame holds under load.
const FRAME_ACTIVITIES: usize = 250;
const LIMIT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The writer overlaps two connections to Postgres; so does the other side.
const POSTGRES_LANES: usize = 2;

pub(crate) async fn run(report: &mut Report) {
    report.heading("Rows per second");
    report.table(&["", "rows/s", "ratio", "target", "CPU µs/row"]);
    postgres(report).await;
    sqlite(report).await;
    report.line("");
    report.line(format!(
        "{ROWS} rows of 16,000 interleaved sessions into a new database with all its indexes; frames of \
         {FRAME_ACTIVITIES} activities, batches of {BATCH_ROWS} rows. The other side sends the same batches \
         through the same store, without queue, frames and decoding."
    ));
}

/// What one round took; the CPU without the database's.
struct Drained {
    rate: f64,
    cpu_micros: f64,
}

async fn postgres(report: &mut Report) {
    let (mut alone, mut queued) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let server = tuned_postgres().await;
        let stores = (0..POSTGRES_LANES).map(|lane| {
            let config = PostgresConfig {
                url: Secret::new(server.first_database()),
                writer_id: format!("bench-{lane}"),
                attempt_timeout: writer::store::postgres::ATTEMPT_TIMEOUT,
            };
            PostgresStore::new(config).expect("our own URL")
        });
        alone.push(store_alone(stores.collect()).await);
        drop(server);

        let server = tuned_postgres().await;
        let nats = NatsServer::running().await;
        preload_jetstream(&nats).await;
        let mut writer = Djaffar::writer(&nats.url(), &server.first_database());
        queued.push(drain(&mut writer, &Database::Postgres(server.first_database())).await);
    }
    rows(
        report,
        ["binary COPY into Postgres", "`djaffar writer`: JetStream to Postgres"],
        "0.85",
        &alone,
        &queued,
    );
}

async fn sqlite(report: &mut Report) {
    let (mut alone, mut queued) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("djaffar.sqlite3");
        alone.push(store_alone(vec![SqliteStore::new(SqliteConfig { path })]).await);

        let mut serve = Djaffar::serve();
        let data = PathBuf::from(serve.data_directory());
        preload_embedded(&mut serve, &data).await;
        let database = Database::of_serve(&serve.data_directory());
        queued.push(drain(&mut serve, &database).await);
    }
    rows(report, ["inserts into SQLite", "`djaffar serve`: embedded queue to SQLite"], "-", &alone, &queued);
}

fn rows(report: &mut Report, names: [&str; 2], target: &str, alone: &[Drained], queued: &[Drained]) {
    let rates = |side: &[Drained]| side.iter().map(|drained| drained.rate).collect::<Vec<f64>>();
    let cpu = |side: &[Drained]| {
        format!("{:.1}", median(&side.iter().map(|drained| drained.cpu_micros).collect::<Vec<f64>>()))
    };
    let ratios: Vec<f64> =
        rates(queued).iter().zip(rates(alone)).map(|(queued, alone)| queued / alone).collect();
    report.row([names[0], &thousands(median(&rates(alone))), "1", "-", &cpu(alone)]);
    report.row([names[1], &thousands(median(&rates(queued))), &spread(&ratios, 2), target, &cpu(queued)]);
}

async fn tuned_postgres() -> Postgres {
    let mut server = Postgres::new().with("shared_buffers=1GB").with("max_wal_size=8GB");
    server.restart().await;
    server
}

fn activities() -> Vec<Activity> {
    let start = shared::time::now() - chrono::TimeDelta::hours(1);
    (0..ROWS).map(|number| activity(number, start)).collect()
}

/// The same batches that the writer makes of its frames: each session's info comes once.
fn batches() -> Vec<Batch> {
    let mut known = BTreeSet::new();
    let batch = |activities: &[Activity]| {
        let mut session_infos = BTreeMap::new();
        for activity in activities {
            let Some(session_id) = activity.session_id.clone() else { continue };
            if !known.insert(session_id.clone()) {
                continue;
            }
            let user_agent = activity.user_agent.clone();
            let first_seen = activity.received_at.instant();
            session_infos.insert(session_id.clone(), SessionInfo { session_id, user_agent, first_seen });
        }
        let stored = |(index, activity): (usize, &Activity)| StoredActivity {
            activity: activity.clone(),
            raw: Bytes::new(),
            origin: Origin { frame_id: None, index: u32::try_from(index).expect("fits") },
        };
        let mut activities: Vec<StoredActivity> = activities.iter().enumerate().map(stored).collect();
        activities.sort_by_key(|stored| (stored.activity.date, stored.activity.id));
        let delivered = activities.len() as u64;
        let session_infos = session_infos.into_values().collect();
        Batch { activities, session_infos, delivered, ..Batch::default() }
    };
    activities().chunks(BATCH_ROWS).map(batch).collect()
}

/// These stores side by side.
async fn store_alone<S: Store>(stores: Vec<S>) -> Drained {
    let lanes = stores.len();
    let mut work: Vec<Vec<Batch>> = (0..lanes).map(|_| Vec::new()).collect();
    for (number, batch) in batches().into_iter().enumerate() {
        work[number % lanes].push(batch);
    }
    let mut ready = Vec::new();
    for mut store in stores {
        store.maintain(shared::time::now()).await.expect("the schema is made");
        ready.push(store);
    }
    let (started, cpu_before) = (Instant::now(), cpu_seconds(std::process::id()));
    let lanes: Vec<_> = ready
        .into_iter()
        .zip(work)
        .map(|(mut store, batches)| {
            spawn_owned(async move {
                for batch in batches {
                    store.store(&batch).await.expect("the batch is stored");
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.join().await.expect("the lane ends well");
    }
    let rate = f64::from(ROWS) / started.elapsed().as_secs_f64();
    Drained { rate, cpu_micros: (cpu_seconds(std::process::id()) - cpu_before) * 1e6 / f64::from(ROWS) }
}

fn frames() -> Vec<Frame> {
    let mut builder = FrameBuilder::new(usize::MAX);
    let frame = |group: &[Activity]| {
        for activity in group {
            builder.push(&EncodedActivity::from(activity.clone()));
        }
        builder.finish(FrameId::generate(), Compression::None)
    };
    activities().chunks(FRAME_ACTIVITIES).map(frame).collect()
}

async fn preload(publisher: &impl FramePublisher) {
    for frame in frames() {
        let deadline = tokio::time::Instant::now() + LIMIT;
        publisher.publish(&frame, deadline).await.expect("the queue takes it");
    }
}

/// The first start makes the data directory.
async fn preload_embedded(serve: &mut Djaffar, data: &std::path::Path) {
    serve.start_ready().await;
    serve.stop(LIMIT).await;
    let directory = data.join("queue");
    assert!(directory.exists(), "the embedded queue is elsewhere");
    let config = EmbeddedConfig { directory, bytes_max: 1 << 30 };
    preload(&EmbeddedQueue::open(&config).expect("the queue opens")).await;
}

async fn preload_jetstream(nats: &NatsServer) {
    let readiness = Readiness::default();
    let config = JetStreamConfig { servers: nats.url(), ..JetStreamConfig::default() };
    let queue = JetStreamQueue::open(config, readiness.condition("queue")).await.expect("the queue opens");
    let _watch = spawn_owned(queue.clone().watch(Shutdown::new()));
    preload(&queue).await;
}

/// Starts the process and waits until it has stored everything.
async fn drain(process: &mut Djaffar, database: &Database) -> Drained {
    process.start_ready().await;
    let (first, started) = stored(database, 1).await;
    let id = process.id().expect("it runs");
    let cpu_before = cpu_seconds(id);
    let (last, ended) = stored(database, u64::from(ROWS)).await;
    let rows = (last - first) as f64;
    let cpu_micros = (cpu_seconds(id) - cpu_before) * 1e6 / rows;
    Drained { rate: rows / (ended - started).as_secs_f64(), cpu_micros }
}

/// How much is stored, and when, once it is so much. Asks seldom: each question costs the database a process.
async fn stored(database: &Database, goal: u64) -> (u64, Instant) {
    let started = Instant::now();
    loop {
        let stored = database.accounting().await.stored;
        if stored >= goal {
            return (stored, Instant::now());
        }
        assert!(started.elapsed() < LIMIT, "{stored} of {goal} rows after {LIMIT:?}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
