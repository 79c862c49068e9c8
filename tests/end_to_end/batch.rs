//! A batch to its rows: doubles once, bad items never, somebody else's without a session.

use chrono::{DateTime, TimeDelta};
use djaffar_tests::batch::{Coding, batch_request};
use djaffar_tests::client::{Response, exchange};
use djaffar_tests::database::Database;
use djaffar_tests::journal::{Answer, Sent};
use djaffar_tests::process::Djaffar;
use djaffar_tests::{START_LIMIT, wait_until};
use uuid::Uuid;

fn sent(number: u8) -> Sent {
    Sent {
        id: Uuid::from_u128(number.into()),
        date: DateTime::UNIX_EPOCH + TimeDelta::seconds(number.into()),
        path: format!("/{number}"),
        session: None,
        answer: Answer::Unclear,
    }
}

async fn post(serve: &Djaffar, request: &[u8], status: u16) -> Response {
    let response = exchange(serve.listen(), request).await.expect("an answer");
    assert_eq!(response.status, status, "{response:?}");
    response
}

async fn delivered(database: &Database, count: u64) {
    let all = || async { database.accounting().await.delivered == count };
    wait_until(&format!("{count} activities to be delivered"), START_LIMIT, all).await;
}

#[tokio::test]
async fn doubles_and_retries_of_a_batch_are_stored_once() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let database = Database::of_serve(&serve.data_directory());
    let items = [sent(1), sent(2), sent(1), sent(3), sent(2)];
    for (attempt, coding) in [(1, Coding::Zstd), (2, Coding::Identity)] {
        let response = post(&serve, &batch_request(&items, coding, None), 200).await;
        assert_eq!(response.body, br#"{"accepted":5,"rejected":[]}"#);
        delivered(&database, attempt * 5).await;
        let paths: Vec<_> = database.activities().await.into_iter().map(|row| row.path).collect();
        assert_eq!(paths, ["/1", "/2", "/3"]);
        database.assert_accounts().await;
    }
}

#[tokio::test]
async fn each_item_of_a_batch_has_its_own_fate() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let database = Database::of_serve(&serve.data_directory());
    let lines = [
        r#"{"date": "2016-12-29T07:35:22Z", "path": "/mine"}"#,
        r#"{"date": "2016-12-29", "path": "#,
        r#"{"date": "2016-12-29T07:35:23Z", "path": "/before-the-login", "identity": "of somebody else"}"#,
        r#"{"date": "yesterday", "path": "/undated"}"#,
    ];
    let body = lines.join("\n");
    let request = format!(
        "POST /djaffar/batch/ HTTP/1.1\r\nHost: example.com\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = post(&serve, request.as_bytes(), 200).await;
    let answer: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(answer["accepted"], 2);
    assert_eq!((&answer["rejected"][0]["index"], &answer["rejected"][1]["index"]), (&1.into(), &3.into()));
    assert!(response.header("djaffar-identity").is_some());
    let session = response.cookie().expect("a session")["djaffar_session=".len()..][..32].to_owned();

    delivered(&database, 2).await;
    let rows = database.activities().await;
    let rows: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.session.as_deref())).collect();
    assert_eq!(rows, [("/mine", Some(session.as_str())), ("/before-the-login", None)]);
    database.assert_accounts().await;
}
