//! Good, bad and odd items beside each other.

use super::batch::{JSON, LINES, PLAIN, accepted, ask, batch, batch_with, item};
use super::{SENTINEL, assert_harmless, form};
use crate::server::Server;

fn paths(stored: &[shared::event::Activity]) -> Vec<&str> {
    stored.iter().map(|activity| activity.path.as_str()).collect()
}

#[tokio::test]
async fn bad_items_are_named_and_good_ones_stored() {
    let server = Server::start().await;
    let large = item("x").replace("path", &"x".repeat(32 * 1024));
    let bad = [
        SENTINEL.to_owned(),
        format!("[\"{SENTINEL}\"]"),
        format!(r#"{{"date": "{SENTINEL}", "path": "x"}}"#),
        r#"{"date": "2016-12-29"}"#.to_owned(),
        format!(r#"{{"date": "2016-12-29", "path": "x", "id": "{SENTINEL}"}}"#),
        format!(r#"{{"date": "2016-12-29", "path": "{SENTINEL}\u0000"}}"#),
        large,
    ];
    let body = format!("{}\r\n\r\n{}\n{}", item("first"), bad.join("\n"), item("last"));
    let (answer, stored) = accepted(&server, "lines", batch(LINES, &body)).await;
    assert_eq!(paths(&stored), ["first", "last"]);
    assert!(!answer.to_string().contains(SENTINEL), "{answer}");
    let rejected = answer["rejected"].as_array().expect("a list");
    let indices: Vec<_> = rejected.iter().map(|item| item["index"].as_u64().expect("an index")).collect();
    assert_eq!(indices, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(rejected[3]["errors"], serde_json::json!({"path": ["This field is required."]}));
    let counted = server.telemetry.snapshot().items_rejected;
    assert_eq!(
        counted.into_iter().collect::<Vec<_>>(),
        [("invalid", 4), ("item_too_large", 1), ("malformed", 2)]
    );
    assert_eq!(server.telemetry.snapshot().accepted, 2);

    let answer = ask(&server, batch(LINES, bad.join("\n"))).await;
    assert_eq!(answer.status, 400);
    assert_harmless("nothing but bad items", &answer);
    assert!(answer.body.starts_with(r#"{"accepted":0,"rejected":[{"index":0,"#), "{}", answer.body);
    assert!(server.stored().await.is_empty());
    // The first two are no JSON or no object: a list that holds the first is none.
    let list = format!("[{}, {}]", bad[1], item("in a list"));
    let (answer, stored) = accepted(&server, "a list", batch(JSON, list)).await;
    assert_eq!(paths(&stored), ["in a list"]);
    assert_eq!(answer["rejected"][0]["index"], 0);
    server.serves(&mut server.client().await).await;
}

#[tokio::test]
async fn beacons_carry_either() {
    let server = Server::start().await;
    let (one, two) = (item("1"), item("2"));
    for body in [format!(" [{one},{two}]"), format!("{one}\n{two}"), format!("\n{one}\r\n{two}\r\n")] {
        let (_, stored) = accepted(&server, &body, batch(PLAIN, &body)).await;
        assert_eq!(paths(&stored), ["1", "2"], "{body}");
    }
}

#[tokio::test]
async fn no_referer_header_stands_in_for_a_path() {
    let server = Server::start().await;
    let request =
        batch_with(LINES, "Referer: https://example.com/\r\n", r#"{"date": "2016-12-29", "path": ""}"#);
    let answer = ask(&server, request).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("may not be blank"), "{}", answer.body);
}

#[tokio::test]
async fn ids_and_dates_are_kept_and_doubles_accepted() {
    let server = Server::start().await;
    let id = "0197f3b2-0000-7000-8000-000000000001";
    let double = format!(r#"{{"date": "2016-12-29T07:35:22.571Z", "path": "x", "id": "{id}"}}"#);
    let body = [&double, &item("other"), &double].map(String::as_str).join("\n");
    let (answer, stored) = accepted(&server, "doubles", batch(LINES, body)).await;
    assert_eq!(answer["accepted"], 3);
    assert_eq!(stored[0].id, stored[2].id);
    assert_eq!(stored[0].id.0.to_string(), id);
    assert_eq!(stored[0].date, stored[2].date);
    assert_eq!(stored[0].date.micros(), 1_482_996_922_571_000);
}

#[tokio::test]
async fn one_session_owns_all_items_but_those_of_somebody_else() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(form("date=2016-12-29T07:35:22Z&path=x")).await;
    assert_eq!(client.answer().await.status, 204);
    let session = server.stored().await[0].session_id.clone().expect("a session");
    let cookie = client.last_header("set-cookie").expect("a cookie").split(';').next().expect("a value");
    let send = format!("Cookie: {cookie}\r\n");
    client.send(batch_with(LINES, &send, item("x"))).await;
    let answer = client.answer().await;
    assert_eq!(answer.header("set-cookie"), None, "the session is fresh");
    assert_eq!(server.stored().await[0].session_id.as_ref(), Some(&session));

    let identity = client.last_header("djaffar-identity").expect("an identity");
    let with = |identity: &str| item("x").replace("\"path\"", &format!("\"identity\": {identity}, \"path\""));
    let items = [
        item("nothing said"),
        with("null"),
        with(&format!("\"{identity}\"")),
        with(&format!("\"{SENTINEL}\"")),
        with("\"\""),
        with("[]"),
    ];
    let (_, stored) = accepted(&server, "identities", batch_with(LINES, &send, items.join("\n"))).await;
    let owned: Vec<_> =
        stored.iter().map(|activity| activity.session_id.as_ref() == Some(&session)).collect();
    assert_eq!(owned, [true, true, true, false, false, false]);
    assert!(stored[3..].iter().all(|activity| activity.session_id.is_none() && activity.user_id.is_none()));
}
