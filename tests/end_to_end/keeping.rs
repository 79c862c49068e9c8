//! `prune`, `erase` and `export` as people run them, on either database.

use std::process::Output;

use djaffar_tests::client::exchange;
use djaffar_tests::database::Database;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::pipeline::SECRET_KEY;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::{Djaffar, djaffar, djaffar_prints};
use djaffar_tests::wait_until;
use serde_json::Value;

use crate::STOP_LIMIT;

const REFUSE: &str = "alter table activity add constraint no_poison check (path <> 'poison')";

fn with_users(process: Djaffar) -> Djaffar {
    process.with("--trusted-proxies", "127.0.0.1").with("--forwarded-user-header", "X-Forwarded-User")
}

async fn log(process: &Djaffar, user: &str, date: &str, path: &str) {
    let body = format!("date={date}&path={path}");
    let request = format!(
        "POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\nUser-Agent: agent of {user}\r\n\
         X-Forwarded-User: {user}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = exchange(process.listen(), request.as_bytes()).await.expect("an answer");
    assert_eq!(response.status, 204, "{response:?}");
}

fn command(arguments: &[&str], database: &Database) -> Vec<String> {
    let url = database.url();
    [arguments, &["--database", &url]].concat().into_iter().map(str::to_owned).collect()
}

fn json(arguments: &[&str], database: &Database) -> Value {
    serde_json::from_str(&djaffar_prints(command(arguments, database))).expect("JSON")
}

/// Logs for two users, gives one everything that is held and erases it.
async fn a_person_is_given_and_erased_everything(process: &Djaffar, database: &Database, letters: u64) {
    for (user, path) in [("anna", "a/"), ("anna", "b/"), ("anna", "poison"), ("bert", "c/")] {
        log(process, user, "2026-11-25T10:00:00Z", path).await;
    }
    let all = 4 - letters;
    wait_until("everything to be stored", STOP_LIMIT, || async {
        database.count().await == all && database.dead_letters().await == letters
    })
    .await;
    let held = json(&["export", "--user", "anna"], database);
    let length = |field: &str| held[field].as_array().expect("a list").len() as u64;
    assert_eq!(
        (length("activities"), length("session_infos"), length("dead_letters")),
        (3 - letters, 3 - letters, letters),
        "{held}"
    );
    assert_eq!(held["session_infos"][0]["user_agent"], "agent of anna");
    assert_eq!(held["activities"][0]["user"], "anna");
    if letters > 0 {
        assert_eq!(held["dead_letters"][0]["activity"]["path"], "poison");
    }

    let told = json(&["erase", "--user", "anna", "--json"], database);
    assert_eq!(
        (&told["activities"], &told["dead_letters"]),
        (&(3 - letters).into(), &letters.into()),
        "{told}"
    );
    assert_eq!(told["session_infos"], 3 - letters, "{told}");
    let again = json(&["erase", "--user", "anna", "--json"], database);
    for field in ["activities", "dead_letters", "session_infos"] {
        assert_eq!(again[field], 0, "{again}");
    }
    let held = json(&["export", "--user", "anna"], database);
    assert_eq!((&held["activities"], &held["dead_letters"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert_eq!(database.count().await, 1);

    // Whoever returns is stored again, with the session's info.
    log(process, "anna", "2026-11-25T11:00:00Z", "back/").await;
    wait_until("the returned", STOP_LIMIT, || async { database.count().await == 2 }).await;
    assert_eq!(database.session_infos().await.len(), 2);
    let told = djaffar_prints(command(&["erase", "--user", "anna", "--anonymise"], database));
    assert!(
        told.starts_with("user anna: 1 activity anonymised, 0 dead letters and 1 session info"),
        "{told}"
    );
    assert_eq!(database.number("select count(*) from activity where user_id is null").await, 1);
}

#[tokio::test]
async fn a_person_is_given_and_erased_everything_from_sqlite() {
    let mut serve = with_users(Djaffar::serve());
    serve.start_ready().await;
    let database = Database::of_serve(&serve.data_directory());
    a_person_is_given_and_erased_everything(&serve, &database, 0).await;
    serve.stop(STOP_LIMIT).await;
}

#[tokio::test]
async fn a_person_is_given_and_erased_everything_from_postgres() {
    let (nats, postgres) = (NatsServer::running().await, Postgres::start().await);
    let database = Database::Postgres(postgres.first_database());
    let mut ingest = with_users(Djaffar::ingest(&nats.url(), SECRET_KEY));
    let mut writer = Djaffar::writer(&nats.url(), &database.url());
    ingest.start_ready().await;
    writer.start_ready().await;
    database.sql(REFUSE).await;
    a_person_is_given_and_erased_everything(&ingest, &database, 1).await;
    writer.stop(STOP_LIMIT).await;
    ingest.stop(STOP_LIMIT).await;
}

fn refused(arguments: &[&str], words: &str) {
    let Output { status, stderr, .. } = djaffar(arguments);
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains(words) && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_one_sentence() {
    let nowhere = tempfile::tempdir().expect("a directory");
    let directory = nowhere.path().to_str().expect("UTF-8");
    let with = |arguments: &[&'static str]| {
        let mut all = arguments.to_vec();
        all.extend(["--data-dir", String::leak(directory.to_owned())]);
        all
    };
    refused(&with(&["prune"]), "--before <DATE>|--older-than <TIME>");
    refused(&with(&["prune", "--before", "9000-01-01"]), "lies in the future");
    refused(&with(&["prune", "--older-than", "90"]), "--older-than: '90' is refused");
    refused(&with(&["prune", "--older-than", "90d"]), "there is none at");
    refused(&with(&["erase"]), "--user <ID>|--session <KEY>|--ip <ADDRESS>");
    refused(&with(&["erase", "--user", "1", "--ip", "::1"]), "cannot be used with");
    refused(&with(&["erase", "--ip", "localhost"]), "an address is such as");
    refused(&with(&["erase", "--user", ""]), "a user id has 1 to 255 bytes");
    refused(&with(&["erase", "--user", "1"]), "there is none at");
    refused(&with(&["export", "--user", "1"]), "there is no database at");
    refused(&["serve", "--retention", "1h"], "a retention is a day or longer");
    // Of an older program: nobody reads suppressions there.
    let path = nowhere.path().join("old.sqlite3");
    std::fs::File::create(&path).expect("a file");
    let url = format!("sqlite:{}", path.display());
    refused(&["erase", "--user", "1", "--database", &url], "run `djaffar migrate`");
    refused(&["prune", "--older-than", "90d", "--database", &url], "run `djaffar migrate`");
}
