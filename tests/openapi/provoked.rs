//! Each answer of the description, given by real processes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use djaffar_tests::client::Connection;
use djaffar_tests::free_port;
use djaffar_tests::openapi::{Described, OpenApi};
use djaffar_tests::process::Djaffar;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const GOOD: &str = "date=2016-12-29T07:35:22.571Z&path=users/me/cart/";
const GOOD_BATCH: &str = r#"[{"date": "2016-12-29T07:35:22.571Z", "path": "users/me/cart/"}]"#;
const POSTED: [(&str, &str, &str); 2] = [("/log/", FORM, GOOD), ("/batch/", JSON, GOOD_BATCH)];
const ROUTES: [&str; 4] = ["/log/", "/batch/", "/pixel.gif", "/djaffar.js"];

struct Provoker {
    client: Client,
    address: SocketAddr,
    met: BTreeSet<Described>,
}

impl Provoker {
    /// Sends a request and notes the answer, which must be described.
    async fn ask(&mut self, method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> HeaderMap {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
            })
            .collect();
        let url = format!("http://{}/djaffar{target}", self.address);
        let request = self.client.request(method.clone(), url).headers(headers).body(body.to_owned());
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        answer.bytes().await.expect("a body");
        self.note(method.as_str(), target, status, &headers);
        headers
    }

    fn note(&mut self, method: &str, target: &str, status: StatusCode, headers: &HeaderMap) {
        let header = |name: &str| Some(headers.get(name)?.to_str().expect("a text").to_owned());
        let described =
            OpenApi::read().describe(method, &format!("/djaffar{target}"), status.as_u16(), header);
        self.met.extend(described.unwrap_or_else(|what| panic!("{what}: {headers:?}")));
    }

    /// A body that never comes.
    async fn withhold_a_body(&mut self, target: &str, content_type: &str) {
        let mut connection = Connection::open(self.address).await.expect("a connection");
        let head = format!(
            "POST /djaffar{target} HTTP/1.1\r\nHost: example.com\r\nContent-Type: {content_type}\r\nContent-Length: 9\r\n\r\n"
        );
        connection.send(head.as_bytes()).await.expect("a connection");
        let answer = connection.receive().await.expect("an answer");
        let headers = answer.headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
        });
        let status = StatusCode::from_u16(answer.status).expect("a status");
        self.note("POST", target, status, &headers.collect());
    }
}

/// What any visitor can see.
async fn provoke_common(server: &mut Provoker) {
    for (target, content_type, good) in POSTED {
        let typed = ("Content-Type", content_type);
        let post = Method::POST;
        let headers = server.ask(post.clone(), target, &[typed], good).await;
        let cookie =
            headers["set-cookie"].to_str().expect("a text").split(';').next().expect("a cookie").to_owned();
        server.ask(post.clone(), target, &[typed], "[").await;
        server.ask(post.clone(), target, &[typed, ("Authorization", "Bearer x.y.z")], good).await;
        server
            .ask(
                post.clone(),
                target,
                &[typed, ("Cookie", &cookie), ("Origin", "https://evil.example")],
                good,
            )
            .await;
        server.ask(post.clone(), target, &[typed], &" ".repeat(1024 * 1024 + 1)).await;
        server.ask(post.clone(), target, &[("Content-Type", "image/png")], good).await;
        server.ask(post, target, &[typed, ("Content-Encoding", "br")], good).await;
    }
    server.ask(Method::POST, "/log/", &[("Content-Type", FORM), ("X-Djaffar-Debug", "1")], GOOD).await;
    server.ask(Method::POST, "/batch/", &[("Content-Type", JSON)], r#"[{"path": ""}]"#).await;

    let pixel = format!("/pixel.gif?{GOOD}");
    let headers = server.ask(Method::GET, &pixel, &[], "").await;
    let cookie =
        headers["set-cookie"].to_str().expect("a text").split(';').next().expect("a cookie").to_owned();
    server.ask(Method::GET, &pixel, &[("X-Djaffar-Debug", "1")], "").await;
    server.ask(Method::GET, "/pixel.gif?path=", &[], "").await;
    server.ask(Method::GET, &pixel, &[("Authorization", "Bearer x.y.z")], "").await;
    server.ask(Method::GET, &pixel, &[("Cookie", &cookie), ("Origin", "https://evil.example")], "").await;

    let tag = server.ask(Method::GET, "/djaffar.js", &[], "").await["etag"].clone();
    let known = [("If-None-Match", tag.to_str().expect("a text"))];
    for method in [Method::GET, Method::HEAD] {
        server.ask(method.clone(), "/djaffar.js", &known, "").await;
        server.ask(method, "/djaffar.js", &[], "").await;
    }
    server.ask(Method::HEAD, "/pixel.gif?path=x", &[], "").await;

    let names: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    for target in ROUTES {
        server.ask(Method::OPTIONS, target, &[], "").await;
        for method in [Method::POST, Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE] {
            server.ask(method.clone(), target, &many, "").await;
            if method == Method::DELETE {
                server.ask(method, target, &[], "").await;
            }
        }
    }
    server.ask(Method::GET, "/elsewhere", &[], "").await;
}

#[tokio::test]
async fn every_answer_that_is_described_is_given() {
    let mut serve = Djaffar::serve()
        .with("--request-timeout", "120s")
        .with("--stop-timeout", "120s")
        .with("--debug-from", "127.0.0.1")
        .with("--jwt-key", "a secret of thirty-two characters")
        .with("--jwt-algorithms", "HS256");
    serve.start_ready().await;
    let mut server = Provoker { client: Client::new(), address: serve.listen(), met: BTreeSet::new() };
    provoke_common(&mut server).await;

    let mut hasty = Djaffar::serve().with("--body-timeout", "1s");
    hasty.start_ready().await;
    server.address = hasty.listen();
    for (target, content_type, _) in POSTED {
        server.withhold_a_body(target, content_type).await;
    }

    // An hour for one more: no test is so slow.
    let mut limited = Djaffar::serve().with("--rate-limit-per-ip", "1/h,burst=1");
    limited.start_ready().await;
    server.address = limited.listen();
    for (target, content_type, good) in POSTED {
        server.ask(Method::POST, target, &[("Content-Type", content_type)], good).await;
    }
    server.ask(Method::POST, "/log/", &[("Content-Type", FORM)], GOOD).await;
    server.ask(Method::GET, &format!("/pixel.gif?{GOOD}"), &[], "").await;

    // Nobody listens there, so that nothing can be synced.
    let queue = format!("nats://127.0.0.1:{}", free_port());
    let mut lonely =
        Djaffar::ingest(&queue, "a key of thirty-two characters!!").with("--request-timeout", "1s");
    lonely.start();
    lonely.wait_listening().await;
    server.address = lonely.listen();
    for (target, content_type, good) in POSTED {
        server.ask(Method::POST, target, &[("Content-Type", content_type)], good).await;
    }
    server.ask(Method::GET, &format!("/pixel.gif?{GOOD}"), &[], "").await;

    assert_eq!(server.met, OpenApi::read().answers());
}
