//! Pruned and erased under full load: nothing else is lost, and nobody waits (beside the table's faults).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use djaffar_tests::database::Database;
use djaffar_tests::journal::{Answer, Journal};
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::djaffar_prints;
use djaffar_tests::wait_until;
use serde_json::Value;
use shared::lifecycle::{OwnedTask, spawn_owned};

use crate::{PATIENCE, conclude_serve};

const OLD: &str = "insert into activity (id, date, received_at, session_id, ip_address, path, referer)
    select gen_random_uuid(), now() - interval '200 days' + n * interval '1 minute', now() - interval '200 days',
        's' || n / 10, '192.0.2.7', 'old', '' from generate_series(1, 100000) as n;
    insert into session_info select 's' || n, 'old', now() - interval '200 days' from generate_series(0, 10000) as n";
/// A writer may be held up for a second; the rest is a busy machine's, and the time between batches.
const COMMITS_APART_MAX: Duration = Duration::from_secs(4);

/// Looks how long the accounts stand still.
struct Commits {
    done: Arc<AtomicBool>,
    watch: OwnedTask<Duration>,
}

impl Commits {
    fn watch(database: Database) -> Self {
        let done = Arc::new(AtomicBool::default());
        let until = Arc::clone(&done);
        let watch = spawn_owned(async move {
            let (mut last, mut since, mut longest) = (0, Instant::now(), Duration::ZERO);
            while !until.load(Ordering::Relaxed) {
                let delivered = database.accounting().await.delivered;
                longest = longest.max(since.elapsed());
                if delivered != last {
                    (last, since) = (delivered, Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            longest
        });
        Self { done, watch }
    }

    async fn longest_apart(self) -> Duration {
        self.done.store(true, Ordering::Relaxed);
        self.watch.join().await.expect("no panic")
    }
}

/// Runs a command beside the load, on a thread that may wait, and reads its report.
async fn report(arguments: &[&str], database: &Database) -> Value {
    let url = database.url();
    let arguments = [arguments, &["--json", "--database", &url]].concat();
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let told = tokio::task::spawn_blocking(|| djaffar_prints(arguments)).await.expect("no panic");
    serde_json::from_str(&told).expect("a report in JSON")
}

struct Erased {
    session: String,
    until: DateTime<Utc>,
}

/// Erases the session of the newest row, once there is one that was not erased before.
async fn erase_one(database: &Database, journal: &mut Journal, done: &[Erased]) -> Erased {
    // What was answered may not be stored yet.
    let begun = Instant::now();
    let session = loop {
        let rows = database.activities().await;
        let mut sessions = rows.into_iter().rev().filter_map(|row| row.session);
        let fresh =
            |session: &String| session.len() == 32 && done.iter().all(|erased| erased.session != *session);
        if let Some(session) = sessions.find(fresh) {
            break session;
        }
        assert!(begun.elapsed() < PATIENCE, "no session has a row");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let report = report(&["erase", "--session", &session], database).await;
    journal.erased += report["activities"].as_u64().expect("a number");
    let until = report["received_until"].as_str().expect("an instant");
    Erased { session, until: DateTime::parse_from_rfc3339(until).expect("RFC 3339").to_utc() }
}

/// What was sent before its session was erased may be gone; what was sent after must not be.
fn forgive(journal: &mut Journal, erased: &[Erased]) {
    for sent in &mut journal.sent {
        let of_session = erased.iter().find(|erased| sent.session.as_ref() == Some(&erased.session));
        // The date is from before the request; whether it was received in time, a second decides.
        if of_session.is_some_and(|erased| sent.date <= erased.until + TimeDelta::seconds(1)) {
            sent.answer = Answer::Unclear;
        }
    }
}

/// None of what was received until then is stored.
async fn assert_gone(database: &Database, erased: &[Erased]) {
    for Erased { session, until } in erased {
        let count = match database {
            Database::Sqlite(_) => format!(
                "select count(*) from activity where session_id = '{session}' and received_at <= '{}'",
                until.format("%Y-%m-%d %H:%M:%S%.6f")
            ),
            Database::Postgres(_) => format!(
                "select count(*) from activity where session_id = '{session}' and received_at <= '{}'",
                until.to_rfc3339()
            ),
        };
        assert_eq!(database.number(String::leak(count)).await, 0);
    }
}

#[tokio::test]
async fn pruned_and_erased_under_full_load_nothing_else_is_lost() {
    let test = "pruned_and_erased_under_full_load_nothing_else_is_lost";
    let mut pipeline = Pipeline::running().await;
    let database = pipeline.database();
    database.sql(OLD).await;
    let load = pipeline.load(24);
    load.progress(500).await;
    let (mut told, mut erased) = (Journal::default(), Vec::new());
    let commits = Commits::watch(database.clone());
    let pruned = report(&["prune", "--older-than", "90days"], &database).await;
    assert_eq!(
        (&pruned["activities"], &pruned["session_infos"]),
        (&100_000.into(), &10_001.into()),
        "{pruned}"
    );
    assert!(!pruned["months"].as_array().expect("a list").is_empty(), "{pruned}");
    for _ in 0..4 {
        erased.push(erase_one(&database, &mut told, &erased).await);
        load.progress(200).await;
    }
    let apart = commits.longest_apart().await;
    assert!(apart < COMMITS_APART_MAX, "no COMMIT for {apart:?}");
    // What is queued while nobody stores is met later.
    assert_no_batch_failed(&pipeline).await;
    for writer in &mut pipeline.writers {
        writer.stop(PATIENCE).await;
    }
    load.progress(300).await;
    let again = erased.pop().expect("an erased session");
    let report_again = report(&["erase", "--session", &again.session], &database).await;
    told.erased += report_again["activities"].as_u64().expect("a number");
    let until = report_again["received_until"].as_str().expect("an instant");
    let until = DateTime::parse_from_rfc3339(until).expect("RFC 3339").to_utc();
    erased.push(Erased { until, ..again });
    for writer in &mut pipeline.writers {
        writer.start();
    }
    pipeline.wait_ready().await;
    load.progress(300).await;
    let mut journal = load.finish().await;
    forgive(&mut journal, &erased);
    journal.extend(told);
    pipeline.conclude(test, 1, &journal).await;
    assert_gone(&database, &erased).await;
    let accounting = database.accounting().await;
    assert!(accounting.suppressed > 0, "{accounting:?}");
    assert_no_batch_failed(&pipeline).await;
}

/// Since the writers' start.
async fn assert_no_batch_failed(pipeline: &Pipeline) {
    for writer in &pipeline.writers {
        let status = writer.status().await;
        let retries = status["writer"]["retries"].as_object().expect("counts");
        let failed: u64 = retries.values().filter_map(Value::as_u64).sum();
        assert_eq!(failed, 0, "a batch has failed: {retries:?}");
    }
}

#[tokio::test]
async fn erased_under_serve_nothing_else_is_lost() {
    let test = "erased_under_serve_nothing_else_is_lost";
    let mut serve = djaffar_tests::process::Djaffar::serve().with("--retention", "90days");
    serve.start_ready().await;
    let database = Database::of_serve(&serve.data_directory());
    database
        .sql(
            "insert into activity values ('00000000000000000000000000000001', '2020-01-01 00:00:00',
                 '2020-01-01 00:00:00', 'old', null, null, 'old', '');
             insert into session_info values ('old', '', '2020-01-01 00:00:00')",
        )
        .await;
    let load = djaffar_tests::client::Load::start(&[serve.listen()], 16);
    load.progress(300).await;
    let (mut told, mut erased) = (Journal::default(), Vec::new());
    for _ in 0..3 {
        erased.push(erase_one(&database, &mut told, &erased).await);
        load.progress(200).await;
    }
    let mut journal = load.finish().await;
    forgive(&mut journal, &erased);
    journal.extend(told);
    // The retention's first look is some seconds after the start.
    let old = "select count(*) from session_info where session_id = 'old'";
    wait_until("what is old to be pruned", PATIENCE, || async { database.number(old).await == 0 }).await;
    conclude_serve(test, 1, &serve, &journal).await;
    assert_gone(&database, &erased).await;
}
