//! Whatever a client sends: the right status, an error that echoes nothing, nothing stored, and
//! a server that goes on serving. Over a real socket, byte for byte.

mod batch;
mod batch_items;
mod client;
mod compression;
mod connections;
mod fields;
mod framing;
mod rate_limits;
mod routes;
mod server;
mod unavailable;
mod unread;

use client::Answer;
use djaffar_tests::openapi::OpenApi;
use server::Server;

/// Stands in every bad input and must never come back.
const SENTINEL: &str = "S3NT1NEL";

fn post(content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post_with(&format!("Content-Type: {content_type}\r\n"), body)
}

/// `headers` are whole lines.
fn post_with(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post_to("/djaffar/log/", headers, body)
}

fn post_to(path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: example.com\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn form(body: &str) -> Vec<u8> {
    post("application/x-www-form-urlencoded", body)
}

fn json(body: &str) -> Vec<u8> {
    post("application/json", body)
}

/// Sends a request that must be refused with `status`.
async fn refused(server: &Server, what: &str, request: impl AsRef<[u8]>, status: u16) -> Answer {
    let mut client = server.client().await;
    client.send(request.as_ref()).await;
    let answer = client.try_answer().await.unwrap_or_else(|| panic!("{what}: no answer"));
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_described(what, request.as_ref(), &answer);
    assert_harmless(what, &answer);
    assert!(server.stored().await.is_empty(), "{what} was stored");
    if answer.closes() {
        client.closed().await;
        client = server.client().await;
    }
    server.serves(&mut client).await;
    answer
}

/// The error is JSON of the promised shape and tells nothing.
fn assert_harmless(what: &str, answer: &Answer) {
    let whole = format!("{}{}", answer.head, answer.body).to_lowercase();
    assert!(!whole.contains(&SENTINEL.to_lowercase()), "{what} echoes input: {answer:?}");
    assert_eq!(answer.header("set-cookie"), None, "{what} sets a cookie");
    assert_eq!(answer.header("server"), None, "{what} names the server");
    // What is no HTTP at all is refused before there is anybody to word an answer.
    if answer.body.is_empty() {
        assert!(matches!(answer.status, 400 | 414 | 431), "{what}: {answer:?}");
        return;
    }
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let keys: Vec<_> = body.as_object().expect("an object").keys().collect();
    let is_known = keys == ["errors"] || keys == ["detail"] || keys == ["accepted", "rejected"];
    assert!(is_known, "{what}: {body}");
}

/// `ingest/openapi.yaml` knows the answer, unless the request names no route, or is no HTTP.
fn assert_described(what: &str, request: &[u8], answer: &Answer) {
    let line =
        String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return;
    };
    // Refused before there is anybody to word an answer.
    if answer.body.is_empty() && matches!(answer.status, 400 | 414 | 431) {
        return;
    }
    let header = |name: &str| answer.header(name).map(str::to_owned);
    if let Err(undescribed) = OpenApi::read().describe(method, target, answer.status, header) {
        panic!("{what}: {undescribed}");
    }
}

/// Sends a request that must be accepted; returns what was stored.
async fn accepted(server: &Server, what: &str, request: impl AsRef<[u8]>) -> shared::event::Activity {
    let mut client = server.client().await;
    client.send(request.as_ref()).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 204, "{what}: {answer:?}");
    assert_described(what, request.as_ref(), &answer);
    let mut stored = server.stored().await;
    assert_eq!(stored.len(), 1, "{what}");
    stored.remove(0)
}
