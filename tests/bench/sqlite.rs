//! The ceiling of the rows in SQLite: prepared statements of rusqlite, on values made before the clock starts.

use std::time::Instant;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Statement, params};
use shared::event::Activity;
use shared::store::Store as _;
use writer::store::sqlite::{SqliteConfig, SqliteStore};

use crate::backlog::Backlog;
use crate::copy::Copied;
use crate::machine::cpu_seconds;

const INSERT: &str = "INSERT INTO activity (id, date, received_at, session_id, user_id, ip_address, path, referer) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

struct Row {
    id: String,
    date: String,
    received_at: String,
    session_id: Option<String>,
    user_id: Option<String>,
    ip_address: Option<String>,
    path: String,
    referer: String,
}

impl From<Activity> for Row {
    fn from(activity: Activity) -> Self {
        Self {
            id: activity.id.0.simple().to_string(),
            date: text(activity.date.instant()),
            received_at: text(activity.received_at.instant()),
            session_id: activity.session_id.map(|id| id.as_str().to_owned()),
            user_id: activity.user_id.map(|id| id.as_str().to_owned()),
            ip_address: activity.ip_address.map(|address| address.to_string()),
            path: activity.path.as_str().to_owned(),
            referer: activity.referer.as_str().to_owned(),
        }
    }
}

fn text(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Each batch is a transaction of its own, synced as the writer's.
pub(crate) async fn in_batches(backlog: Backlog, batch_rows: usize) -> Copied {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("djaffar.sqlite3");
    let mut store = SqliteStore::new(SqliteConfig { path: path.clone() });
    store.maintain(shared::time::now()).await.expect("the tables are made");
    drop(store);
    let connection = Connection::open(path).expect("the database can be opened");
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768";
    connection.execute_batch(settings).expect("the settings are good");
    let batches: Vec<Vec<Row>> =
        backlog.groups(batch_rows).map(|batch| batch.into_iter().map(Row::from).collect()).collect();
    let inserting = tokio::task::spawn_blocking(move || insert(&connection, &batches));
    let (seconds, cpu) = inserting.await.expect("the rows are good");
    drop(directory);
    let rows = f64::from(backlog.rows) - batch_rows as f64;
    Copied { rate: rows / seconds, cpu_micros: cpu * 1e6 / rows, database_cpu_micros: None }
}

/// Seconds, and seconds of CPU, from the second batch on, as for the writer.
fn insert(connection: &Connection, batches: &[Vec<Row>]) -> (f64, f64) {
    let (first, rest) = batches.split_first().expect("a batch");
    let mut statement = connection.prepare(INSERT).expect("the statement is good");
    transaction(connection, &mut statement, first);
    let (started, cpu_before) = (Instant::now(), cpu_seconds(std::process::id()));
    for batch in rest {
        transaction(connection, &mut statement, batch);
    }
    (started.elapsed().as_secs_f64(), cpu_seconds(std::process::id()) - cpu_before)
}

fn transaction(connection: &Connection, statement: &mut Statement<'_>, batch: &[Row]) {
    connection.execute_batch("BEGIN IMMEDIATE").expect("a transaction begins");
    for row in batch {
        let Row { id, date, received_at, session_id, user_id, ip_address, path, referer } = row;
        let values = params![id, date, received_at, session_id, user_id, ip_address, path, referer];
        statement.execute(values).expect("the row is good");
    }
    connection.execute_batch("COMMIT").expect("the rows are committed");
}
