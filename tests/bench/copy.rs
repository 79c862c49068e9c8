//! The ceilings of the rows in Postgres: the same bytes of COPY, encoded before the clock starts.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use djaffar_tests::postgres::{self, Postgres};
use shared::event::Activity;
use shared::lifecycle::spawn_owned;
use shared::secret::Secret;
use shared::store::{Store as _, StoredActivity};
use sqlx::{Connection as _, PgConnection};
use writer::store::postgres::{ATTEMPT_TIMEOUT, PostgresConfig, PostgresStore, copy_stream};

use crate::backlog::Backlog;
use crate::machine::{cpu_seconds, family_cpu_seconds};

const COPY: &str = "COPY activity (id, date, received_at, session_id, user_id, ip_address, path, referer) \
                    FROM STDIN (FORMAT binary)";
/// As the writer does.
const PIECE_BYTES: usize = 256 * 1024;
/// Signature, flags and the length of the header extension; the end of data.
const HEADER_BYTES: usize = 19;
const TRAILER_BYTES: usize = 2;

/// Rows per second, and CPU per row: the client's own, and the database's where it is a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    pub(crate) rate: f64,
    pub(crate) cpu_micros: f64,
    pub(crate) database_cpu_micros: Option<f64>,
}

/// An empty server with the tables of the writer, tuned as one would for so many rows.
pub(crate) async fn tuned_postgres() -> (Postgres, String) {
    let mut server = Postgres::new().with("shared_buffers=1GB").with("max_wal_size=8GB");
    server.restart().await;
    // Over the socket, where no delayed ack of TCP is measured.
    let url = server.over_socket(&server.first_database());
    (server, url)
}

async fn make_tables(url: &str) {
    let config = PostgresConfig {
        url: Secret::new(url.to_owned()),
        writer_id: "bench".to_owned(),
        attempt_timeout: ATTEMPT_TIMEOUT,
    };
    let mut store = PostgresStore::new(config).expect("our own URL");
    store.maintain(shared::time::now()).await.expect("the tables are made");
}

/// A stream of COPY for these rows.
pub(crate) fn encode(activities: Vec<Activity>) -> Vec<u8> {
    let stored = |(index, activity)| StoredActivity::of_no_frame(activity, index);
    let rows: Vec<StoredActivity> = (0..).zip(activities).map(stored).collect();
    let mut stream = Vec::new();
    copy_stream(&rows, &mut stream);
    stream
}

/// Every connection sends its share of the batches, each in a transaction of its own. The clock runs
/// from the second of each, as it does for the writer.
pub(crate) async fn in_batches(backlog: Backlog, batch_rows: usize, connections: usize) -> Copied {
    let (server, url) = tuned_postgres().await;
    make_tables(&url).await;
    let mut shares = vec![Vec::new(); connections];
    for (number, batch) in backlog.groups(batch_rows).enumerate() {
        shares[number % connections].push(encode(batch));
    }
    let mut lanes = Vec::new();
    for mut share in shares {
        let mut connection = PgConnection::connect(&url).await.expect("the server can be reached");
        transaction(&mut connection, &share.remove(0)).await;
        lanes.push((connection, share));
    }
    let used = || (cpu_seconds(std::process::id()), server.id().map(family_cpu_seconds));
    let (started, before) = (Instant::now(), used());
    let lanes = lanes.into_iter().map(|(mut connection, share)| {
        spawn_owned(async move {
            for batch in share {
                transaction(&mut connection, &batch).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.join().await.expect("the lane ends well");
    }
    let seconds = started.elapsed().as_secs_f64();
    let rows = f64::from(backlog.rows) - (batch_rows * connections) as f64;
    let now = used();
    Copied {
        rate: rows / seconds,
        cpu_micros: (now.0 - before.0) * 1e6 / rows,
        database_cpu_micros: now.1.zip(before.1).map(|(now, before)| (now - before) * 1e6 / rows),
    }
}

async fn transaction(connection: &mut PgConnection, encoded: &[u8]) {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await.expect("a transaction begins");
    let mut stream = connection.copy_in_raw(COPY).await.expect("COPY begins");
    for piece in encoded.chunks(PIECE_BYTES) {
        stream.send(piece).await.expect("the server takes it");
    }
    stream.finish().await.expect("the rows are good");
    sqlx::raw_sql("COMMIT").execute(connection).await.expect("the rows are committed");
}

/// `psql \copy` of the same rows from one binary file, in one transaction; its start counts.
pub(crate) async fn with_psql(backlog: Backlog) -> Copied {
    let (_server, url) = tuned_postgres().await;
    make_tables(&url).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("rows.copy");
    let mut file = File::create(&path).expect("a file");
    let header_and_trailer = encode(Vec::new());
    file.write_all(&header_and_trailer[..HEADER_BYTES]).expect("the disk has room");
    for batch in backlog.groups(1000) {
        let encoded = encode(batch);
        let rows = &encoded[HEADER_BYTES..encoded.len() - TRAILER_BYTES];
        file.write_all(rows).expect("the disk has room");
    }
    file.write_all(&header_and_trailer[HEADER_BYTES..]).expect("the disk has room");
    file.sync_all().expect("the disk syncs");
    drop(file);
    let mut command = Command::new(postgres::program("psql"));
    let copy = COPY.replace("COPY", "\\copy").replace("STDIN", &format!("'{}'", path.display()));
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", &copy, &url]);
    let started = Instant::now();
    let output = command.output().expect("psql can be started");
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(&path).expect("the file is ours");
    Copied { rate: f64::from(backlog.rows) / seconds, cpu_micros: f64::NAN, database_cpu_micros: None }
}
