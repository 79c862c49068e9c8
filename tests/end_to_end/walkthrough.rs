//! What the README promises at its top.

use djaffar_tests::client::{Response, exchange};
use djaffar_tests::process::{Djaffar, djaffar_prints};
use djaffar_tests::{START_LIMIT, wait_until};
use rustix::process::Signal;

use crate::STOP_LIMIT;

/// What `curl -d "date=2016-12-29T07:35:22.571Z&path=users/me/cart/"` sends.
async fn curl(serve: &Djaffar, cookie: &str) -> Response {
    let body = "date=2016-12-29T07:35:22.571Z&path=users/me/cart/";
    let request = format!(
        "POST /djaffar/log/ HTTP/1.1\r\nHost: {}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n{cookie}\
         Content-Length: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        serve.listen(),
        body.len()
    );
    exchange(serve.listen(), request.as_bytes()).await.expect("an answer")
}

fn dump(serve: &Djaffar, what: &str, more: &[&str]) -> String {
    let data = serve.data_directory();
    djaffar_prints(["dump", what, "--data-dir", data.as_str()].iter().chain(more))
}

async fn wait_for_rows(serve: &Djaffar, count: usize) {
    wait_until(&format!("{count} rows in the dump"), START_LIMIT, || async {
        dump(serve, "activity", &["--format", "ndjson"]).lines().count() == count
    })
    .await;
}

#[tokio::test]
async fn the_readme_walkthrough() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    assert!(serve.log().contains(&serve.listen().to_string()), "it prints where it listens: {}", serve.log());
    assert!(serve.log().contains("curl"), "it prints a line to try: {}", serve.log());

    let response = curl(&serve, "").await;
    assert_eq!((response.status, response.body.len()), (204, 0), "{response:?}");
    let set_cookie = response.header("set-cookie").expect("a session cookie");
    for part in ["djaffar_session=", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
        assert!(set_cookie.contains(part), "{part} in {set_cookie}");
    }
    let cookie = response.cookie().expect("a session cookie").to_owned();
    let session = &cookie["djaffar_session=".len()..][..32];

    wait_for_rows(&serve, 1).await;
    let activity = dump(&serve, "activity", &["--indent", "2"]);
    let id = activity.split('"').nth(7).expect("a primary key");
    assert_eq!(
        activity,
        format!(
            r#"[
{{
  "model": "djaffar.activity",
  "pk": "{id}",
  "fields": {{
    "user": null,
    "session": "{session}",
    "ip_address": "127.0.0.1",
    "date": "2016-12-29T07:35:22.571Z",
    "path": "users/me/cart/",
    "referer": ""
  }}
}}
]
"#
        )
    );
    let session_info = format!(
        r#"[{{"model": "djaffar.sessioninfo", "pk": "{session}", "fields": {{"user_agent": "curl/7.88.1"}}}}]"#
    );
    assert_eq!(dump(&serve, "sessioninfo", &[]), session_info);

    serve.signal(Signal::INT);
    let status = serve.ended(STOP_LIMIT).await;
    assert_eq!(status.code(), Some(0), "Ctrl-C is a clean end: {}", serve.log());
    assert_eq!(dump(&serve, "activity", &["--indent", "2"]), activity, "dump needs no running server");

    serve.start_ready().await;
    let response = curl(&serve, &format!("Cookie: {cookie}\r\n")).await;
    assert_eq!((response.status, response.cookie()), (204, None), "the session goes on: {response:?}");
    wait_for_rows(&serve, 2).await;
    assert_eq!(dump(&serve, "sessioninfo", &[]), session_info, "one session, one row");
}
