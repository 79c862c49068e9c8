//! What is older than a limit goes, from both databases, and nobody is held up.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use shared::event::{Activity, EventDate};
use shared::lifecycle::spawn_owned;
use shared::store::Store;
use sqlx::Connection as _;
use writer::prune::{PruneMode, PruneReport, Pruning};
use writer::store::contract::{StoreFixture, activity, batch, instant, session, with_infos};
use writer::store::{postgres, sqlite};

use crate::fixture::{PostgresFixture, SqliteFixture, connect, postgres_store};

/// A second for which nobody may be held up, and the time of a busy machine.
const HELD_UP_MAX: Duration = Duration::from_secs(2);

fn date(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a date").to_utc()
}

/// Of a session of its own.
fn row(number: u32, happened: &str, received: &str) -> Activity {
    let date = |text| EventDate::new(self::date(text)).expect("a date");
    Activity {
        date: date(happened),
        received_at: date(received),
        session_id: Some(session(number)),
        ..activity(number)
    }
}

/// What goes and what stays, whichever the database: the months exist from 2025-11 to 2027-02.
fn rows() -> Vec<Activity> {
    [
        // They go.
        ("2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z"),
        ("2026-06-30T23:59:59Z", "2026-07-01T00:00:00Z"),
        ("2026-08-14T23:59:59Z", "2026-08-14T23:59:59Z"),
        ("2150-01-01T00:00:00Z", "2026-08-14T00:00:00Z"),
        // As old as their date, which may be trusted in the months.
        ("2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        // They stay.
        ("2026-08-15T00:00:00Z", "2026-08-15T00:00:00Z"),
        ("2026-10-01T00:00:00Z", "2026-08-01T00:00:00Z"),
        ("2150-01-01T00:00:00Z", "2026-11-01T00:00:00Z"),
    ]
    .into_iter()
    .zip(0..)
    .map(|((happened, received), number)| row(number, happened, received))
    .collect()
}

fn pruning(mode: PruneMode) -> Pruning {
    Pruning { before: date("2026-08-15T00:00:00Z"), mode }
}

async fn what_is_older_goes<F: StoreFixture>(
    fixture: &F,
    prune: impl AsyncFn(PruneMode) -> PruneReport,
) -> PruneReport {
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the schema");
    store.store(&with_infos(batch(rows()))).await.expect("stored");
    let before = fixture.rows().await;
    let counted = prune(PruneMode::Count).await;
    assert_eq!(fixture.rows().await, before, "counting changes nothing");
    let pruned = prune(PruneMode::Prune).await;
    assert_eq!(pruned, counted);
    assert_eq!(pruned.rows(), 5, "{pruned:?}");
    // One was first seen after the limit.
    assert_eq!(pruned.session_infos, 4, "{pruned:?}");
    let left = fixture.rows().await;
    let paths: Vec<_> = left.activities.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["page/5", "page/6", "page/7"]);
    assert_eq!(left.session_infos.len(), 4);
    // What comes late is stored, and goes the next time.
    let late = with_infos(batch([row(9, "2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z")]));
    assert_eq!(store.store(&late).await.expect("stored").stored, 1);
    assert_eq!(prune(PruneMode::Prune).await.rows(), 1);
    assert_eq!(prune(PruneMode::Prune).await.rows(), 0);
    pruned
}

#[tokio::test]
async fn what_is_older_goes_from_sqlite() {
    let fixture = SqliteFixture::new();
    let prune = async |mode| {
        let report = sqlite::prune(&fixture.config(), &pruning(mode)).await;
        report.expect("it can be pruned").expect("no other pruning")
    };
    let pruned = what_is_older_goes(&fixture, prune).await;
    assert!(pruned.months.is_empty());
    let retention = Duration::from_secs(90 * 86_400);
    let due = sqlite::is_due(&fixture.config(), date("2026-11-15T00:00:00Z"), retention).await;
    assert!(due.expect("an answer"), "for a later limit");
}

#[tokio::test]
async fn what_is_older_goes_from_postgres() {
    let fixture = PostgresFixture::new().await;
    let prune = async |mode| {
        let report = postgres::prune(&fixture.config(), &pruning(mode)).await;
        report.expect("it can be pruned").expect("no other pruning")
    };
    let pruned = what_is_older_goes(&fixture, prune).await;
    let months: Vec<&str> = pruned.months.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!((months.len(), months[0], months[8]), (9, "activity_2025_11", "activity_2026_07"));
    // Whoever looks after the months agrees.
    postgres_store(&fixture.url, "writer").maintain(instant(0)).await.expect("maintained");
    let partitions = "select count(*) from pg_inherits where inhparent = 'activity'::regclass";
    assert_eq!(fixture.count(partitions).await, 17 - 9);
    assert_eq!(fixture.count("select count(*) from pg_class where relname ~ 'pruned_2'").await, 0);
}

#[tokio::test]
async fn only_one_prunes_at_a_time_and_what_a_killed_one_left_goes() {
    let fixture = PostgresFixture::new().await;
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the schema");
    let mut other = connect(&fixture.url).await;
    let lock = "select pg_advisory_lock(x'646a616666617203'::bigint)";
    sqlx::raw_sql(lock).execute(&mut other).await.expect("a lock");
    let none = postgres::prune(&fixture.config(), &pruning(PruneMode::Prune)).await.expect("an answer");
    assert_eq!(none, None);
    other.close().await.expect("closed");
    fixture
        .sql(
            "alter table activity detach partition activity_2025_12;
             alter table activity_2025_12 rename to activity_pruned_2025_12",
        )
        .await;
    let report = loop {
        let report = postgres::prune(&fixture.config(), &pruning(PruneMode::Prune)).await;
        if let Some(report) = report.expect("an answer") {
            break report;
        }
    };
    assert_eq!(report.months.len(), 8);
    assert_eq!(fixture.count("select count(*) from pg_class where relname ~ 'pruned_2'").await, 0);
}

/// A reader of all months holds up the dropping; the writers go on, and no session loses its info.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pruning_behind_a_long_reader_holds_no_writer_up() {
    let fixture = PostgresFixture::new().await;
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the schema");
    store.store(&with_infos(batch(rows()))).await.expect("stored");
    let mut reader = connect(&fixture.url).await;
    let mut transaction = reader.begin().await.expect("a transaction");
    sqlx::raw_sql("select count(*) from activity").execute(&mut *transaction).await.expect("read");

    let url = fixture.url.clone();
    let storing = spawn_owned(async move {
        let mut writer = postgres_store(&url, "beside");
        let (mut known, mut longest) = (None, Duration::ZERO);
        for number in 100.. {
            // Of sessions that the writer knows after the first time.
            let rows = batch([Activity { session_id: Some(session(number % 7)), ..activity(number) }]);
            let rows = if known.is_none() { with_infos(rows) } else { rows };
            let begun = Instant::now();
            let report = writer.store(&shared::store::Batch { infos_known: known, ..rows }).await;
            longest = longest.max(begun.elapsed());
            known = (number > 107).then_some(report.expect("stored").infos_version).or(known);
            let end = "select count(*) from session_info where session_id = 'the end'";
            if crate::fixture::count(&url, end).await > 0 {
                break;
            }
        }
        longest
    });
    let config = fixture.config();
    let pruned = spawn_owned(async move { postgres::prune(&config, &pruning(PruneMode::Prune)).await });
    // Some tries find the reader; then it is done.
    let waits = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'";
    djaffar_tests::wait_until("a pruning that waits", Duration::from_secs(30), || async {
        fixture.count(waits).await > 0
    })
    .await;
    fixture.sql("select pg_sleep(1)").await;
    transaction.rollback().await.expect("the reader is done");
    let report = pruned.join().await.expect("no panic").expect("pruned").expect("no other pruning");
    assert_eq!(report.months.len(), 9, "{report:?}");
    fixture.sql("insert into session_info values ('the end', '', now())").await;
    let longest = storing.join().await.expect("no panic");
    assert!(longest < HELD_UP_MAX, "{longest:?}");
    let without = "select count(*) from activity where session_id is not null
        and not exists (select from session_info where session_info.session_id = activity.session_id)";
    assert_eq!(fixture.count(without).await, 0);
}

/// The file's one lock is the writer's: nobody else has it for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pruning_of_sqlite_holds_its_lock_for_moments() {
    let fixture = SqliteFixture::new();
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the schema");
    let old = TimeDelta::days(-200);
    for hundred in 0..100_u32 {
        let rows = (hundred * 100..hundred * 100 + 100).map(|number| {
            let date = EventDate::new(activity(number).date.instant() + old).expect("a date");
            Activity { date, received_at: date, ..activity(number) }
        });
        store.store(&with_infos(batch(rows))).await.expect("stored");
    }
    let config = fixture.config();
    let pruned = spawn_owned(async move { sqlite::prune(&config, &pruning(PruneMode::Prune)).await });
    let mut longest = Duration::ZERO;
    let mut number = 20_000;
    while fixture.rows().await.activities.iter().any(|row| row.received_at.instant() < instant(0)) {
        let begun = Instant::now();
        store.store(&with_infos(batch([activity(number)]))).await.expect("stored");
        longest = longest.max(begun.elapsed());
        number += 1;
    }
    let report = pruned.join().await.expect("no panic").expect("pruned").expect("no other pruning");
    assert_eq!((report.activities, report.session_infos), (10_000, 1000));
    assert!(longest < HELD_UP_MAX, "{longest:?}");
    let left = fixture.rows().await;
    assert_eq!(left.activities.len(), (number - 20_000) as usize);
}
