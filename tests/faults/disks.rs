//! Disks that fill and disks that fail (rows 7, 15, 16, 17), on real system calls.

use std::path::Path;
use std::time::Duration;

use djaffar_tests::checker::{Queue, judge, report};
use djaffar_tests::client::{Load, exchange, log_request};
use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;
use djaffar_tests::rounds::{Dice, fault_rounds};
use djaffar_tests::small_disk::SmallDisk;
use djaffar_tests::strace::{Strace, Target, threads};
use djaffar_tests::wait_until;
use uuid::Uuid;

use crate::{PATIENCE, conclude_serve};

async fn full(load: &Load) {
    let told = load.told_to_retry();
    wait_until("answers 503", PATIENCE, || async { load.told_to_retry() > told + 50 }).await;
}

/// DiscardNew comes first where `max_bytes` is smaller than the disk, and the real end of the disk where not.
async fn a_full_disk_under_the_broker(test: &str, stream_bytes_max: &str) {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let nats = NatsServer::with_store(disk.path(), "sync_interval: always, max_file_store: 1GB");
    let pipeline = Pipeline::of(nats, Postgres::new()).with("--stream-bytes-max", stream_bytes_max);
    let mut pipeline = pipeline.with_request_timeout("2s").started().await;
    let load = pipeline.load(32);
    load.progress(200).await;
    pipeline.postgres.stop().await;
    if stream_bytes_max == "100MiB" {
        disk.fill();
    }
    full(&load).await;
    // As an operator would: more room, and the broker again, whose stream is frozen until then.
    disk.resize(256);
    pipeline.nats.stop().await;
    pipeline.nats.start_ready().await;
    pipeline.postgres.restart().await;
    load.progress(200).await;
    let journal = load.finish().await;
    assert!(journal.longest_answer < Duration::from_secs(10), "{:?}", journal.longest_answer);
    pipeline.conclude(test, 1, &journal).await;
    pipeline.wait_ready().await;
}

#[tokio::test]
async fn a_broker_at_max_bytes_loses_nothing() {
    a_full_disk_under_the_broker("a_broker_at_max_bytes_loses_nothing", "2MiB").await;
}

#[tokio::test]
async fn a_broker_whose_disk_is_full_loses_nothing() {
    a_full_disk_under_the_broker("a_broker_whose_disk_is_full_loses_nothing", "100MiB").await;
}

/// A power failure of the broker cannot be made here; that it syncs before each ack can be seen.
#[tokio::test]
async fn the_broker_syncs_before_it_acks() {
    let mut pipeline = Pipeline::new().single();
    pipeline.nats.start_ready().await;
    pipeline.ingests[0].start_ready().await;
    let strace =
        Strace::follow(&Target::Process(pipeline.nats.id().expect("started")), "fsync,fdatasync").await;
    syncs_each(&pipeline.ingests[0], &strace, 20).await;
    strace.detach().await;
}

#[tokio::test]
async fn serve_syncs_before_it_answers() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let strace = Strace::follow(&threads(serve.id().expect("started"), "queue-commit"), "fdatasync").await;
    syncs_each(&serve, &strace, 20).await;
    strace.detach().await;
}

/// Requests one after the other: each has at least one sync of its own.
async fn syncs_each(process: &Djaffar, strace: &Strace, requests: usize) {
    let syncs = || {
        strace.calls().lines().filter(|line| line.contains("sync(") || line.contains("sync resumed")).count()
    };
    for _ in 0..requests {
        let before = syncs();
        let request = log_request(Uuid::new_v4(), shared::time::now(), "/synced", None);
        let response = exchange(process.listen(), &request).await.expect("an answer");
        assert_eq!(response.status, 204, "{response:?}");
        assert!(syncs() > before, "answered without a sync: {}", strace.calls());
    }
}

/// `serve` under load, whose queue's thread meets the fault at a random call: it exits, and whatever
/// was answered is there after the next start.
async fn the_queue_meets(test: &str, call: &str, error: &str) {
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(2));
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    for _ in 0..rounds {
        load.progress(100).await;
        let commits = threads(serve.id().expect("started"), "queue-commit");
        let when = dice.number(1..40);
        let strace = Strace::inject(&commits, &format!("{call}:error={error}:when={when}")).await;
        let status = serve.ended(PATIENCE).await;
        assert_eq!(status.code(), Some(1), "{}", serve.log());
        assert!(serve.log().contains("the disk of the embedded queue has failed"), "{}", serve.log());
        drop(strace);
        serve.start_ready().await;
    }
    load.progress(100).await;
    let journal = load.finish().await;
    conclude_serve(test, rounds, &serve, &journal).await;
}

#[tokio::test]
async fn a_failed_write_of_the_queue_ends_the_process_and_loses_nothing() {
    the_queue_meets("a_failed_write_of_the_queue_ends_the_process_and_loses_nothing", "pwritev", "EIO").await;
}

#[tokio::test]
async fn a_write_without_space_ends_the_process_and_loses_nothing() {
    the_queue_meets("a_write_without_space_ends_the_process_and_loses_nothing", "pwritev", "ENOSPC").await;
}

#[tokio::test]
async fn a_failed_sync_of_the_queue_ends_the_process_and_loses_nothing() {
    the_queue_meets("a_failed_sync_of_the_queue_ends_the_process_and_loses_nothing", "fdatasync", "EIO")
        .await;
}

/// The database's own thread meets it: a failed transaction, which is tried again.
#[tokio::test]
async fn a_failing_disk_under_sqlite_is_retried() {
    let test = "a_failing_disk_under_sqlite_is_retried";
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    let faults = ["fdatasync:error=EIO", "pwrite64:error=EIO", "pwrite64:error=ENOSPC"];
    for fault in faults {
        load.progress(100).await;
        let sqlite = threads(serve.id().expect("started"), "sqlx-sqlite");
        let strace = Strace::inject(&sqlite, &format!("{fault}:when=1..3")).await;
        load.progress(100).await;
        strace.detach().await;
    }
    let journal = load.finish().await;
    conclude_serve(test, faults.len(), &serve, &journal).await;
}

/// `serve` on a disk that somebody fills: 503, and after the relief all goes on by itself.
async fn full_disk_under_serve(test: &str, database: Option<&Path>) {
    let Some(disk) = SmallDisk::mount(128) else { return };
    let data = disk.path().join("data");
    let mut serve = Djaffar::serve_in(&data).with("--embedded-queue-max", "4MiB");
    if let Some(path) = database {
        serve = serve.with("--database", format!("sqlite:{}", path.display()));
    }
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 32);
    load.progress(200).await;
    disk.fill();
    full(&load).await;
    disk.relieve();
    load.progress(200).await;
    let journal = load.finish().await;
    let sqlite = database.map_or_else(|| data.join("djaffar.sqlite3"), Path::to_owned);
    let queue = Queue::Embedded(serve.admin_url("/status"));
    let verdict = judge(&journal, &Database::Sqlite(sqlite.display().to_string()), &queue).await;
    report(test, 1, &verdict.assert_kept());
    assert!(serve.stop(Duration::from_secs(30)).await.success(), "{}", serve.log());
}

#[tokio::test]
async fn serve_on_a_full_disk_answers_503_and_loses_nothing() {
    full_disk_under_serve("serve_on_a_full_disk_answers_503_and_loses_nothing", None).await;
}

/// Rows go on being stored, so the queue has acks to write that find no room.
#[tokio::test]
async fn a_queue_on_a_full_disk_of_its_own_answers_503_and_loses_nothing() {
    let elsewhere = tempfile::tempdir().expect("a temporary directory can be made");
    let database = elsewhere.path().join("djaffar.sqlite3");
    full_disk_under_serve("a_queue_on_a_full_disk_of_its_own_answers_503_and_loses_nothing", Some(&database))
        .await;
}
