//! A database that takes nothing, or little, or the wrong thing (rows 14 and 21).

use std::net::SocketAddr;
use std::time::Duration;

use djaffar_tests::nats::NatsServer;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;
use djaffar_tests::small_disk::SmallDisk;
use djaffar_tests::tcp_proxy::{TcpProxy, Weather};
use djaffar_tests::wait_until;
use sqlx::{Connection as _, PgConnection};

use crate::PATIENCE;

const WRITERS_END: &str =
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'djaffar writer'";

/// Waits until every writer says so on `/readyz`.
async fn red(pipeline: &Pipeline, words: &str) {
    for writer in &pipeline.writers {
        let says = || async {
            let answer = writer.admin("/readyz").await;
            answer.is_some_and(|(status, body)| status == 503 && body.contains(words))
        };
        wait_until(&format!("a writer that says {words}"), PATIENCE, says).await;
    }
}

/// Breaks the database, waits for what the writers say, mends it: nothing is lost and nothing is dead.
async fn goes_wrong(
    test: &str,
    mut pipeline: Pipeline,
    words: &str,
    break_it: impl AsyncFnOnce(&Pipeline),
    mend_it: impl AsyncFnOnce(&Pipeline),
) {
    let load = pipeline.load(16);
    load.progress(200).await;
    break_it(&pipeline).await;
    red(&pipeline, words).await;
    // Log requests are accepted meanwhile.
    load.progress(200).await;
    mend_it(&pipeline).await;
    load.progress(200).await;
    let journal = load.finish().await;
    pipeline.conclude(test, 1, &journal).await;
    pipeline.wait_ready().await;
}

#[tokio::test]
async fn a_read_only_database_loses_nothing() {
    goes_wrong(
        "a_read_only_database_loses_nothing",
        Pipeline::running().await,
        "read-only",
        async |pipeline| {
            pipeline
                .database()
                .execute_each(&[
                    "alter system set default_transaction_read_only = on",
                    "select pg_reload_conf()",
                ])
                .await
        },
        async |pipeline| {
            pipeline
                .database()
                .execute_each(&[
                    "set default_transaction_read_only = off",
                    "alter system reset default_transaction_read_only",
                    "select pg_reload_conf()",
                ])
                .await
        },
    )
    .await;
}

#[tokio::test]
async fn a_column_that_goes_missing_halts_the_writers_until_it_is_back() {
    goes_wrong(
        "a_column_that_goes_missing_halts_the_writers_until_it_is_back",
        Pipeline::running().await,
        "referer",
        async |pipeline| {
            pipeline.database().sql("alter table activity rename column referer to referrer").await
        },
        async |pipeline| {
            pipeline.database().sql("alter table activity rename column referrer to referer").await
        },
    )
    .await;
}

#[tokio::test]
async fn a_database_without_a_free_connection_loses_nothing() {
    let connections_max = 12;
    let postgres = Postgres::new().with(&format!("max_connections={connections_max}"));
    let pipeline = Pipeline::of(NatsServer::new(), postgres).started().await;
    let url = pipeline.postgres.first_database();
    let hogs = std::cell::RefCell::new(Vec::new());
    goes_wrong(
        "a_database_without_a_free_connection_loses_nothing",
        pipeline,
        "too many clients already",
        async |_| {
            let mut first = PgConnection::connect(&url).await.expect("a free connection");
            // What the writers lose, they may win back before somebody else: only all of them are enough.
            while hogs.borrow().len() + 1 < connections_max {
                sqlx::query(WRITERS_END).execute(&mut first).await.expect("a superuser");
                while let Ok(hog) = PgConnection::connect(&url).await {
                    hogs.borrow_mut().push(hog);
                }
            }
            hogs.borrow_mut().push(first);
        },
        async |_| hogs.take().clear(),
    )
    .await;
}

#[tokio::test]
async fn a_full_disk_under_the_database_loses_nothing() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let mut pipeline = Pipeline::new();
    pipeline.postgres.restart().await;
    pipeline.postgres.put_tables_into(&disk.path().join("space")).await;
    pipeline.nats.start_ready().await;
    for process in pipeline.ingests.iter_mut().chain(&mut pipeline.writers) {
        process.start();
    }
    pipeline.wait_ready().await;
    goes_wrong(
        "a_full_disk_under_the_database_loses_nothing",
        pipeline,
        "No space left on device",
        async |_| disk.fill(),
        async |_| disk.relieve(),
    )
    .await;
}

#[tokio::test]
async fn a_slow_database_is_waited_for() {
    let test = "a_slow_database_is_waited_for";
    let mut pipeline = Pipeline::new();
    let address = SocketAddr::from(([127, 0, 0, 1], pipeline.postgres.port()));
    let proxy = TcpProxy::start(address).await;
    let url = pipeline.postgres.first_database().replace(&address.to_string(), &proxy.address().to_string());
    let writer = || Djaffar::writer(&pipeline.nats.url(), &url);
    pipeline.writers = vec![writer(), writer()];
    let mut pipeline = pipeline.started().await;
    let load = pipeline.load(16);
    load.progress(200).await;
    proxy.set(Weather::Slow(Duration::from_millis(200)));
    load.progress(1000).await;
    let journal = load.finish().await;
    let figures = pipeline.conclude(test, 1, &journal).await;
    assert_eq!(figures.duplicate, 0, "slow is not lost: {figures:?}");
    pipeline.wait_ready().await;
}
