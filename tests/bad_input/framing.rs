//! Bodies and headers that break HTTP's own rules, or our limits.

use super::{SENTINEL, accepted, form, post, post_with, refused};
use crate::server::Server;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const BODY: &str = "date=2016-12-29T07:35:22Z&path=x";

fn head(headers: &str) -> String {
    format!("POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\n{FORM}{headers}\r\n")
}

fn chunked(body: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut request = head("Transfer-Encoding: chunked\r\n").into_bytes();
    for chunk in body.chunks(chunk_bytes) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

#[tokio::test]
async fn large_bodies() {
    let server = Server::start().await;
    let large = format!("{BODY}&other={}", "x".repeat(65_536));
    refused(&server, "declared", form(&large), 413).await;
    refused(&server, "declared and not sent", head("Content-Length: 1000000000\r\n"), 413).await;
    refused(&server, "streamed", chunked(large.as_bytes(), 1000), 413).await;
    let largest = format!("{BODY}&other=");
    let largest = format!("{largest}{}", "x".repeat(65_536 - largest.len()));
    accepted(&server, "as large as may be", form(&largest)).await;
}

#[tokio::test]
async fn chunked_bodies() {
    let server = Server::start().await;
    for chunk_bytes in [1, 7, 1000] {
        accepted(&server, "chunked", chunked(BODY.as_bytes(), chunk_bytes)).await;
    }
    let bad_size = head("Transfer-Encoding: chunked\r\n") + SENTINEL + "\r\nx\r\n0\r\n\r\n";
    refused(&server, "a bad chunk size", bad_size, 400).await;
    let overlong = head("Transfer-Encoding: chunked\r\n") + "fffffffffffffffff\r\nx\r\n0\r\n\r\n";
    refused(&server, "an overlong chunk size", overlong, 400).await;
    let no_end = head("Transfer-Encoding: chunked\r\n") + "2\r\nabcdef\r\n0\r\n\r\n";
    refused(&server, "a chunk without its end", no_end, 400).await;
}

#[tokio::test]
async fn contradictory_lengths() {
    let server = Server::start().await;
    for (what, headers) in [
        ("two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n"),
        ("a list of lengths", "Content-Length: 3, 4\r\n"),
        ("a negative length", "Content-Length: -1\r\n"),
        ("an overlong length", "Content-Length: 99999999999999999999999\r\n"),
        ("a signed length", "Content-Length: +3\r\n"),
        ("chunked is not the last coding", "Transfer-Encoding: chunked, gzip\r\n"),
        ("an unknown coding", "Transfer-Encoding: S3NT1NEL\r\n"),
    ] {
        refused(&server, what, head(headers) + "abc", 400).await;
    }
}

/// A proxy that counts by the length must not find our answer to a request that it has not seen.
#[tokio::test]
async fn nothing_is_smuggled_behind_a_chunked_body() {
    let server = Server::start().await;
    let smuggled = form("date=2016-12-29T07:35:22Z&path=smuggled");
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let mut request = head(lengths).into_bytes();
        request.extend(format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()).bytes());
        request.extend(&smuggled);
        let mut client = server.client().await;
        client.send(&request).await;
        let answer = client.answer().await;
        assert!(answer.closes(), "{answer:?}");
        assert!(client.try_answer().await.is_none(), "a second answer");
        let paths: Vec<_> =
            server.stored().await.into_iter().map(|activity| activity.path.into_string()).collect();
        assert_eq!(paths, ["x"]);
    }
}

#[tokio::test]
async fn content_types_and_encodings() {
    let server = Server::start().await;
    for content_type in ["text/html", SENTINEL, "application/xml", "text/plain; charset=utf-16", "*/*"] {
        refused(&server, content_type, post(content_type, BODY), 415).await;
    }
    refused(&server, "no type", post_with("", BODY), 415).await;
    for encodings in ["br", "gzip, gzip", SENTINEL, "identity, gzip", "gzip\r\nContent-Encoding: gzip"] {
        let headers = format!("{FORM}Content-Encoding: {encodings}\r\n");
        refused(&server, encodings, post_with(&headers, BODY), 415).await;
    }
}

#[tokio::test]
async fn too_many_and_too_large_headers() {
    let server = Server::start().await;
    // With Host, Content-Type and Content-Length.
    let extra =
        |count: usize| (0..count - 3).map(|number| format!("X-{number}: {SENTINEL}\r\n")).collect::<String>();
    accepted(&server, "64 headers", post_with(&(FORM.to_owned() + &extra(64)), BODY)).await;
    for count in [65, 101, 1000] {
        refused(&server, "headers", post_with(&(FORM.to_owned() + &extra(count)), BODY), 431).await;
    }
    for name in ["Cookie", "X-Large", "User-Agent", "Referer"] {
        let large = format!("{FORM}{name}: {}\r\n", "x".repeat(16 * 1024));
        refused(&server, name, post_with(&large, BODY), 431).await;
    }
    let endless = [b"POST /djaffar/log/ HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 100_000]].concat();
    refused(&server, "an endless header", endless, 431).await;
    let cookie = format!("{FORM}Cookie: a={}\r\n", "x".repeat(15_000));
    accepted(&server, "a large cookie", post_with(&cookie, BODY)).await;
}

#[tokio::test]
async fn what_is_not_http() {
    let server = Server::start().await;
    for (what, bytes) in [
        ("garbage", "\u{1}\u{2}\u{3} garbage\r\n\r\n"),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n"),
        ("no version", "POST /djaffar/log/\r\n\r\n"),
        ("a header without a colon", "POST /djaffar/log/ HTTP/1.1\r\nS3NT1NEL\r\n\r\n"),
        ("a folded header", "POST /djaffar/log/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
        ("a NUL", "POST /djaffar/log/ HTTP/1.1\r\nA: \u{0}\r\n\r\n"),
        ("chunks in HTTP/1.0", "POST /djaffar/log/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        refused(&server, what, bytes, 400).await;
    }
    let mut http2 = server.client().await;
    http2.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(http2.try_answer().await.is_none(), "only closing says no in HTTP/2");
    let old = head("Content-Length: 32\r\n").replace("HTTP/1.1", "HTTP/1.0") + BODY;
    accepted(&server, "HTTP/1.0", old).await;
}
