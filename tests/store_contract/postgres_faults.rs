//! Postgres dies, freezes or hangs up, and writers get in each other's way: every row counts once.

use std::time::{Duration, Instant};

use djaffar_tests::postgres::Postgres;
use djaffar_tests::{START_LIMIT, wait_until};
use rand::seq::SliceRandom;
use shared::lifecycle::spawn_owned;
use shared::store::{Batch, Redelivered, Store, StoreErrorKind};
use sqlx::{AssertSqlSafe, Connection};
use writer::store::contract::{activity, batch, instant, with_infos};
use writer::store::postgres::PostgresStore;

use crate::fixture::{PostgresFixture, connect, count, postgres_store, postgres_store_within, sql};

const ROWS: &str = "select count(*) from activity";
const WAITING: &str = "select count(*) from pg_stat_activity
    where application_name = 'djaffar writer' and wait_event_type = 'Lock'";
const BACKEND: &str =
    "select coalesce(max(pid), 0)::bigint from pg_stat_activity where application_name = 'djaffar writer'";

fn numbers(from: u32, to: u32) -> Batch {
    with_infos(batch((from..to).map(activity)))
}

/// As the writer does: what may pass is tried again.
async fn store_at_last(store: &mut PostgresStore, batch: &Batch) -> u64 {
    let started = Instant::now();
    loop {
        match store.store(batch).await {
            Ok(report) => return report.stored,
            Err(error) => {
                assert!(matches!(error.kind, StoreErrorKind::Transient | StoreErrorKind::Timeout), "{error}");
                assert!(started.elapsed() < START_LIMIT, "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Frames that two writers may hold at once after a redelivery.
fn some_frames() -> Batch {
    let mut frames: Vec<u32> = (0..12).collect();
    frames.shuffle(&mut rand::rng());
    let numbers = frames[..8].iter().flat_map(|frame| frame * 64..(frame + 1) * 64);
    with_infos(batch(numbers.map(activity)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_the_same_frames_never_deadlock() {
    let fixture = PostgresFixture::new().await;
    postgres_store(&fixture.url, "first").maintain(instant(0)).await.expect("the schema");
    for round in 0..15 {
        let writers = (0..4).map(|writer| {
            let url = fixture.url.clone();
            async move {
                let mut store = postgres_store(&url, &writer.to_string());
                let mut batch = some_frames();
                batch.redelivered = if writer == 3 { Redelivered::Yes } else { Redelivered::No };
                store.store(&batch).await.expect("nobody is in the way").stored
            }
        });
        let writers: Vec<_> = writers.map(spawn_owned).collect();
        let mut stored = 0;
        for writer in writers {
            stored += writer.join().await.expect("no panic");
        }
        assert_eq!(fixture.count(ROWS).await.cast_unsigned(), stored, "round {round}");
        fixture.sql("truncate activity, session_info").await;
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(fixture.count(deadlocks).await, 0);
}

/// Whoever sorts as the writers do never deadlocks with them; somebody else may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_transient_and_the_retry_stores_the_batch() {
    let mut server = Postgres::new().with("deadlock_timeout=2s");
    server.restart().await;
    let url = server.database().await;
    let mut store = postgres_store(&url, "writer");
    store.maintain(instant(0)).await.expect("the schema");
    assert_eq!(store_at_last(&mut store, &numbers(0, 100)).await, 100);
    let insert = |number: u32| {
        let row = activity(number);
        format!(
            "insert into activity (id, date, received_at, path, referer) values ('{}', '{}', now(), 'x', '')",
            row.id.0,
            row.date.instant().to_rfc3339()
        )
    };
    let mut other = connect(&url).await;
    // Longer than the writer's, so that the writer is the one that gives way.
    sqlx::raw_sql("set deadlock_timeout = '60s'").execute(&mut other).await.expect("a superuser");
    let mut transaction = other.begin().await.expect("a transaction");
    sqlx::raw_sql(AssertSqlSafe(insert(300))).execute(&mut *transaction).await.expect("a key is held");
    let storing = spawn_owned(async move {
        let first = store.store(&numbers(200, 400)).await;
        (first, store)
    });
    wait_until("the writer to wait", START_LIMIT, async || count(&url, WAITING).await == 1).await;
    sqlx::raw_sql(AssertSqlSafe(insert(250))).execute(&mut *transaction).await.expect("the writer gives way");
    transaction.rollback().await.expect("a rollback");
    let (first, mut store) = storing.join().await.expect("no panic");
    let error = first.expect_err("a deadlock");
    assert_eq!(
        (error.kind, error.sqlstate.as_deref()),
        (StoreErrorKind::Transient, Some("40P01")),
        "{error}"
    );
    assert_eq!(store_at_last(&mut store, &numbers(200, 400)).await, 200);
    assert_eq!(count(&url, ROWS).await, 300);
}

/// Kills Postgres while the store waits for a lock that `blocker` holds.
async fn killed_while_waiting(blocker: &'static str) {
    let mut server = Postgres::start().await;
    let url = server.database().await;
    let mut store = postgres_store(&url, "writer");
    store.maintain(instant(0)).await.expect("the schema");
    assert_eq!(store_at_last(&mut store, &numbers(0, 100)).await, 100);
    let mut holder = connect(&url).await;
    let mut transaction = holder.begin().await.expect("a transaction");
    sqlx::raw_sql(blocker).execute(&mut *transaction).await.expect("the lock is held");

    let batch = numbers(50, 1000);
    let storing = spawn_owned(async move {
        let first = store.store(&batch).await;
        (first, store_at_last(&mut store, &batch).await)
    });
    wait_until("the writer to wait", START_LIMIT, async || count(&url, WAITING).await == 1).await;
    server.kill();
    server.restart().await;
    let (first, stored) = storing.join().await.expect("no panic");
    assert_eq!(first.expect_err("killed").kind, StoreErrorKind::Transient);
    assert_eq!(stored, 900);
    assert_eq!(count(&url, ROWS).await, 1000);
    assert_eq!(count(&url, "select sum(stored)::bigint from accounting").await, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed_in_the_middle_of_a_copy_leaves_nothing_of_it() {
    // The key of number 999, not committed: whoever copies it waits.
    killed_while_waiting(
        "insert into activity (id, date, received_at, path, referer)
         values ('00000000-0000-0000-0000-0000000003e8', '2026-11-20 12:00:00.999+00', now(), 'x', '')",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed_before_the_commit_leaves_nothing_of_it() {
    killed_while_waiting("select from accounting for update").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed_under_load_loses_and_doubles_nothing() {
    const BATCHES: u32 = 150;
    let mut server = Postgres::start().await;
    let url = server.database().await;
    postgres_store(&url, "first").maintain(instant(0)).await.expect("the schema");
    let writers: Vec<_> = (0..2)
        .map(|writer: u32| {
            let mut store = postgres_store(&url, &writer.to_string());
            spawn_owned(async move {
                for number in 0..BATCHES {
                    // The second one repeats half of the first one's rows.
                    let from = number * 400 + writer * 200;
                    store_at_last(&mut store, &numbers(from, from + 400)).await;
                }
            })
        })
        .collect();
    for kill in 1..=3 {
        let reached = i64::from(BATCHES) * 400 * kill / 5;
        wait_until("rows", START_LIMIT, async || count(&url, ROWS).await >= reached).await;
        server.kill();
        server.restart().await;
    }
    for writer in writers {
        writer.join().await.expect("no panic");
    }
    assert_eq!(count(&url, ROWS).await, i64::from(BATCHES) * 400 + 200);
    let open = "select count(*) from accounting where delivered <> stored + duplicate + dead + suppressed";
    assert_eq!(count(&url, open).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_a_timeout_and_its_connection_is_not_used_again() {
    const DEADLINE: Duration = Duration::from_secs(1);
    let server = Postgres::start().await;
    let url = server.database().await;
    // Making it may take longer than the deadline of this test.
    postgres_store(&url, "migration").maintain(instant(0)).await.expect("the schema");
    let mut store = postgres_store_within(&url, "writer", DEADLINE);
    assert_eq!(store_at_last(&mut store, &numbers(0, 100)).await, 100);
    let backend = count(&url, BACKEND).await;

    server.freeze();
    // On the open connection, then on a new one, which nobody greets.
    for _ in 0..2 {
        let started = Instant::now();
        let error = store.store(&numbers(100, 200)).await.expect_err("nobody answers");
        assert_eq!(error.kind, StoreErrorKind::Timeout);
        assert!(started.elapsed() < DEADLINE * 4, "{:?}", started.elapsed());
    }
    server.thaw();
    assert_eq!(store_at_last(&mut store, &numbers(100, 200)).await, 100);
    assert_eq!(count(&url, ROWS).await, 200);
    let gone = format!("select count(*) from pg_stat_activity where pid = {backend}");
    wait_until("the abandoned backend to end", START_LIMIT, async || count(&url, &gone).await == 0).await;
}

#[tokio::test]
async fn a_terminated_connection_is_replaced() {
    let fixture = PostgresFixture::new().await;
    let mut store = postgres_store(&fixture.url, "writer");
    store.maintain(instant(0)).await.expect("the schema");
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'djaffar writer' and datname = current_database()";
    sql(&fixture.url, terminate).await;
    let error = store.store(&numbers(0, 10)).await.expect_err("hung up");
    assert_eq!(error.kind, StoreErrorKind::Transient);
    assert_eq!(store.store(&numbers(0, 10)).await.expect("connected again").stored, 10);
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let url = format!("postgres://postgres@127.0.0.1:{}/nowhere", djaffar_tests::free_port());
    let mut store = postgres_store(&url, "writer");
    assert_eq!(store.maintain(instant(0)).await.expect_err("refused").kind, StoreErrorKind::Transient);
    assert_eq!(store.store(&numbers(0, 1)).await.expect_err("refused").kind, StoreErrorKind::Transient);
}
