//! A pipeline in which everything happens that a panel shows.

use chrono::SubsecRound;
use djaffar_tests::batch::{Coding, batch_request};
use djaffar_tests::client::{exchange, log_request};
use djaffar_tests::journal::{Answer, Sent};
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::{START_LIMIT, wait_until};
use uuid::Uuid;

/// Goes on for as long as it lives.
pub(crate) async fn busy_pipeline() -> Pipeline {
    let mut pipeline = Pipeline::new().single();
    let directory = pipeline.ingests[0].data_directory();
    pipeline.ingests =
        pipeline.ingests.into_iter().map(|ingest| ingest.with("--spool-max", "64MiB")).collect();
    pipeline.ingests =
        pipeline.ingests.into_iter().map(|ingest| ingest.with("--data-dir", &directory)).collect();
    let mut pipeline = pipeline.started().await;
    let target = pipeline.ingests[0].listen();

    // One that waits in the spool, and is drained.
    pipeline.nats.kill();
    assert_eq!(log(target, &log_one()).await, 204);
    pipeline.nats.start_ready().await;
    pipeline.wait_ready().await;

    let twice = log_one();
    assert_eq!([log(target, &twice).await, log(target, &twice).await], [204, 204]);
    let without_date = log_request(Uuid::new_v4(), now(), "/", None);
    let without_date = String::from_utf8(without_date).expect("a request is UTF-8").replace("&date", "&data");
    assert_eq!(log(target, without_date.as_bytes()).await, 400);
    let items = ["/fine".to_owned(), String::new()].map(|path| Sent {
        id: Uuid::new_v4(),
        date: now(),
        path,
        session: None,
        answer: Answer::Unclear,
    });
    assert_eq!(log(target, &batch_request(&items, Coding::Identity, None)).await, 200);
    wait_until("everything to be stored", START_LIMIT, || async { pipeline.database().count().await == 3 })
        .await;
    pipeline
}

fn now() -> chrono::DateTime<chrono::Utc> {
    shared::time::now().trunc_subsecs(6)
}

fn log_one() -> Vec<u8> {
    log_request(Uuid::new_v4(), now(), "/page", None)
}

async fn log(target: std::net::SocketAddr, request: &[u8]) -> u16 {
    exchange(target, request).await.expect("ingest answers").status
}
