//! SIGTERM under load: nothing is lost, and no accepted request is reset.

use std::time::Duration;

use djaffar_tests::client::{Connection, Load};
use djaffar_tests::database::Database;
use djaffar_tests::process::Djaffar;
use djaffar_tests::{START_LIMIT, wait_until};
use rustix::process::Signal;

use crate::{STOP_LIMIT, assert_exact};
use djaffar_tests::pipeline::Pipeline;

const BODY: &str = "date=2016-12-29T07:35:22Z&path=/slow";

/// A request whose head the server has read, and whose body it waits for.
async fn half_sent_request(process: &Djaffar) -> Connection {
    let mut connection = Connection::open(process.listen()).await.expect("a connection");
    let head = format!(
        "POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    );
    connection.send(head.as_bytes()).await.expect("the head is sent");
    let response = connection.receive().await.expect("an interim answer");
    assert_eq!(response.status, 100, "{response:?}");
    connection
}

/// SIGTERM while a request is half sent: it is finished, then the process ends well.
async fn stops_after_the_request_in_flight(process: &mut Djaffar) {
    let mut connection = half_sent_request(process).await;
    process.signal(Signal::TERM);
    wait_until("a closed listener", START_LIMIT, || async {
        Connection::open(process.listen()).await.is_err()
    })
    .await;
    connection.send(BODY.as_bytes()).await.expect("the body is sent");
    let response = connection.receive().await.expect("an answer");
    assert_eq!(response.status, 204, "{response:?}");
    let status = process.ended(STOP_LIMIT).await;
    assert_eq!(status.code(), Some(0), "{}", process.log());
}

#[tokio::test]
async fn serve_finishes_the_request_in_flight_and_stores_it() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    stops_after_the_request_in_flight(&mut serve).await;
    let stored = Database::of_serve(&serve.data_directory()).activities().await;
    assert_eq!(stored.len(), 1, "the backlog is drained before the end");
}

#[tokio::test]
async fn serve_stopped_under_load_loses_nothing() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    for _ in 0..2 {
        load.progress(200).await;
        let status = serve.stop(STOP_LIMIT).await;
        assert_eq!(status.code(), Some(0), "{}", serve.log());
        serve.start();
    }
    load.progress(200).await;
    let journal = load.finish().await;
    assert_exact(&serve, &journal).await;
    let database = Database::of_serve(&serve.data_directory());
    assert_eq!(database.accounting().await.duplicate, 0, "a clean stop needs no second delivery");
}

#[tokio::test]
async fn ingest_finishes_the_request_in_flight_and_publishes_it() {
    let mut pipeline = Pipeline::running().await;
    stops_after_the_request_in_flight(&mut pipeline.ingests[0]).await;
    let database = pipeline.database();
    wait_until("the row", START_LIMIT, || async { database.count().await == 1 }).await;
}

#[tokio::test]
async fn ingests_and_writers_stopped_under_load_lose_nothing() {
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    for replica in [0, 1] {
        load.progress(200).await;
        let status = pipeline.ingests[replica].stop(STOP_LIMIT).await;
        assert_eq!(status.code(), Some(0), "{}", pipeline.ingests[replica].log());
        load.progress(200).await;
        let status = pipeline.writers[replica].stop(STOP_LIMIT).await;
        assert_eq!(status.code(), Some(0), "{}", pipeline.writers[replica].log());
        load.progress(200).await;
        pipeline.ingests[replica].start();
        pipeline.writers[replica].start();
    }
    load.progress(200).await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
}

/// Others would be given it only when the queue's `ack_wait` has passed: rows half a minute late at each upgrade.
#[tokio::test]
async fn a_writer_stopped_under_load_leaves_no_frame_unsettled() {
    let mut pipeline = Pipeline::new().single().started().await;
    let (load, queue) = (pipeline.load(16), pipeline.queue());
    for _ in 0..8 {
        load.progress(100).await;
        let status = pipeline.writers[0].stop(STOP_LIMIT).await;
        assert_eq!(status.code(), Some(0), "{}", pipeline.writers[0].log());
        let settled = || async { queue.frames_given().await == Some(0) };
        wait_until("nothing to be with a writer that is gone", Duration::from_secs(5), settled).await;
        pipeline.writers[0].start_ready().await;
    }
    let journal = load.finish().await;
    let figures = pipeline.assert_exact(&journal).await;
    assert_eq!(figures.duplicate, 0, "{figures:?}");
}
