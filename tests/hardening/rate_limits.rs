//! 429 from the shipped program: nothing is stored, and the same request counts once later.

use djaffar_tests::client::exchange;
use djaffar_tests::database::Database;
use djaffar_tests::process::Djaffar;
use djaffar_tests::wait_until;
use uuid::Uuid;

use crate::{LIMIT, form, from};

async fn send(serve: &Djaffar, id: Uuid) -> u16 {
    let body = format!("id={id}&date=2026-11-25T10:00:00Z&path=x");
    let response = exchange(serve.listen(), &form(&from("198.51.100.1"), &body)).await.expect("an answer");
    let retry_after = response.header("retry-after").map(str::parse::<u64>);
    assert_eq!(response.status == 429, retry_after.is_some_and(|seconds| seconds.is_ok()), "{response:?}");
    response.status
}

#[tokio::test]
async fn what_was_refused_is_not_stored_and_counts_once_when_it_is_retried() {
    let mut serve = Djaffar::serve()
        .with("--trusted-proxies", "127.0.0.1")
        .with("--rate-limit-per-ip", "1/s,burst=2")
        .with_variable("DJAFFAR_RATE_LIMIT_PER_SESSION", "100/h");
    serve.start_ready().await;
    let database = Database::of_serve(&serve.data_directory());
    let mut accepted = 0;
    // A slow machine takes longer than the second that one more is waited for.
    let refused = loop {
        let id = Uuid::new_v4();
        match send(&serve, id).await {
            204 => accepted += 1,
            429 => break id,
            status => panic!("{status}"),
        }
        assert!(accepted < 1000, "nothing is ever refused");
    };
    assert!(accepted >= 2, "the burst");
    wait_until("the rows", LIMIT, || async { database.count().await == accepted }).await;
    let is_stored = |id: Uuid| {
        let database = &database;
        async move { database.activities().await.iter().filter(|stored| stored.id == id).count() }
    };
    assert_eq!(is_stored(refused).await, 0);
    for _ in 0..2 {
        wait_until("the retry to be accepted", LIMIT, || async { send(&serve, refused).await == 204 }).await;
    }
    wait_until("both retries to be accounted for", LIMIT, || async {
        database.accounting().await.duplicate == 1
    })
    .await;
    assert_eq!((is_stored(refused).await, database.count().await), (1, accepted + 1));
    let (_, metrics) = serve.admin("/metrics").await.expect("the admin listener answers");
    assert!(metrics.contains("djaffar_ingest_rejected_total{reason=\"rate_limited_ip\"}"), "{metrics}");
}
