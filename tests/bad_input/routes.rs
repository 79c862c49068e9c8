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
async fn the_client_script_stores_nothing() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(format!("GET /djaffar/djaffar.js?{SENTINEL} HTTP/1.1\r\n{LENGTH}")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("set-cookie"), None);
    assert!(!answer.body.contains(SENTINEL));
    let tag = answer.header("etag").expect("a validator").to_owned();
    let request = format!("GET /djaffar/djaffar.js HTTP/1.1\r\nIf-None-Match: {tag}\r\n{LENGTH}");
    client.send(request).await;
    assert!(client.head_answer().await.starts_with("http/1.1 304"));
    client.send(format!("HEAD /djaffar/djaffar.js HTTP/1.1\r\n{LENGTH}")).await;
    let head = client.head_answer().await;
    assert!(head.starts_with("http/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let request = format!("POST /djaffar/djaffar.js HTTP/1.1\r\n{LENGTH}");
    let answer = refused(&server, "script", request, 405).await;
    assert_eq!(answer.header("allow"), Some("get, head, options"));
    server.serves(&mut client).await;
}

#[tokio::test]
async fn a_welcome_page_is_served_at_the_root_alone() {
    let server = Server::start_with(|config| config.welcome = Some("<p>{base}</p>")).await;
    let mut client = server.client().await;
    client.send(format!("GET / HTTP/1.1\r\n{LENGTH}")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.body), (200, "<p>/djaffar</p>"));
    assert!(
        answer.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    for (method, path, status) in [("POST", "/", 405), ("GET", "/x", 404), ("GET", "/djaffar/", 404)] {
        refused(&server, path, format!("{method} {path} HTTP/1.1\r\n{LENGTH}"), status).await;
    }
    assert!(server.stored().await.is_empty());
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

/// What browsers are told about using an answer: all with a body, and nothing on the 204 of a log request.
#[tokio::test]
async fn every_route_says_how_its_answer_may_be_used() {
    const ALL: [&str; 5] = [
        "x-content-type-options",
        "cross-origin-resource-policy",
        "content-security-policy",
        "referrer-policy",
        "cross-origin-opener-policy",
    ];
    const JSON: &[&str] = &["nosniff", "same-origin"];
    const FOR_ALL_SITES: &[&str] = &["nosniff", "cross-origin"];
    let page = "<style>a{}</style><script>1</script>";
    let server = Server::start_with(|config| {
        config.welcome = Some(page);
        config.debug_from = "127.0.0.1".parse().expect("an address");
    })
    .await;
    let policy = "default-src 'none'; script-src 'self' 'sha256-a4ayc/80/ogda4bo/1o/v0etpoqilx1jwb5s3behw0s='; \
         style-src 'sha256-x1rutgbrxct9kksaxmk7thftwirscfhohxss8tv8hbk='; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let welcome: &[&str] = &["nosniff", "same-origin", policy, "same-origin", "same-origin"];
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{LENGTH}").into_bytes();
    let batch = |body: &str| super::post_to("/djaffar/batch/", "Content-Type: application/json\r\n", body);
    let good = "date=2016-12-29&path=x";
    let debug =
        super::post_with("Content-Type: application/x-www-form-urlencoded\r\nX-Djaffar-Debug: 1\r\n", good);
    let requests: [(Vec<u8>, u16, &[&str]); 14] = [
        (form(good), 204, &[]),
        (format!("OPTIONS /djaffar/log/ HTTP/1.1\r\n{LENGTH}").into_bytes(), 204, &[]),
        (form("path=x"), 400, JSON),
        (debug, 200, JSON),
        (get("/djaffar/log/"), 405, JSON),
        (batch(r#"[{"date": "2016-12-29", "path": "x"}]"#), 200, JSON),
        (batch("["), 400, JSON),
        (batch("[{}]"), 400, JSON),
        (get("/djaffar/pixel.gif?path=x"), 200, FOR_ALL_SITES),
        (get("/djaffar/pixel.gif"), 400, JSON),
        (get("/djaffar/djaffar.js"), 200, FOR_ALL_SITES),
        (get("/djaffar/djaffar.js?v=0"), 200, FOR_ALL_SITES),
        (get("/"), 200, welcome),
        (get("/elsewhere"), 404, JSON),
    ];
    for (request, status, expected) in requests {
        let what = String::from_utf8_lossy(&request).into_owned();
        let mut client = server.client().await;
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{what}");
        for (number, name) in ALL.into_iter().enumerate() {
            assert_eq!(answer.header(name), expected.get(number).copied(), "{name} of {what}");
        }
        let is_private = what.contains("X-Djaffar-Debug") || what.contains("pixel.gif?");
        assert_eq!(answer.header("cache-control") == Some("no-store"), is_private, "{what}");
    }
}
