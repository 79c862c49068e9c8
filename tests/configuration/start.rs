//! How a process begins and ends, and what waits for whom.

use std::time::Duration;

use djaffar_tests::process::Djaffar;
use djaffar_tests::{START_LIMIT, free_port, wait_for};
use rustix::process::Signal;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The public listener's answer; waits until it is open.
async fn answer(djaffar: &Djaffar, method: reqwest::Method, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", djaffar.listen());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let body = "date=2016-12-29T07:35:22.571Z&path=users/me/cart/";
    wait_for("the listener to open", START_LIMIT, || {
        let request = client
            .request(method.clone(), &url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        async move {
            let response = request.send().await.ok()?;
            Some((response.status().as_u16(), response.text().await.ok()?))
        }
    })
    .await
}

/// Waits until `/readyz` is 503 for this reason.
pub(crate) async fn wait_for_reason(djaffar: &Djaffar, part: &str) {
    wait_for(&format!("/readyz to name `{part}`"), START_LIMIT, || async {
        let (status, body) = djaffar.admin("/readyz").await?;
        (status == 503 && body.contains(part)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn serve_takes_requests_while_its_database_is_away() {
    let database = format!("postgres://user@127.0.0.1:{}/name", free_port());
    let mut serve = Djaffar::serve().with("--database", database);
    serve.start();
    assert_eq!(answer(&serve, reqwest::Method::POST, "/djaffar/log/").await.0, 204);
    wait_for_reason(&serve, "store").await;
    let status = serve.stop(Duration::from_secs(15)).await;
    assert_eq!(status.code(), Some(0), "the frame stays in the queue on disk: {}", serve.log());
}

#[tokio::test]
async fn ingest_opens_and_answers_503_while_nats_is_away() {
    let queue = format!("nats://127.0.0.1:{}", free_port());
    let mut ingest = Djaffar::ingest(&queue, KEY).with("--request-timeout", "300ms");
    ingest.start();
    assert_eq!(answer(&ingest, reqwest::Method::POST, "/djaffar/log/").await.0, 503);
    wait_for_reason(&ingest, "queue").await;
    assert_eq!(ingest.stop(Duration::from_secs(15)).await.code(), Some(0), "{}", ingest.log());
}

#[tokio::test]
async fn a_writer_waits_for_nats() {
    let queue = format!("nats://127.0.0.1:{}", free_port());
    let database = format!("postgres://user@127.0.0.1:{}/name", free_port());
    let mut writer = Djaffar::writer(&queue, &database);
    writer.start();
    wait_for_reason(&writer, "queue").await;
    assert_eq!(writer.stop(Duration::from_secs(15)).await.code(), Some(0), "{}", writer.log());
}

#[tokio::test]
async fn admin_pages_are_not_public() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    for page in ["/livez", "/readyz", "/metrics", "/status"] {
        assert_eq!(answer(&serve, reqwest::Method::GET, page).await.0, 404, "{page}");
        assert_eq!(serve.admin(page).await.expect("an answer").0, 200, "{page}");
    }
    assert_eq!(serve.admin("/djaffar/log/").await.expect("an answer").0, 404);
}

#[tokio::test]
async fn a_signal_drains_and_ends_well_and_the_key_stays() {
    let mut serve = Djaffar::serve();
    for signal in [Signal::TERM, Signal::INT] {
        serve.start_ready().await;
        assert_eq!(answer(&serve, reqwest::Method::POST, "/djaffar/log/").await.0, 204);
        serve.signal(signal);
        let status = serve.ended(Duration::from_secs(15)).await;
        assert_eq!(status.code(), Some(0), "{}", serve.log());
    }
    let log = serve.log();
    assert!(log.contains("/djaffar/log/") && log.contains("curl ") && log.contains("SQLite"), "{log}");
    let dump =
        djaffar_tests::process::djaffar_prints(["dump", "activity", "--data-dir", &serve.data_directory()]);
    assert_eq!(dump.matches("\"pk\"").count(), 2, "{dump}");
}

#[tokio::test]
async fn a_second_ctrl_c_ends_at_once() {
    let database = format!("postgres://user@127.0.0.1:{}/name", free_port());
    let mut serve = Djaffar::serve().with("--database", database).with("--stop-timeout", "60s");
    serve.start();
    assert_eq!(answer(&serve, reqwest::Method::POST, "/djaffar/log/").await.0, 204);
    serve.signal(Signal::INT);
    wait_for_reason(&serve, "stopping").await;
    serve.signal(Signal::INT);
    assert_eq!(serve.ended(Duration::from_secs(15)).await.code(), Some(1), "{}", serve.log());
    assert!(serve.log().contains("stopped at once"), "{}", serve.log());
}
