//! What is stored of a visitor who asks for privacy, and how much of an address.

use djaffar_tests::client::{Response, exchange};
use djaffar_tests::process::Djaffar;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use crate::STOP_LIMIT;

type Row = (Option<String>, Option<String>, Option<String>);

async fn send(serve: &Djaffar, target: &str, headers: &[&str], body: &str) -> Response {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!(
        "{method} /djaffar/{target} HTTP/1.1\r\nHost: example.com\r\nUser-Agent: a browser\r\n\
         X-Forwarded-For: 198.51.100.129\r\nX-Forwarded-User: anna\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(serve.listen(), request.as_bytes()).await.expect("an answer")
}

/// User, session and address of the row with this path, once it is there.
async fn stored(serve: &Djaffar, path: &'static str) -> Row {
    let options = SqliteConnectOptions::new().filename(format!("{}/djaffar.sqlite3", serve.data_directory()));
    let mut database = SqliteConnection::connect_with(&options).await.expect("the database");
    let mut row = None;
    while row.is_none() {
        let sql = "select user_id, session_id, ip_address from activity where path = ?1";
        row = sqlx::query_as(sql).bind(path).fetch_optional(&mut database).await.expect("rows");
    }
    row.expect("a row")
}

fn serve() -> Djaffar {
    Djaffar::serve()
        .with("--trusted-proxies", "127.0.0.1")
        .with("--forwarded-user-header", "X-Forwarded-User")
        .with("--debug-from", "198.51.100.129")
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

#[tokio::test]
async fn nothing_of_who_asks_for_privacy_is_stored() {
    let mut serve =
        serve().with_variable("DJAFFAR_RESPECT_GPC", "true").with_variable("DJAFFAR_RESPECT_DNT", "true");
    serve.start_ready().await;
    let known = send(&serve, "log/", &[FORM], "date=2026-11-25T10:00:00Z&path=known").await;
    let cookie = format!("Cookie: {}", known.cookie().expect("a session"));
    let nobody: Row = (None, None, None);
    let (user, session, address) = stored(&serve, "known").await;
    assert_eq!((user.as_deref(), address.as_deref()), (Some("anna"), Some("198.51.100.129")));
    let session = session.expect("a session");

    let form = |path: &str| format!("date=2026-11-25T10:00:00Z&path={path}");
    let asks = [FORM, &cookie, "Sec-GPC: 1"];
    let gpc = send(&serve, "log/", &asks, &form("gpc")).await;
    let dnt = send(&serve, "log/", &[FORM, "DNT: 1", "Authorization: Bearer forged"], &form("dnt")).await;
    let pixel = send(&serve, "pixel.gif?path=pixel", &[&cookie, "DNT: 1"], "").await;
    let item = r#"[{"date": "2026-11-25T10:00:00Z", "path": "batch"}]"#;
    let json = "Content-Type: application/json";
    let batch = send(&serve, "batch/", &[json, &cookie, "Sec-GPC: 1"], item).await;
    let debug = send(&serve, "log/", &[FORM, "Sec-GPC: 1", "X-Djaffar-Debug: 1"], &form("debug")).await;
    for (answer, status) in [(&gpc, 204), (&dnt, 204), (&pixel, 200), (&batch, 200), (&debug, 200)] {
        assert_eq!((answer.status, answer.header("set-cookie")), (status, None), "{answer:?}");
        assert_eq!(
            answer.header("djaffar-identity"),
            gpc.header("djaffar-identity"),
            "nobody's is everybody's"
        );
    }
    assert_ne!(gpc.header("djaffar-identity"), known.header("djaffar-identity"));
    for path in ["gpc", "dnt", "pixel", "batch", "debug"] {
        assert_eq!(stored(&serve, path).await, nobody, "{path}");
    }
    let shown: serde_json::Value = serde_json::from_slice(&debug.body).expect("JSON");
    for field in ["user_id", "ip_address"] {
        assert!(shown[field].is_null(), "{shown}");
    }
    assert_eq!(shown["user_agent"], "");

    // Who says 0 asks for nothing, and the session goes on.
    let open = send(&serve, "log/", &[FORM, &cookie, "Sec-GPC: 0", "DNT: 0"], &form("open")).await;
    assert_eq!(open.status, 204);
    assert_eq!(stored(&serve, "open").await.1, Some(session));
    let log = serve.log();
    assert!(!log.contains("198.51.100") && !log.contains("anna"), "{log}");
    serve.stop(STOP_LIMIT).await;
}

#[tokio::test]
async fn an_address_is_stored_as_far_as_it_may_be() {
    for (how, expected) in [("truncate", Some("198.51.100.0")), ("none", None)] {
        let mut serve = serve().with("--ip-privacy", how);
        serve.start_ready().await;
        let headers = [FORM, "Sec-GPC: 1", "DNT: 1", "X-Djaffar-Debug: 1"];
        let answer = send(&serve, "log/", &headers, "date=2026-11-25T10:00:00Z&path=it").await;
        // Respected only where it is asked for; and the debug header is by the real address.
        let shown: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((shown["ip_address"].as_str(), &shown["user_id"]), (expected, &"anna".into()));
        let (user, session, address) = stored(&serve, "it").await;
        assert_eq!((user.as_deref(), address.as_deref()), (Some("anna"), expected));
        assert!(session.is_some());
        serve.stop(STOP_LIMIT).await;
    }
}
