//! Whoever sends too much hears 429 and when to come back; the others notice nothing.

use serde_json::json;

use super::{assert_harmless, form, post_to, post_with};
use crate::client::{Answer, Client};
use crate::server::Server;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const BODY: &str = "date=2016-12-29T07:35:22Z&path=x";

async fn limited(per_ip: Option<&str>, per_session: Option<&str>) -> Server {
    let parse = |rate: &str| rate.parse().expect("a rate");
    Server::start_with(|config| {
        config.trusted_proxies = "127.0.0.1".parse().expect("an address");
        config.rate_limits.per_ip = per_ip.map(parse);
        config.rate_limits.per_session = per_session.map(parse);
    })
    .await
}

async fn ask(client: &mut Client, request: impl AsRef<[u8]>) -> Answer {
    client.send(request).await;
    client.answer().await
}

fn log_from(address: &str) -> Vec<u8> {
    post_with(&format!("{FORM}X-Forwarded-For: {address}\r\n"), BODY)
}

fn assert_limited(answer: &Answer) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.body, r#"{"detail":"Too many requests. Try again later."}"#);
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!((1..=3600 * 1001).contains(&seconds), "{seconds}");
    assert_harmless("429", answer);
}

/// An hour for one more: no test is so slow.
#[tokio::test]
async fn an_address_has_its_burst_and_nothing_more_is_stored() {
    let server = limited(Some("1/h,burst=3"), None).await;
    let mut client = server.client().await;
    for _ in 0..3 {
        assert_eq!(ask(&mut client, log_from("198.51.100.1")).await.status, 204);
    }
    assert_eq!(server.stored().await.len(), 3);
    for _ in 0..5 {
        let answer = ask(&mut client, log_from("198.51.100.1")).await;
        assert_limited(&answer);
        assert!(!answer.closes(), "whoever waits keeps the connection");
    }
    let pixel = "GET /djaffar/pixel.gif?path=x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";
    assert_limited(&ask(&mut client, pixel).await);
    let batch = post_to(
        "/djaffar/batch/",
        "Content-Type: application/json\r\nX-Forwarded-For: 198.51.100.1\r\n",
        json!([{"date": "2016-12-29", "path": "x"}]).to_string(),
    );
    assert_limited(&ask(&mut client, &batch).await);
    assert!(server.stored().await.is_empty());
    assert_eq!(server.telemetry.snapshot().rejected.get("rate_limited_ip"), Some(&7));
    // The neighbour, and the proxy itself, which speaks for many.
    assert_eq!(ask(&mut client, log_from("198.51.100.2")).await.status, 204);
    for _ in 0..5 {
        assert_eq!(ask(&mut client, form(BODY)).await.status, 204);
    }
}

#[tokio::test]
async fn an_ipv6_network_is_one_address() {
    let server = limited(Some("1/h,burst=2"), None).await;
    let mut client = server.client().await;
    for address in ["2001:db8:0:7::1", "2001:db8:0:7:ffff::2"] {
        assert_eq!(ask(&mut client, log_from(address)).await.status, 204);
    }
    assert_limited(&ask(&mut client, log_from("2001:db8:0:7::3")).await);
    assert_eq!(ask(&mut client, log_from("2001:db8:0:8::1")).await.status, 204);
    // Mapped into IPv6, an IPv4 address is itself.
    for (address, status) in [("198.51.100.9", 204), ("::ffff:198.51.100.9", 204), ("198.51.100.9", 429)] {
        assert_eq!(ask(&mut client, log_from(address)).await.status, status, "{address}");
    }
}

/// Before a byte of the body is asked for.
#[tokio::test]
async fn a_flood_is_refused_before_its_bodies() {
    let server = limited(Some("1/h,burst=1"), None).await;
    let mut client = server.client().await;
    assert_eq!(ask(&mut client, log_from("198.51.100.1")).await.status, 204);
    for path in ["log", "batch"] {
        let mut client = server.client().await;
        let head = format!(
            "POST /djaffar/{path}/ HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 198.51.100.1\r\n\
             Content-Type: application/json\r\nContent-Length: 60000\r\nExpect: 100-continue\r\n\r\n"
        );
        assert_limited(&ask(&mut client, head).await);
    }
}

fn batch_of(items: usize) -> Vec<u8> {
    let item = |number| json!({"date": "2016-12-29", "path": format!("{number}")});
    let body = (0..items).map(item).collect::<serde_json::Value>().to_string();
    post_to("/djaffar/batch/", "Content-Type: application/json\r\nX-Forwarded-For: 198.51.100.1\r\n", body)
}

/// A batch larger than the burst is taken, or a queue in a browser would never become empty.
#[tokio::test]
async fn a_batch_costs_its_items() {
    let server = limited(Some("1/h,burst=5"), None).await;
    let mut client = server.client().await;
    assert_eq!(ask(&mut client, batch_of(4)).await.status, 200);
    assert_eq!(ask(&mut client, batch_of(1000)).await.status, 200);
    assert_eq!(server.stored().await.len(), 1004);
    let answer = ask(&mut client, batch_of(1)).await;
    assert_limited(&answer);
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(seconds > 990 * 3600, "it owes what it has sent: {seconds}");
    assert!(server.stored().await.is_empty());
}

/// What is refused for another reason has been work too.
#[tokio::test]
async fn bad_requests_cost_as_good_ones_do() {
    let server = limited(Some("1/h,burst=2"), None).await;
    let mut client = server.client().await;
    let bad = post_with(&format!("{FORM}X-Forwarded-For: 198.51.100.1\r\n"), "path=x");
    assert_eq!(ask(&mut client, bad).await.status, 400);
    let headers = "Content-Type: application/json\r\nX-Forwarded-For: 198.51.100.1\r\n";
    assert_eq!(ask(&mut client, post_to("/djaffar/batch/", headers, "[")).await.status, 400);
    assert_limited(&ask(&mut client, log_from("198.51.100.1")).await);
}

#[tokio::test]
async fn a_verified_session_has_a_limit_and_a_forged_one_none() {
    let server = limited(None, Some("1/h,burst=2")).await;
    let mut client = server.client().await;
    assert_eq!(ask(&mut client, form(BODY)).await.status, 204);
    let cookie = client.last_header("set-cookie").expect("a session");
    let cookie = cookie.split(';').next().expect("a value").to_owned();
    let with = |cookie: &str| post_with(&format!("{FORM}Cookie: {cookie}\r\n"), BODY);
    for _ in 0..2 {
        assert_eq!(ask(&mut client, with(&cookie)).await.status, 204);
    }
    assert_limited(&ask(&mut client, with(&cookie)).await);
    assert_eq!(server.telemetry.snapshot().rejected.get("rate_limited_session"), Some(&1));
    // No session that a client makes up is charged: it could use up another's.
    let forged = format!("{}x", &cookie[..cookie.len() - 1]);
    for cookie in [&*forged, "a=b"] {
        for _ in 0..4 {
            assert_eq!(ask(&mut client, with(cookie)).await.status, 204);
        }
    }
    assert_eq!(server.stored().await.len(), 11);
}
