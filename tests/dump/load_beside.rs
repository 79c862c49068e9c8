//! A load shares its database with a running `serve`, and with writers.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use djaffar_tests::client::Load;
use djaffar_tests::database::Database;
use djaffar_tests::process::Djaffar;
use djaffar_tests::{binary, wait_until};
use shared::store::Store;

use crate::database::PostgresDatabase;
use crate::rows;

const ROWS: u64 = 20_000;
const LIMIT: Duration = Duration::from_secs(120);

/// Fresh rows of one day.
fn lines() -> String {
    let begin = "2026-11-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().expect("a date");
    let line = |number: u64| {
        let date = begin + chrono::TimeDelta::milliseconds(number.cast_signed());
        format!(
            "{{\"date\":\"{}\",\"path\":\"loaded\",\"session\":\"{:032x}\"}}\n",
            date.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
            number % 100
        )
    };
    (0..ROWS).map(line).collect()
}

fn start_load(database: &str, path: &str) -> std::process::Child {
    Command::new(binary("djaffar"))
        .args(["load", "--database", database, path])
        .stdout(Stdio::piped())
        .spawn()
        .expect("djaffar can be started")
}

#[tokio::test]
async fn a_load_beside_serve_holds_nobody_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lines").display().to_string();
    fs::write(&path, lines()).expect("a file");
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let database = Database::of_serve(&serve.data_directory());
    let browsers = Load::start(&[serve.listen()], 4);
    browsers.progress(100).await;
    let mut load = start_load(&database.url(), &path);
    wait_until("the load to end", LIMIT, || {
        let ended = load.try_wait().expect("a child").is_some();
        async move { ended }
    })
    .await;
    assert!(load.wait().expect("the load").success());
    browsers.progress(100).await;
    let retried = browsers.told_to_retry();
    let journal = browsers.finish().await;
    let accepted = journal.accepted() as u64;
    wait_until("everything to be stored", LIMIT, || async { database.count().await == ROWS + accepted })
        .await;
    database.assert_accounts().await;
    assert_eq!(retried, 0, "nobody was sent away");
    let log = serve.log();
    assert!(!log.contains("a batch is not stored yet"), "the writer never waited in vain: {log}");
    serve.stop(LIMIT).await;
}

#[tokio::test]
async fn a_load_and_a_writer_of_the_same_rows_store_each_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let database = PostgresDatabase::filled(&[]).await;
    let activities = rows::activities();
    let source = crate::database::SqliteFile::filled(&activities).await;
    let path = directory.path().join("lines").display().to_string();
    fs::write(&path, crate::database::dump(&source.url(), ["activity", "--format", "ndjson"]))
        .expect("a file");
    let mut store = database.store();
    let mut load = start_load(&database.url, &path);
    let mut rounds = 0;
    while load.try_wait().expect("a child").is_none() || rounds == 0 {
        store.store(&rows::batch(&activities)).await.expect("stored rows");
        rounds += 1;
    }
    assert!(load.wait().expect("the load").success());
    let rows = Database::Postgres(database.url.clone());
    assert_eq!(rows.count().await, activities.len() as u64);
    rows.assert_accounts().await;
}
