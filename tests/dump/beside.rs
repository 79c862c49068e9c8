//! A dump shares the database with a writer, and its output with whoever reads.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use djaffar_tests::binary;
use djaffar_tests::process::djaffar;
use shared::event::{Activity, EventId};
use shared::store::{Batch, Store};
use tokio::time::timeout;
use uuid::Uuid;

use crate::database::{PostgresDatabase, SqliteFile};
use crate::rows;

/// More than pipes and buffers hold.
const ROWS: u128 = 9_000;
/// Long for a busy machine, short for a dump that would never let go.
const STORE_LIMIT: Duration = Duration::from_secs(60);
const FORMATS: [&str; 3] = ["django", "ndjson", "csv"];

fn many(start: u128) -> Vec<Activity> {
    let sample = &rows::activities()[2];
    (start..start + ROWS)
        .map(|number| Activity { id: EventId(Uuid::from_u128(number)), ..sample.clone() })
        .collect()
}

fn start_dump(database: &str, format: &str) -> Child {
    Command::new(binary("djaffar"))
        .args(["dump", "activity", "--indent", "1"].iter().take(if format == "django" { 4 } else { 2 }))
        .args(["--format", format, "--database", database])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("djaffar can be started")
}

/// A writer commits while the dump is stuck in the middle of its output; the dump shows what was there before.
async fn assert_one_snapshot(database: &str, store: &mut impl Store) {
    for (round, format) in (1..).zip(FORMATS) {
        let mut child = start_dump(database, format);
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut printed = String::new();
        output.read_line(&mut printed).expect("the dump has begun");
        let more: Batch = rows::batch(&many(round * ROWS));
        let report = timeout(STORE_LIMIT, store.store(&more)).await.expect("nobody waits for a dump");
        assert_eq!(u128::from(report.expect("stored rows").stored), ROWS);
        output.read_to_string(&mut printed).expect("UTF-8");
        assert!(child.wait().expect("the dump ends").success());
        let rows = match format {
            "csv" => printed.lines().count() - 1,
            _ => printed.matches("\"referer\":").count(),
        };
        assert_eq!(rows as u128, round * ROWS, "{format}");
    }
}

#[tokio::test]
async fn a_dump_of_sqlite_is_one_snapshot_beside_a_writer() {
    let file = SqliteFile::filled(&many(0)).await;
    assert_one_snapshot(&file.url(), &mut file.store()).await;
}

#[tokio::test]
async fn a_dump_of_postgres_is_one_snapshot_beside_a_writer() {
    let database = PostgresDatabase::filled(&many(0)).await;
    assert_one_snapshot(&database.url, &mut database.store()).await;
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_ends_a_dump_quietly() {
    let file = SqliteFile::filled(&many(0)).await;
    for format in FORMATS {
        let mut child = start_dump(&file.url(), format);
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        output.read_line(&mut String::new()).expect("the dump has begun");
        drop(output);
        let output = child.wait_with_output().expect("the dump ends");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_in_a_sentence() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = format!("sqlite:{}", directory.path().join("missing.sqlite3").display());
    let nothing = directory.path().join("nothing.sqlite3");
    std::fs::write(&nothing, "").expect("an empty file");
    let nothing = format!("sqlite:{}", nothing.display());
    let closed = format!("postgres://postgres@127.0.0.1:{}/x", djaffar_tests::free_port());
    for (database, sentence) in [
        (missing, "djaffar: database: there is no database at "),
        (nothing, "djaffar: database: the database has no tables of djaffar yet: run `djaffar migrate`"),
        (closed, "djaffar: database: the database cannot be reached: "),
    ] {
        let output = djaffar(["dump", "activity", "--database", &database]);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{printed}");
        assert!(printed.starts_with(sentence), "{printed}");
    }
}
