//! Wrong methods, wrong paths, and what other listeners serve.

use super::{SENTINEL, form, refused};
use crate::server::Server;

const LENGTH: &str = "Host: example.com\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn wrong_methods() {
    let server = Server::start().await;
    for method in ["GET", "PUT", "PATCH", "DELETE", "TRACE", "post", SENTINEL] {
        let request = format!("{method} /djaffar/log/ HTTP/1.1\r\n{LENGTH}");
        let answer = refused(&server, method, request, 405).await;
        assert_eq!(answer.header("allow"), Some("post, options"), "{method}");
    }
    let answer =
        refused(&server, "pixel", format!("POST /djaffar/pixel.gif HTTP/1.1\r\n{LENGTH}"), 405).await;
    assert_eq!(answer.header("allow"), Some("get, head, options"));
}

#[tokio::test]
async fn head_and_options() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(format!("HEAD /djaffar/log/ HTTP/1.1\r\n{LENGTH}")).await;
    let answer = client.head_answer().await;
    assert!(answer.starts_with("http/1.1 405"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "a HEAD answer has no body: {answer}");
    for (path, allow) in [("log/", "post, options"), ("pixel.gif", "get, head, options")] {
        client
            .send(format!("OPTIONS /djaffar/{path} HTTP/1.1\r\nOrigin: https://{SENTINEL}\r\n{LENGTH}"))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    client.send(format!("HEAD /djaffar/pixel.gif?path=x HTTP/1.1\r\n{LENGTH}")).await;
    assert!(client.head_answer().await.starts_with("http/1.1 200"));
    assert!(server.stored().await.is_empty());
    server.serves(&mut client).await;
}

#[tokio::test]
async fn wrong_paths_and_the_admin_listener() {
    let server = Server::start().await;
    for path in [
        "/",
        "/djaffar",
        "/djaffar/",
        "/log/",
        "/djaffar/log//",
        "/djaffar//log/",
        "/djaffar/logs",
        "/DJAFFAR/log/",
        "/djaffar/%6cog/",
        "/djaffar/../djaffar/log/",
        "/djaffar/S3NT1NEL?S3NT1NEL",
        "/livez",
        "/readyz",
        "/metrics",
        "/status",
        "/djaffar/metrics",
        "/djaffar/status",
        "*",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let request = format!("{method} {path} HTTP/1.1\r\n{LENGTH}");
            let answer = refused(&server, path, request, 404).await;
            assert_eq!(answer.body, r#"{"detail":"Not found."}"#);
        }
    }
    let long = format!("GET /{} HTTP/1.1\r\n{LENGTH}", "x".repeat(20_000));
    refused(&server, "a long path", long, 431).await;
}

#[tokio::test]
async fn with_and_without_the_last_slash() {
    let server = Server::start().await;
    let request = String::from_utf8(form("date=2016-12-29T07:35:22Z&path=x")).expect("text");
    super::accepted(&server, "no slash", request.replace("/log/", "/log")).await;
    super::accepted(&server, "a query", request.replace("/log/", "/log/?a=b")).await;
    super::accepted(&server, "a whole URL", request.replace("/djaffar", "http://example.com/djaffar")).await;
}

#[tokio::test]
async fn pixels() {
    let server = Server::start().await;
    let request = |query: &str| format!("GET /djaffar/pixel.gif?{query} HTTP/1.1\r\n{LENGTH}");
    for query in
        ["", "path=", "path=x&date=S3NT1NEL", "path=x&id=0191e0c8-0000-7000-8000-000000000000", "path=%00"]
    {
        refused(&server, query, request(query), 400).await;
    }
    let mut client = server.client().await;
    client.send(request("path=newsletter/")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("image/gif"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("djaffar-identity").is_some());
    assert!(answer.header("set-cookie").is_some());
    assert_eq!(server.stored().await.len(), 1);
}
