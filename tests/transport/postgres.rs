//! TLS to Postgres: the writer's connections, and those that look up who a visitor is.

use djaffar_tests::certificates::Authority;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::{Djaffar, djaffar};
use djaffar_tests::{START_LIMIT, wait_until};
use sqlx::{Connection, PgConnection};

use crate::{KEY, assert_refused, log, text, wait_for_red};

const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

async fn server(authority: &Authority, names: &[&str]) -> Postgres {
    let mut server = Postgres::new().with_certificate(&authority.certify(names));
    server.restart().await;
    server
}

fn url(server: &Postgres, parameters: &str) -> String {
    format!("{}?{parameters}", server.first_database())
}

fn verified(server: &Postgres, mode: &str, authority: &Authority) -> String {
    url(server, &format!("sslmode={mode}&sslrootcert={}", text(&authority.ca())))
}

/// Connections of this application: encrypted ones, and all.
async fn connections(server: &Postgres, application: &str) -> (i64, i64) {
    let mut connection = PgConnection::connect(&server.first_database()).await.expect("a connection");
    sqlx::query_as(
        "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = $1",
    )
    .bind(application)
    .fetch_one(&mut connection)
    .await
    .expect("the views are there")
}

async fn rows(server: &Postgres, path: &str) -> i64 {
    let Ok(mut connection) = PgConnection::connect(&server.first_database()).await else { return 0 };
    let count = sqlx::query_scalar("SELECT count(*) FROM activity WHERE path = $1").bind(path);
    // Before the writer has made the table there is none.
    count.fetch_one(&mut connection).await.unwrap_or(0)
}

fn check(database: &str) -> (Option<i32>, String) {
    let output =
        djaffar(["check", "--role", "writer", "--queue", "nats://127.0.0.1:1", "--database", database]);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn rows_travel_encrypted_to_a_server_that_is_verified() {
    let authority = Authority::new();
    let server = server(&authority, &NAMES).await;
    for (number, database) in [
        verified(&server, "verify-full", &authority),
        verified(&server, "verify-ca", &authority),
        url(&server, "sslmode=require"),
        url(&server, "sslmode=prefer"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut serve = Djaffar::serve().with("--database", database);
        serve.start_ready().await;
        let path = format!("encrypted/{number}/");
        assert_eq!(log(&serve, &path).await, Some(204));
        wait_until("the row", START_LIMIT, || async { rows(&server, &path).await == 1 }).await;
        let (encrypted, all) = connections(&server, "djaffar writer").await;
        assert!(encrypted > 0 && encrypted == all, "{number}: {encrypted} of {all}");
    }
    let mut plain = Djaffar::serve().with("--database", url(&server, "sslmode=disable"));
    plain.start_ready().await;
    assert_eq!(log(&plain, "plain/").await, Some(204));
    wait_until("the row", START_LIMIT, || async { rows(&server, "plain/").await == 1 }).await;
    wait_until("plain connections only", START_LIMIT, || async {
        let (encrypted, all) = connections(&server, "djaffar writer").await;
        encrypted == 0 && all > 0
    })
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_be_verified_gets_no_rows_and_a_sentence_says_why() {
    let authority = Authority::new();
    let server = server(&authority, &["elsewhere.example"]).await;
    let stranger = Authority::new();
    for (database, words, remedy) in [
        (verified(&server, "verify-full", &authority), "for another name", "verify-ca"),
        (verified(&server, "verify-full", &stranger), "not trusted", "sslrootcert"),
        (verified(&server, "verify-ca", &stranger), "not trusted", "sslrootcert"),
    ] {
        let (code, said) = check(&database);
        let line = said.lines().find(|line| line.starts_with("wrong    database: ")).unwrap_or(&said);
        assert!(code == Some(2) && line.contains(words) && line.contains(remedy), "{said}");
        // A certificate may be renewed: the writer waits for it, red, with the reason.
        let mut serve = Djaffar::serve().with("--database", &database);
        serve.start();
        wait_for_red(&serve, words).await;
        let dump = djaffar(["dump", "activity", "--database", &database]);
        let said = String::from_utf8_lossy(&dump.stderr);
        assert!(dump.status.code() == Some(2) && said.contains(words), "{said}");
    }
    assert_eq!(
        check(&verified(&server, "verify-ca", &authority)).1.matches("database Postgres reached").count(),
        1
    );
}

#[tokio::test]
async fn files_and_modes_that_are_not_what_they_should_be_stop_the_start() {
    let authority = Authority::new();
    let key = text(&authority.certify(&["djaffar"]).key);
    let nats = NatsServer::new();
    for (parameters, words) in [
        ("sslmode=full".to_owned(), "--database"),
        ("sslmode=verify-full&sslrootcert=missing.pem".to_owned(), "sslrootcert: cannot read missing.pem"),
        (format!("sslmode=verify-full&sslrootcert={key}"), "holds no certificate"),
        (format!("sslcert={}", text(&authority.ca())), "sslcert without sslkey"),
    ] {
        let database = format!("postgres://u@127.0.0.1/d?{parameters}");
        assert_refused(Djaffar::writer(&nats.url(), &database), &["--database", words]).await;
        let site = Djaffar::ingest(&nats.url(), KEY)
            .with("--token-database", &database)
            .with("--token-query", "SELECT user_id FROM api_key WHERE key = $1");
        assert_refused(site, &["token-database"]).await;
    }
}

#[tokio::test]
async fn what_leaves_the_machine_in_plain_text_is_warned_about_once() {
    let sentences = |log: &str| log.matches("sslmode=verify-full").count();
    for (database, count) in [
        ("postgres://u@192.0.2.1/d", 1),
        ("postgres://u@192.0.2.1/d?sslmode=disable", 1),
        ("postgres://u@192.0.2.1/d?sslmode=verify-full", 0),
        ("postgres://u@127.0.0.1:1/d", 0),
        ("postgres://u@%2Frun%2Fnowhere/d", 0),
    ] {
        let mut serve = Djaffar::serve().with("--database", database);
        serve.start();
        wait_for_red(&serve, "store").await;
        let log = serve.log();
        assert_eq!(sentences(&log), count, "{database}: {log}");
        assert_eq!(log.contains("192.0.2.1"), count == 1, "{log}");
        let said = djaffar([
            "check",
            "--config-only",
            "--role",
            "writer",
            "--queue",
            "nats://a",
            "--database",
            database,
        ]);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(sentences(&said), count, "{said}");
    }
}

#[tokio::test]
async fn the_sites_database_is_asked_over_tls() {
    let authority = Authority::new();
    let server = server(&authority, &NAMES).await;
    let mut connection = PgConnection::connect(&server.first_database()).await.expect("a connection");
    sqlx::raw_sql(
        "CREATE TABLE api_key (key text, user_id text); INSERT INTO api_key VALUES ('t0ken', 'anna')",
    )
    .execute(&mut connection)
    .await
    .expect("a table");
    let looking_up = |database: &str| {
        Djaffar::serve()
            .with("--token-database", database)
            .with("--token-query", "SELECT user_id FROM api_key WHERE key = $1")
    };
    let ask = async |serve: &Djaffar| {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.post(format!("http://{}/djaffar/log/", serve.listen())).bearer_auth("t0ken");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body("date=2026-11-25T00:29:13Z&path=a/").send().await;
        answer.expect("an answer").status().as_u16()
    };
    let mut serve = looking_up(&verified(&server, "verify-full", &authority));
    serve.start_ready().await;
    assert_eq!(ask(&serve).await, 204);
    let (encrypted, all) = connections(&server, "djaffar identity").await;
    assert!(encrypted > 0 && encrypted == all, "{encrypted} of {all}");

    let other = Authority::new();
    let database = verified(&server, "verify-full", &other);
    let mut stranger = looking_up(&database);
    stranger.start_ready().await;
    assert_eq!(ask(&stranger).await, 503);
    let said = djaffar(["check", "--token-database", &database, "--token-query", "SELECT 'a' WHERE '' = $1"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("cannot be asked: Postgres: no TLS with the server, its certificate is not trusted"),
        "{said}"
    );
}
