//! Bodies that are whole but wrong, and odd ones that are right.

use super::{SENTINEL, accepted, form, json, post, post_with, refused};
use crate::server::Server;

const DATE: &str = "2016-12-29T07:35:22.571Z";

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let server = Server::start().await;
    let deep = format!("{{\"path\": {}{}}}", "[".repeat(200), "]".repeat(200));
    let json_bodies: [(&str, Vec<u8>); 8] = [
        ("empty JSON", b"".to_vec()),
        ("malformed JSON", format!("{{\"date\": \"{SENTINEL}\"").into_bytes()),
        ("trailing bytes", format!("{{\"date\": \"{DATE}\"}} {SENTINEL}").into_bytes()),
        ("deep JSON", deep.into_bytes()),
        ("a list", format!("[\"{SENTINEL}\"]").into_bytes()),
        ("a text", format!("\"{SENTINEL}\"").into_bytes()),
        ("invalid UTF-8", [b"{\"date\": \"".as_slice(), b"\xff\xfe", b"\"}"].concat()),
        ("a bare word", SENTINEL.as_bytes().to_vec()),
    ];
    for (what, body) in json_bodies {
        refused(&server, what, post("application/json", body), 400).await;
    }
    let multipart = format!("--{SENTINEL}\r\nno headers, no end");
    refused(&server, "a broken multipart", post("multipart/form-data; boundary=b", &multipart), 400).await;
    refused(&server, "invalid UTF-8 in a form", form(&format!("date={DATE}&path={SENTINEL}%ff")), 400).await;
    refused(&server, "no boundary", post("multipart/form-data", &multipart), 400).await;
}

#[tokio::test]
async fn texts_that_no_database_takes() {
    let server = Server::start().await;
    for (what, request) in [
        ("U+0000 in JSON", json(&format!(r#"{{"date": "{DATE}", "path": "{SENTINEL}\u0000"}}"#))),
        ("U+0000 in a form", form(&format!("date={DATE}&path={SENTINEL}%00"))),
        ("a lone surrogate", json(&format!(r#"{{"date": "{DATE}", "path": "{SENTINEL}\ud800"}}"#))),
    ] {
        refused(&server, what, request, 400).await;
    }
}

#[tokio::test]
async fn wrong_dates() {
    let server = Server::start().await;
    let answer = refused(&server, "no date", form("path=x"), 400).await;
    assert_eq!(answer.body, r#"{"errors":{"date":["This field is required."]}}"#);
    for date in [
        SENTINEL,
        "",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2016-13-29T07:35:22Z",
        "2016-12-29T07:35:60Z",
        "2016-12-29T07:35:22%2B99:00",
        "0001-01-01T00:00:00%2B23:59",
        "9999-12-31T23:59:59-23:59",
        "1482996922",
    ] {
        let answer = refused(&server, date, form(&format!("path=x&date={date}")), 400).await;
        assert!(answer.body.starts_with(r#"{"errors":{"date":["#), "{date}: {}", answer.body);
    }
    for value in ["1e400", "18446744073709551616", "null", "true", "[]", "{}", "1.5"] {
        let body = format!(r#"{{"path": "x", "date": {value}}}"#);
        refused(&server, value, json(&body), 400).await;
    }
}

#[tokio::test]
async fn wrong_paths_referers_and_ids() {
    let server = Server::start().await;
    let long_path = "é".repeat(1001);
    let long_referer = "r".repeat(2049);
    for (what, request) in [
        ("a long path", form(&format!("date={DATE}&path={long_path}"))),
        ("a long referer", form(&format!("date={DATE}&path=x&referer={long_referer}"))),
        ("no path", form(&format!("date={DATE}"))),
        ("a blank path", form(&format!("date={DATE}&path=%20%20"))),
        ("a true path", json(&format!(r#"{{"date": "{DATE}", "path": true}}"#))),
        ("a list for a path", json(&format!(r#"{{"date": "{DATE}", "path": ["{SENTINEL}"]}}"#))),
        ("a bad id", form(&format!("date={DATE}&path=x&id={SENTINEL}"))),
    ] {
        refused(&server, what, request, 400).await;
    }
    let answer = refused(&server, "everything", form(&format!("date={SENTINEL}&path=&id=1")), 400).await;
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let fields: Vec<_> = body["errors"].as_object().expect("fields").keys().cloned().collect();
    assert_eq!(fields, ["date", "id", "path"]);
}

#[tokio::test]
async fn odd_but_right() {
    let server = Server::start().await;
    let plain = post("text/plain;charset=UTF-8", format!(r#"{{"date": "{DATE}", "path": "beacon"}}"#));
    assert_eq!(accepted(&server, "a beacon", plain).await.path.as_str(), "beacon");
    let odd = "a\u{7}b\u{202e}c\u{1f600}";
    let activity = accepted(
        &server,
        "odd characters",
        json(&format!(r#"{{"date": "{DATE}", "path": "{odd}"}}"#).replace('\u{7}', "\\u0007")),
    )
    .await;
    assert_eq!(activity.path.as_str(), odd);
    let number = accepted(&server, "a number", json(&format!(r#"{{"date": "{DATE}", "path": 12}}"#))).await;
    assert_eq!(number.path.as_str(), "12");
    let double = json(&format!(r#"{{"date": "{DATE}", "path": "1", "path": "2", "other": {{"x": 1}}}}"#));
    assert_eq!(accepted(&server, "double keys", double).await.path.as_str(), "2");
    let double = form(&format!("path=1&date={DATE}&path=2"));
    assert_eq!(accepted(&server, "double fields", double).await.path.as_str(), "2");
    for date in ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"] {
        accepted(&server, date, form(&format!("path=x&date={date}"))).await;
    }
    let full =
        accepted(&server, "as long as may be", form(&format!("date={DATE}&path={}", "é".repeat(1000)))).await;
    assert_eq!(full.path.as_str().chars().count(), 1000);
}

#[tokio::test]
async fn headers_that_lie() {
    let server = Server::start().await;
    let content = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = format!("date={DATE}&path=x");
    let hops = "10.0.0.1, ".repeat(1000);
    for (what, header) in [
        ("a forged address", "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n".to_owned()),
        ("a thousand hops", format!("X-Forwarded-For: {hops}\r\n")),
        ("a garbled chain", "X-Forwarded-For: ,,;\"x, 999.1.1.1\r\n".to_owned()),
    ] {
        let activity = accepted(&server, what, post_with(&format!("{content}{header}"), &body)).await;
        let address = activity.ip_address.expect("an address");
        assert_eq!(address.to_string(), "127.0.0.1", "{what}");
    }
    let head = format!("{content}User-Agent: ").into_bytes();
    let agent = [head, "é".repeat(1200).into_bytes(), b"\xff\r\n".to_vec()].concat();
    let length = body.len();
    let request = [
        b"POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\n".as_slice(),
        &agent,
        format!("Content-Length: {length}\r\n\r\n{body}").as_bytes(),
    ]
    .concat();
    let activity = accepted(&server, "a long user agent", request).await;
    assert_eq!(activity.user_agent.as_str(), "é".repeat(1000));
}

#[tokio::test]
async fn a_forged_session_is_replaced() {
    let server = Server::start().await;
    let content = "Content-Type: application/x-www-form-urlencoded\r\n";
    let forged = "0123456789abcdef0123456789abcdef";
    for value in [forged.to_owned(), format!("{forged}.1.x"), "\u{e9}".to_owned(), String::new()] {
        let cookie = format!("{content}Cookie: djaffar_session={value}\r\n");
        let activity = accepted(&server, &value, post_with(&cookie, format!("date={DATE}&path=x"))).await;
        assert_ne!(activity.session_id.expect("a session").as_str(), forged);
    }
}
