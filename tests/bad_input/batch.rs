//! Batches that are refused whole, and what every batch is held to.

use std::time::Duration;

use djaffar_tests::wait_until;
use shared::queue::PublishError;

use super::{SENTINEL, assert_described, assert_harmless, post_to, refused};
use crate::client::Answer;
use crate::server::Server;

const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const JSON: &str = "application/json";
pub(crate) const LINES: &str = "application/x-ndjson";
pub(crate) const PLAIN: &str = "text/plain;charset=UTF-8";

pub(crate) fn batch(content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    batch_with(content_type, "", body)
}

/// `headers` are whole lines.
pub(crate) fn batch_with(content_type: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post_to("/djaffar/batch/", &format!("Content-Type: {content_type}\r\n{headers}"), body)
}

pub(crate) fn item(path: &str) -> String {
    format!(r#"{{"date": "2016-12-29T07:35:22.571Z", "path": "{path}"}}"#)
}

pub(crate) fn lines(count: usize) -> String {
    (0..count).map(|number| item(&number.to_string()) + "\n").collect()
}

pub(crate) async fn ask(server: &Server, request: impl AsRef<[u8]>) -> Answer {
    let mut client = server.client().await;
    client.send(request.as_ref()).await;
    let answer = client.answer().await;
    assert_described("a batch", request.as_ref(), &answer);
    answer
}

/// Sends a batch of which something must be accepted; returns the answer's body and what was stored.
pub(crate) async fn accepted(
    server: &Server,
    what: &str,
    request: impl AsRef<[u8]>,
) -> (serde_json::Value, Vec<shared::event::Activity>) {
    let answer = ask(server, request).await;
    assert_eq!(answer.status, 200, "{what}: {answer:?}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let stored = server.stored().await;
    assert_eq!(body["accepted"], stored.len(), "{what}");
    (body, stored)
}

#[tokio::test]
async fn batches_that_cannot_be_read() {
    let server = Server::start().await;
    let good = item("x");
    let bodies: [(&str, &str, Vec<u8>); 11] = [
        ("an empty body", JSON, b"".to_vec()),
        ("an empty list", JSON, b" [] ".to_vec()),
        ("no lines", LINES, b"".to_vec()),
        ("blank lines", LINES, b"\n\r\n \n".to_vec()),
        ("an empty beacon", PLAIN, b"".to_vec()),
        ("an object", JSON, good.clone().into_bytes()),
        ("a text", JSON, format!("\"{SENTINEL}\"").into_bytes()),
        ("a cut list", JSON, format!("[{good}, {{\"{SENTINEL}").into_bytes()),
        ("a list with a bad item", JSON, format!("[{good}, {SENTINEL}]").into_bytes()),
        ("bytes behind the list", JSON, format!("[{good}] {SENTINEL}").into_bytes()),
        ("invalid UTF-8 in a list", JSON, [b"[\"".as_slice(), b"\xff", b"\"]"].concat()),
    ];
    for (what, content_type, body) in bodies {
        let answer = refused(&server, what, batch(content_type, body), 400).await;
        assert!(answer.body.starts_with(r#"{"detail":"#), "{what}: {}", answer.body);
    }
    for content_type in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", SENTINEL] {
        refused(&server, content_type, batch(content_type, &good), 415).await;
    }
}

#[tokio::test]
async fn batches_that_are_too_large() {
    let server = Server::start().await;
    let (body, stored) = accepted(&server, "1,000 items", batch(LINES, lines(1000))).await;
    assert_eq!((body["accepted"].as_u64(), stored.len()), (Some(1000), 1000));
    refused(&server, "1,001 lines", batch(LINES, lines(1001)), 413).await;
    let array = format!("[{}]", vec![item(SENTINEL); 1001].join(","));
    refused(&server, "a list of 1,001", batch(JSON, array), 413).await;
    let blank = lines(900) + &"\n".repeat(200_000);
    accepted(&server, "blank lines do not count", batch(LINES, blank)).await;
    let large = lines(500) + &" ".repeat(1024 * 1024);
    refused(&server, "declared", batch(LINES, &large), 413).await;
    let declared = "POST /djaffar/batch/ HTTP/1.1\r\nHost: example.com\r\n\
        Content-Type: application/x-ndjson\r\nContent-Length: 1048577\r\n\r\n";
    refused(&server, "declared and not sent", declared, 413).await;
    let mut streamed = declared.replace("Content-Length: 1048577", "Transfer-Encoding: chunked").into_bytes();
    for chunk in large.as_bytes().chunks(50_000) {
        streamed.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        streamed.extend(chunk);
        streamed.extend(b"\r\n");
    }
    streamed.extend(b"0\r\n\r\n");
    refused(&server, "streamed", streamed, 413).await;
    let largest = lines(500);
    let largest = format!("{largest}{}", " ".repeat(1024 * 1024 - largest.len()));
    accepted(&server, "as large as may be", batch(LINES, largest)).await;
}

#[tokio::test]
async fn a_batch_that_breaks_off_leaves_nothing() {
    let server = Server::start().await;
    let request = batch(LINES, lines(1000));
    for part in [request.len() / 2, request.len() - 1] {
        let mut client = server.client().await;
        client.send(&request[..part]).await;
    }
    wait_until("the bodies to be given up", LIMIT, || async {
        server.telemetry.snapshot().rejected.get("body_broken") == Some(&2)
    })
    .await;
    assert!(server.stored().await.is_empty());
    server.serves(&mut server.client().await).await;
}

#[tokio::test]
async fn a_batch_that_the_queue_does_not_take_is_503_as_a_whole_and_can_be_retried() {
    let server = Server::start().await;
    let body = lines(3) + SENTINEL;
    for error in [
        PublishError::Full { reason: SENTINEL.to_owned() },
        PublishError::Unknown { reason: SENTINEL.to_owned() },
    ] {
        server.queue.refuse(Some(error));
        let answer = ask(&server, batch(LINES, &body)).await;
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some());
        assert_harmless("a batch without a queue", &answer);
        server.queue.refuse(None);
        assert!(server.stored().await.is_empty());
        accepted(&server, "a retry", batch(LINES, &body)).await;
    }
}

#[tokio::test]
async fn more_than_a_frame_holds_has_one_answer() {
    let server = Server::start().await;
    let long = "é".repeat(300);
    let body: String = (0..1000).map(|number| item(&format!("{number}/{long}")) + "\n").collect();
    let answer = ask(&server, batch(LINES, body)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"accepted":1000,"rejected":[]}"#));
    let stored = server.stored_by_frame().await;
    assert!(stored.len() > 1, "{} frames", stored.len());
    assert_eq!(stored.iter().map(Vec::len).sum::<usize>(), 1000);
}

#[tokio::test]
async fn methods_slashes_and_origins_are_as_for_one_activity() {
    let server = Server::start_with(|config| {
        config.allowed_origins = "https://shop.example.com".parse().expect("an origin");
    })
    .await;
    let request = String::from_utf8(batch(LINES, item("x"))).expect("text");
    accepted(&server, "no slash", request.replace("/batch/", "/batch")).await;
    for method in ["GET", "PUT", "DELETE"] {
        let request = request.replace("POST ", &format!("{method} "));
        let answer = refused(&server, method, request, 405).await;
        assert_eq!(answer.header("allow"), Some("post, options"));
    }
    let answer = ask(&server, "OPTIONS /djaffar/batch/ HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("allow")), (204, Some("post, options")));
    let allowed = request.replace("Host:", "Origin: https://shop.example.com\r\nHost:");
    let mut client = server.client().await;
    client.send(allowed).await;
    let answer = client.answer().await;
    assert_eq!(
        answer.header("access-control-expose-headers"),
        Some("djaffar-identity, retry-after, x-request-id")
    );
    let cookie = client.last_header("set-cookie").expect("a cookie").split(';').next().expect("a value");
    assert_eq!(server.stored().await.len(), 1);
    let foreign =
        request.replace("Host:", &format!("Cookie: {cookie}\r\nOrigin: https://evil.example\r\nHost:"));
    refused(&server, "a foreign page", foreign, 403).await;
}
