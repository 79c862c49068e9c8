//! What the logs of a whole pipeline tell, and what they never do.

use djaffar_tests::client::{Response, exchange};
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::{Djaffar, djaffar};
use djaffar_tests::wait_until;
use serde_json::Value;

use crate::{LIMIT, form, from};

const ADDRESS: &str = "203.0.113.77";
const AGENT: &str = "Marked-Agent";
const PATH: &str = "marked-path";
const REFERER: &str = "marked-referer";
const USER: &str = "marked-user";
const TOKEN: &str = "marked-token";
const REQUEST_ID: &str = "7f3a-of-the-proxy";
const DATE: &str = "date=2026-11-25T10:00:00Z";

/// One with everything that is personal.
async fn send(ingest: &Djaffar, request: impl Fn(&str) -> Vec<u8>, cookie: &str) -> Response {
    let headers = format!(
        "{}User-Agent: {AGENT}\r\nX-Forwarded-User: {USER}\r\nX-Request-Id: {REQUEST_ID}\r\n\
         Referer: https://{REFERER}.example/{PATH}\r\n{cookie}",
        from(ADDRESS)
    );
    exchange(ingest.listen(), &request(&headers)).await.expect("an answer")
}

fn log(path: &str) -> impl Fn(&str) -> Vec<u8> {
    let body = format!("{DATE}&path={PATH}{path}&referer={REFERER}");
    move |headers| form(headers, &body)
}

fn get(target: String) -> impl Fn(&str) -> Vec<u8> {
    move |headers| format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n{headers}\r\n").into_bytes()
}

/// Whole lines on stderr; the greeting is on stdout.
fn lines(log: &str) -> Vec<&str> {
    let whole = log.rfind('\n').map_or(0, |end| end + 1);
    log[..whole].lines().filter(|line| !line.starts_with("Djaffar ")).collect()
}

fn objects(process: &Djaffar) -> Vec<Value> {
    let log = process.log();
    let object = |line| match serde_json::from_str::<Value>(line) {
        Ok(value @ Value::Object(_)) => value,
        other => panic!("{other:?}: {line}"),
    };
    lines(&log).into_iter().map(object).collect()
}

/// Outages and refusals of all kinds, each with a request that bears everything personal.
#[tokio::test]
async fn every_line_is_an_object_without_anything_personal() {
    let mut pipeline = Pipeline::new().single().with("--log-format", "json");
    let ingest = pipeline.ingests.pop().expect("one ingest");
    pipeline.ingests.push(
        ingest
            .with("--trusted-proxies", "127.0.0.1")
            .with("--forwarded-user-header", "X-Forwarded-User")
            .with("--jwt-key", "a key for tokens of thirty-two characters")
            .with("--jwt-algorithms", "HS256")
            .with("--rate-limit-per-ip", "1000/s"),
    );
    let mut pipeline = pipeline.started().await;
    let database = pipeline.database();
    let (ingest, writer) = (&pipeline.ingests[0], &pipeline.writers[0]);
    let first = send(ingest, log("/first"), "").await;
    assert_eq!((first.status, first.header("x-request-id")), (204, None), "{first:?}");
    let cookie = first.cookie().expect("a session");
    let session = cookie.split('=').nth(1).expect("a value")[..32].to_owned();
    let cookie = format!("Cookie: {cookie}\r\n");

    // Refused for what the client has sent.
    let forged = form("", &format!("{DATE}&path={PATH}%00&date={PATH}"));
    assert_eq!(send(ingest, |_| forged.clone(), &cookie).await.status, 400);
    let token = format!("{cookie}Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(send(ingest, log("/token"), &token).await.status, 401);
    let elsewhere = get(format!("/djaffar/{PATH}%0aERROR?{USER}"));
    assert_eq!(send(ingest, elsewhere, &cookie).await.status, 404);
    let pixel = get(format!("/djaffar/pixel.gif?path={PATH}%0aERROR"));
    assert_eq!(send(ingest, pixel, &cookie).await.status, 200);

    // Refused by the database, which shows the row to whoever asks.
    wait_until("the first rows", LIMIT, || async { database.count().await == 2 }).await;
    database.sql("alter table activity add constraint wanted check (path not like '%unwanted')").await;
    assert_eq!(send(ingest, log("/unwanted"), &cookie).await.status, 204);
    wait_until("a dead letter", LIMIT, || async { database.dead_letters().await == 1 }).await;

    // The database is away.
    pipeline.postgres.stop().await;
    assert_eq!(send(ingest, log("/waits"), &cookie).await.status, 204);
    wait_until("the writer to tell it", LIMIT, || async { writer.log().contains("not stored yet") }).await;
    pipeline.postgres.restart().await;
    wait_until("the row", LIMIT, || async { database.count().await == 3 }).await;

    // The queue is away: the answer and a line have the name by which the proxy knows the request.
    pipeline.nats.kill();
    let failed = send(ingest, log("/fails"), &cookie).await;
    assert_eq!((failed.status, failed.header("x-request-id")), (503, Some(REQUEST_ID)), "{failed:?}");
    let told = objects(ingest);
    let is_it = |line: &&Value| line["request_id"] == REQUEST_ID;
    let line = told.iter().find(is_it).unwrap_or_else(|| panic!("no line with the id: {told:?}"));
    assert_eq!((&line["level"], &line["status"]), (&"WARN".into(), &503.into()), "{line}");
    assert_eq!(line["reason"], "queue_unavailable");

    let told = [objects(ingest), objects(writer)].concat();
    for level in ["INFO", "WARN", "ERROR"] {
        assert!(told.iter().any(|line| line["level"] == level), "no line at {level}: {told:?}");
    }
    for line in told {
        let text = line.to_string();
        for personal in [ADDRESS, AGENT, PATH, REFERER, USER, TOKEN, &session] {
            assert!(!text.contains(personal), "{personal} in {text}");
        }
    }
}

/// A database's message may hold anything, what a client has sent too.
#[tokio::test]
async fn no_text_from_elsewhere_forges_a_line_or_steers_a_terminal() {
    for format in ["human", "json"] {
        let pipeline = Pipeline::new().single().with("--log-format", format).started().await;
        let (ingest, writer) = (&pipeline.ingests[0], &pipeline.writers[0]);
        pipeline
            .database()
            .sql(
                "create function forge() returns trigger language plpgsql as $$ begin raise exception using \
                 message = E'before\\nERROR forged\\u001b[2J\\u009b31m\\u2028\\u202e after'; end $$; \
                 create trigger forge before insert on activity for each row execute function forge()",
            )
            .await;
        let answer =
            exchange(ingest.listen(), &form("", &format!("{DATE}&path=x"))).await.expect("an answer");
        assert_eq!(answer.status, 204);
        wait_until("the writer to tell it", LIMIT, || async { writer.log().contains("after") }).await;
        let log = writer.log();
        let is_escaped = |character: char| {
            character == '\n' || !(character.is_control() || "\u{2028}\u{202e}".contains(character))
        };
        assert!(log.chars().all(is_escaped), "{log}");
        let told = lines(&log).into_iter().find(|line| line.contains("forged")).expect("the line");
        assert!(told.contains("before") && told.contains("after"), "{told}");
        if format == "json" {
            assert!(!objects(writer).is_empty());
        }
    }
}

#[test]
fn the_sentence_by_which_a_process_ends_is_an_object_too() {
    let ended = djaffar(["ingest", "--queue", "nats://127.0.0.1:1", "--log-format", "json"]);
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8(ended.stderr).expect("UTF-8");
    let object: Value =
        serde_json::from_str(said.trim_end()).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(object["exit_code"], 2);
    assert!(object["message"].as_str().is_some_and(|text| text.contains("secret-key")), "{object}");
}
