//! The split pipeline: shared sessions, `kill -9` of each kind of process, any order of starts.

use chrono::DateTime;
use djaffar_tests::client::{exchange, log_request};
use djaffar_tests::process::djaffar_prints;
use djaffar_tests::{START_LIMIT, wait_until};
use rustix::process::Signal;
use uuid::Uuid;

use crate::fault_rounds;
use djaffar_tests::pipeline::Pipeline;

#[tokio::test]
async fn two_ingests_and_two_writers_store_each_log_request_once() {
    let pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    load.progress(1000).await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
    let dump = djaffar_prints([
        "dump",
        "activity",
        "--format",
        "ndjson",
        "--database",
        &pipeline.postgres.first_database(),
    ]);
    assert_eq!(dump.lines().count(), journal.accepted());
}

#[tokio::test]
async fn replicas_share_sessions_and_ids() {
    let pipeline = Pipeline::running().await;
    let request = |number, cookie| {
        let date = DateTime::from_timestamp(1_700_000_000, 0).expect("a date");
        log_request(Uuid::from_u128(number), date, "/shared", cookie)
    };
    let [first, second] = [&pipeline.ingests[0], &pipeline.ingests[1]];
    let response = exchange(first.listen(), &request(1, None)).await.expect("an answer");
    let cookie = response.cookie().expect("a session cookie").to_owned();
    // The second is a retry of the first at the other replica, the third a new log request.
    for number in [1, 2] {
        let response = exchange(second.listen(), &request(number, Some(&cookie))).await.expect("an answer");
        assert_eq!((response.status, response.cookie()), (204, None), "{response:?}");
    }
    let database = pipeline.database();
    wait_until("both rows", START_LIMIT, || async { database.count().await == 2 }).await;
    wait_until("the retry to be counted", START_LIMIT, || async {
        database.accounting().await.duplicate == 1
    })
    .await;
    let sessions = database.session_infos().await;
    assert_eq!(
        sessions,
        [(cookie.split('=').nth(1).expect("a value")[..32].to_owned(), "load/1.0".to_owned())]
    );
}

#[tokio::test]
async fn killed_processes_of_each_kind_find_their_way_back() {
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    for round in 0..fault_rounds() {
        let replica = round % 2;
        load.progress(rand::random_range(10..300)).await;
        pipeline.ingests[replica].kill();
        pipeline.ingests[replica].start();

        load.progress(rand::random_range(10..300)).await;
        pipeline.writers[replica].kill();
        pipeline.writers[replica].start();

        load.progress(rand::random_range(10..300)).await;
        pipeline.nats.kill();
        pipeline.nats.start();

        load.progress(rand::random_range(10..300)).await;
        pipeline.postgres.kill();
        // Log requests are accepted while the database is away.
        load.progress(100).await;
        pipeline.postgres.restart().await;
    }
    load.progress(100).await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
    pipeline.wait_ready().await;
}

#[tokio::test]
async fn a_frozen_writer_neither_holds_up_nor_doubles_a_row() {
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    load.progress(200).await;
    pipeline.writers[0].signal(Signal::STOP);
    load.progress(500).await;
    let journal = load.finish().await;
    // Without it: what it had pulled goes to the other writer.
    pipeline.assert_exact(&journal).await;
    pipeline.writers[0].signal(Signal::CONT);
    pipeline.wait_ready().await;
    pipeline.assert_exact(&journal).await;
}

#[tokio::test]
async fn a_frozen_broker_answers_503_in_time_and_loses_nothing() {
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    load.progress(200).await;
    pipeline.nats.signal(Signal::STOP);
    wait_until("answers 503", START_LIMIT, || async { load.told_to_retry() > 20 }).await;
    pipeline.nats.signal(Signal::CONT);
    load.progress(200).await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
    pipeline.wait_ready().await;
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Ingest,
    Writer,
    Nats,
    Postgres,
}

async fn starts_in_order(order: [Part; 4]) {
    let mut pipeline = Pipeline::new();
    for part in order {
        match part {
            Part::Nats => pipeline.nats.start_ready().await,
            Part::Postgres => pipeline.postgres.restart().await,
            Part::Ingest => start_alive(&mut pipeline.ingests).await,
            Part::Writer => start_alive(&mut pipeline.writers).await,
        }
    }
    pipeline.wait_ready().await;
    let load = pipeline.load(2);
    load.progress(20).await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
}

/// Alive, but what it needs may be away.
async fn start_alive(processes: &mut [djaffar_tests::process::Djaffar]) {
    for process in processes {
        process.start();
        wait_until("a live process", START_LIMIT, || async {
            process.admin("/livez").await.is_some_and(|(status, _)| status == 200)
        })
        .await;
    }
}

#[tokio::test]
async fn starts_with_the_writer_first() {
    starts_in_order([Part::Writer, Part::Ingest, Part::Postgres, Part::Nats]).await;
}

#[tokio::test]
async fn starts_with_the_ingest_first() {
    starts_in_order([Part::Ingest, Part::Nats, Part::Writer, Part::Postgres]).await;
}

#[tokio::test]
async fn starts_with_the_broker_first() {
    starts_in_order([Part::Nats, Part::Writer, Part::Postgres, Part::Ingest]).await;
}

#[tokio::test]
async fn starts_with_the_database_first() {
    starts_in_order([Part::Postgres, Part::Ingest, Part::Writer, Part::Nats]).await;
}
