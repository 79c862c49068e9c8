//! A full queue says so and drains; a database that is away costs nothing.

use std::time::Duration;

use djaffar_tests::client::Load;
use djaffar_tests::database::Database;
use djaffar_tests::process::Djaffar;
use djaffar_tests::wait_until;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use crate::assert_exact;
use djaffar_tests::pipeline::{Pipeline, SECRET_KEY};

const FULL_LIMIT: Duration = Duration::from_secs(120);

async fn wait_for_refusals(load: &Load) {
    wait_until("answers 503", FULL_LIMIT, || async { load.told_to_retry() > 20 }).await;
}

#[tokio::test]
async fn a_full_stream_answers_503_and_drains() {
    let mut pipeline = Pipeline::new();
    pipeline.nats.start_ready().await;
    let ingest = Djaffar::ingest(&pipeline.nats.url(), SECRET_KEY);
    pipeline.ingests = vec![ingest.with("--stream-bytes-max", "2MiB").with("--request-timeout", "1s")];
    pipeline.ingests[0].start_ready().await;
    let load = pipeline.load(32);
    wait_for_refusals(&load).await;
    pipeline.postgres.restart().await;
    pipeline.writers[0].start();
    load.progress(500).await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
}

#[tokio::test]
async fn a_full_embedded_queue_answers_503_and_drains() {
    let mut serve = Djaffar::serve().with("--embedded-queue-max", "2MiB").with("--request-timeout", "1s");
    serve.start_ready().await;
    let Database::Sqlite(path) = Database::of_serve(&serve.data_directory()) else { unreachable!() };
    let mut blocker = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path))
        .await
        .expect("the database can be opened");
    sqlx::query("begin immediate").execute(&mut blocker).await.expect("the writer is locked out");
    let load = Load::start(&[serve.listen()], 32);
    wait_for_refusals(&load).await;
    sqlx::query("rollback").execute(&mut blocker).await.expect("the lock is released");
    load.progress(500).await;
    let journal = load.finish().await;
    assert_exact(&serve, &journal).await;
}

#[tokio::test]
async fn a_database_outage_fills_the_stream_and_no_dead_letters() {
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    load.progress(100).await;
    pipeline.postgres.stop().await;
    load.progress(1000).await;
    assert!(pipeline.frames_queued().await > 0, "the stream holds what the database cannot take");
    for writer in &pipeline.writers {
        let red = || async { writer.admin("/readyz").await.is_some_and(|(status, _)| status == 503) };
        wait_until("a red writer", FULL_LIMIT, red).await;
    }
    pipeline.postgres.restart().await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
    pipeline.wait_ready().await;
}
