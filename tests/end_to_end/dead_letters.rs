//! What the database refuses is kept, alone, and comes back when the cause is mended.

use std::process::Command;
use std::time::Duration;

use chrono::{SubsecRound, TimeDelta};
use djaffar_tests::batch::{Coding, batch_request};
use djaffar_tests::checker::DRAIN_LIMIT;
use djaffar_tests::client::{exchange, log_request};
use djaffar_tests::database::Database;
use djaffar_tests::journal::{Answer, Journal, Sent};
use djaffar_tests::nats::NatsServer;
use djaffar_tests::pipeline::SECRET_KEY;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::{Djaffar, Process, djaffar, djaffar_prints};
use djaffar_tests::{START_LIMIT, binary, wait_until};
use serde_json::Value;
use shared::frame::{Compression, EncodedActivity, FRAME_BYTES_MAX, FrameBuilder, FrameId};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::STOP_LIMIT;

const POISON: &str = "/poison";
const REFUSE_IN_POSTGRES: &str = "alter table activity add constraint no_poison check (path <> '/poison')";
const MEND_POSTGRES: &str = "alter table activity drop constraint no_poison";
const REFUSE_IN_SQLITE: &str = "create trigger no_poison before insert on activity when new.path = '/poison'
    begin select raise(abort, 'no poison'); end";
const MEND_SQLITE: &str = "drop trigger no_poison";

/// One ingest, one writer.
struct Split {
    ingest: Djaffar,
    writer: Djaffar,
    nats: NatsServer,
    database: Database,
    _postgres: Postgres,
}

impl Split {
    /// All of it runs, and Postgres refuses poison.
    async fn running(writer: impl FnOnce(Djaffar) -> Djaffar) -> Self {
        let (nats, postgres) = (NatsServer::running().await, Postgres::start().await);
        let ingest = Djaffar::ingest(&nats.url(), SECRET_KEY);
        let database = Database::Postgres(postgres.first_database());
        let writer = writer(Djaffar::writer(&nats.url(), &database.url()));
        let mut split = Self { ingest, writer, nats, database, _postgres: postgres };
        split.ingest.start_ready().await;
        split.writer.start_ready().await;
        split.database.sql(REFUSE_IN_POSTGRES).await;
        split
    }

    fn dead_letters(&self, arguments: &[&str]) -> String {
        djaffar_prints(self.arguments(arguments))
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut all = vec!["dead-letters".to_owned()];
        all.extend(arguments.iter().map(ToString::to_string));
        all.extend(["--database".to_owned(), self.database.url()]);
        if arguments[0] == "replay" {
            all.extend(["--queue".to_owned(), self.nats.url()]);
        }
        all
    }

    /// As `list --json` prints them.
    fn listed(&self) -> Vec<Value> {
        let lines = self.dead_letters(&["list", "--json"]);
        lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    async fn stored(&self, count: u64) {
        let what = format!("{count} rows");
        wait_until(&what, DRAIN_LIMIT, || async { self.database.count().await == count }).await;
    }
}

fn activity(path: String) -> Sent {
    let date = (shared::time::now() - TimeDelta::seconds(5)).trunc_subsecs(6);
    Sent { id: Uuid::new_v4(), date, path, session: None, answer: Answer::Accepted }
}

async fn log(process: &Djaffar, path: &str) -> Sent {
    let sent = activity(path.to_owned());
    let request = log_request(sent.id, sent.date, &sent.path, None);
    let response = exchange(process.listen(), &request).await.expect("an answer");
    assert_eq!(response.status, 204, "{response:?}");
    sent
}

async fn kept(database: &Database, count: u64) {
    let what = format!("{count} dead letters");
    wait_until(&what, DRAIN_LIMIT, || async { database.dead_letters().await == count }).await;
}

#[tokio::test]
async fn one_poison_activity_among_ten_thousand_is_kept_alone_and_replayed_alone() {
    let split = Split::running(|writer| writer).await;
    let mut journal = Journal::default();
    for batch in 0..10 {
        let path =
            |item| if (batch, item) == (6, 321) { POISON.to_owned() } else { format!("/{batch}/{item}") };
        let items: Vec<Sent> = (0..1000).map(|item| activity(path(item))).collect();
        let request = batch_request(&items, Coding::Zstd, None);
        let response = exchange(split.ingest.listen(), &request).await.expect("an answer");
        assert_eq!(response.status, 200, "{response:?}");
        journal.sent.extend(items);
    }
    split.stored(9_999).await;
    kept(&split.database, 1).await;
    let accounting = split.database.accounting().await;
    assert!(accounting.closes() && accounting.dead == 1, "{accounting:?}");

    let listed = split.listed();
    assert_eq!((&listed[0]["sqlstate"], listed.len()), (&"23514".into(), 1), "{listed:?}");
    let id = listed[0]["id"].to_string();
    let table = split.dead_letters(&["list", "--sqlstate", "23514", "--reason", "no_poison"]);
    assert!(table.lines().count() == 2 && table.contains("23514"), "{table}");
    let shown: Value = serde_json::from_str(&split.dead_letters(&["show", &id, "--json"])).expect("JSON");
    let poison = journal.sent.iter().find(|sent| sent.path == POISON).expect("it was sent");
    assert_eq!(shown["activity"]["id"], poison.id.to_string());
    assert_eq!(
        (&shown["activity"]["path"], &shown["activity"]["user_agent"]),
        (&POISON.into(), &"load/1.0".into())
    );
    wait_until("the count on /metrics", START_LIMIT, || async {
        let (_, metrics) = split.writer.admin("/metrics").await.expect("the admin listener answers");
        metrics.lines().any(|line| line == "djaffar_dead_letters 1")
    })
    .await;
    assert_eq!(split.writer.status().await["dead_letters"]["count"], 1);

    // Not mended yet: it is refused again, and still kept once.
    assert_eq!(split.dead_letters(&["replay", &id]), "1 dead letter replayed\n");
    wait_until("a second refusal", DRAIN_LIMIT, || async { split.database.accounting().await.dead == 2 })
        .await;
    let listed = split.listed();
    assert!(listed.len() == 1 && listed[0]["id"] != shown["id"], "{listed:?}");

    split.database.sql(MEND_POSTGRES).await;
    assert_eq!(split.dead_letters(&["replay", "--all"]), "1 dead letter replayed\n");
    split.stored(10_000).await;
    kept(&split.database, 0).await;
    journal.assert_kept(&split.database.activities().await);
    let accounting = split.database.accounting().await;
    assert!(accounting.closes() && accounting.stored == 10_000, "{accounting:?}");
    assert_eq!(split.dead_letters(&["list"]), "no dead letters\n");
}

#[tokio::test]
async fn a_replay_killed_between_ack_and_removal_neither_loses_nor_doubles() {
    let split = Split::running(|writer| writer).await;
    let mut journal = Journal::default();
    for _ in 0..5 {
        journal.sent.push(log(&split.ingest, POISON).await);
    }
    kept(&split.database, 5).await;
    split.database.sql(MEND_POSTGRES).await;
    {
        // Nobody can remove a letter while this transaction lasts.
        let mut holder = PgConnection::connect(&split.database.url()).await.expect("a connection");
        let mut transaction = holder.begin().await.expect("a transaction");
        let lock = "lock table dead_letter in share mode";
        sqlx::raw_sql(lock).execute(&mut *transaction).await.expect("the lock");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(binary("djaffar"));
        command.args(split.arguments(&["replay", "--all"]));
        let mut replay = Process::start("replay", &mut command, &directory.path().join("log"));
        split.stored(5).await;
        assert!(replay.is_running(), "it waits to remove what it has published");
        replay.kill();
    }
    assert_eq!(split.database.dead_letters().await, 5, "what is not removed is kept");
    assert_eq!(split.dead_letters(&["replay", "--all"]), "5 dead letters replayed\n");
    kept(&split.database, 0).await;
    wait_until("five duplicates", DRAIN_LIMIT, || async { split.database.accounting().await.duplicate == 5 })
        .await;
    journal.assert_kept(&split.database.activities().await);
    assert!(split.database.accounting().await.closes());
}

#[tokio::test]
async fn a_replay_without_its_queue_keeps_every_letter() {
    let mut split = Split::running(|writer| writer).await;
    log(&split.ingest, POISON).await;
    kept(&split.database, 1).await;
    split.nats.stop().await;
    let output = djaffar(split.arguments(&["replay", "--all"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("djaffar: queue: "), "{said}");
    assert_eq!(split.database.dead_letters().await, 1);
}

#[tokio::test]
async fn dead_letters_at_their_limit_stop_the_writer_until_there_is_room() {
    let split = Split::running(|writer| writer.with("--dead-letters-max", "200B")).await;
    log(&split.ingest, POISON).await;
    kept(&split.database, 1).await;
    log(&split.ingest, POISON).await;
    let red = || async {
        let (status, body) = split.writer.admin("/readyz").await.expect("the admin listener answers");
        status == 503 && body.contains("more than dead-letters-max (200B)")
    };
    wait_until("a red writer", DRAIN_LIMIT, red).await;
    let good = log(&split.ingest, "/good").await;
    assert_eq!(split.database.dead_letters().await, 1, "nothing beyond the limit is kept");

    let refused = djaffar(split.arguments(&["discard", "--all"]));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("--yes"), "{said}");
    assert_eq!(split.database.dead_letters().await, 1, "it has not been asked");
    assert_eq!(split.dead_letters(&["discard", "--all", "--yes"]), "1 dead letter discarded\n");
    split.stored(1).await;
    kept(&split.database, 1).await;
    assert_eq!(split.database.activities().await[0].id, good.id);
    wait_until("a green writer", DRAIN_LIMIT, || async {
        split.writer.admin("/readyz").await.is_some_and(|(status, _)| status == 200)
    })
    .await;
    assert!(split.database.accounting().await.closes());
}

#[tokio::test]
async fn a_replay_reaches_the_embedded_queue_with_and_without_its_process() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let data = serve.data_directory();
    let database = Database::of_serve(&data);
    database.sql(REFUSE_IN_SQLITE).await;
    let mut journal = Journal::default();
    for _ in 0..3 {
        journal.sent.push(log(&serve, POISON).await);
    }
    kept(&database, 3).await;
    let dead_letters = |arguments: &[&str]| {
        djaffar_prints(["dead-letters"].iter().chain(arguments).chain(&["--data-dir", data.as_str()]))
    };
    let first = dead_letters(&["list", "--json"]);
    let first: Value = serde_json::from_str(first.lines().next().expect("a line")).expect("JSON");
    database.sql(MEND_SQLITE).await;
    let said = dead_letters(&["replay", &first["id"].to_string()]);
    assert_eq!(said, "1 dead letter replayed\n");
    wait_until("a row", DRAIN_LIMIT, || async { database.count().await == 1 }).await;
    assert_eq!(database.dead_letters().await, 2);

    assert!(serve.stop(STOP_LIMIT).await.success(), "{}", serve.log());
    assert_eq!(dead_letters(&["replay", "--all"]), "2 dead letters replayed\n");
    assert_eq!((database.count().await, database.dead_letters().await), (1, 0), "the queue holds them");
    serve.start_ready().await;
    wait_until("all rows", DRAIN_LIMIT, || async { database.count().await == 3 }).await;
    journal.assert_kept(&database.activities().await);
}

#[tokio::test]
async fn frames_need_the_key_of_the_data_directory() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
    builder.push(&EncodedActivity::from(&writer::store::contract::activity(1)));
    let frame = builder.finish(FrameId::generate(), Compression::None);
    let client =
        reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().expect("a client");
    let post = async |url: String, key: Option<&str>| {
        let request = client.post(url).body(frame.bytes.clone());
        let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
        request.send().await.expect("an answer").status().as_u16()
    };
    let url = serve.admin_url("/frames");
    for key in [None, Some(""), Some("guess")] {
        assert_eq!(post(url.clone(), key).await, 401, "{key:?}");
    }
    let access =
        std::fs::read_to_string(format!("{}/admin-access", serve.data_directory())).expect("the access");
    let key = access.lines().nth(1).expect("a key");
    assert_eq!(post(format!("http://{}/frames", serve.listen()), Some(key)).await, 404, "it is not public");
    assert_eq!(post(url.clone(), Some(key)).await, 204);
    let database = Database::of_serve(&serve.data_directory());
    wait_until("its row", DRAIN_LIMIT, || async { database.count().await == 1 }).await;
    let too_large = "POST /frames HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n";
    let admin = serve.admin_url("").replace("http://", "").parse().expect("an address");
    assert_eq!(exchange(admin, too_large.as_bytes()).await.expect("an answer").status, 413);
    assert_eq!(client.get(&url).send().await.expect("an answer").status().as_u16(), 405);
    let corrupt = client.post(&url).bearer_auth(key).body("DJF").send().await.expect("an answer");
    assert_eq!(corrupt.status().as_u16(), 400);
}
