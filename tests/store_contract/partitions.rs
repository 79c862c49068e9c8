//! Months are made beside readers and writers, wherever their rows already wait.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use shared::event::{Activity, EventDate};
use shared::lifecycle::spawn_owned;
use shared::store::Store;
use sqlx::Connection;
use writer::store::contract::{activity, batch, instant};

use crate::fixture::{PostgresFixture, connect, count, postgres_store};

const ROWS: &str = "select count(*) from activity";
const IN_DEFAULT: &str = "select count(*) from activity_default";
/// Six months after `instant(0)`: two beyond what exists.
const IN_MAY: &str = "select count(*) from activity_2027_05";
const MAY_EXISTS: &str = "select count(*) from pg_class where relname = 'activity_2027_05'";

async fn opened() -> (PostgresFixture, writer::store::postgres::PostgresStore) {
    let fixture = PostgresFixture::new().await;
    let mut store = postgres_store(&fixture.url, "writer");
    store.maintain(instant(0)).await.expect("an empty database can be brought up to date");
    (fixture, store)
}

fn dated(number: u32, days: i64) -> Activity {
    let date = EventDate::new(activity(number).date.instant() + TimeDelta::days(days)).expect("a date");
    Activity { date, ..activity(number) }
}

#[tokio::test]
async fn rows_that_wait_in_the_default_partition_move_into_their_month() {
    let (fixture, mut store) = opened().await;
    let coming = batch((0..50).map(|number| dated(number, 180)));
    let wild = batch((50..60).map(|number| dated(number, 3650)));
    store.store(&coming).await.expect("stored");
    store.store(&wild).await.expect("stored");
    assert_eq!(fixture.count(IN_DEFAULT).await, 60);
    store.maintain(instant(0) + TimeDelta::days(90)).await.expect("maintained");
    assert_eq!((fixture.count(IN_MAY).await, fixture.count(IN_DEFAULT).await), (50, 10));
    assert_eq!(store.store(&coming).await.expect("absorbed").duplicate, 50);
    let indexes =
        "select count(*) from pg_index where indrelid = 'activity_2027_05'::regclass and indisvalid";
    assert_eq!(fixture.count(indexes).await, 3);
    let checks =
        "select count(*) from pg_constraint where conrelid = 'activity_2027_05'::regclass and contype = 'c'";
    assert_eq!(fixture.count(checks).await, 0);
}

/// So many rows are not moved while the default partition is locked.
#[tokio::test]
async fn many_rows_that_wait_are_carried_over() {
    let (fixture, mut store) = opened().await;
    let fill = "insert into activity (id, date, received_at, path, referer)
        select gen_random_uuid(), '2027-05-01 00:00:00+00'::timestamptz + n * interval '10 seconds', now(), 'x', ''
        from generate_series(1, 60000) as n";
    fixture.sql(fill).await;
    store.store(&batch([dated(1, 3650)])).await.expect("stored");
    assert_eq!(fixture.count(IN_DEFAULT).await, 60_001);
    store.maintain(instant(0) + TimeDelta::days(90)).await.expect("maintained");
    assert_eq!((fixture.count(IN_MAY).await, fixture.count(IN_DEFAULT).await), (60_000, 1));
    assert_eq!(fixture.count("select count(*) from pg_class where relname = 'activity_stray'").await, 0);
}

#[tokio::test]
async fn another_writer_goes_on_where_a_killed_one_stopped_carrying() {
    let (fixture, mut store) = opened().await;
    let rows = batch((0..100).map(activity));
    store.store(&rows).await.expect("stored");
    let stopped = "begin; alter table activity detach partition activity_default;
        alter table activity_default rename to activity_stray;
        create table activity_default partition of activity default; commit;
        insert into activity_stray select * from activity limit 40;
        insert into activity_stray (id, date, received_at, path, referer)
            values (gen_random_uuid(), '2027-05-05 00:00:00+00', now(), 'x', '')";
    fixture.sql(stopped).await;
    postgres_store(&fixture.url, "another").maintain(instant(0)).await.expect("maintained");
    assert_eq!((fixture.count(ROWS).await, fixture.count(IN_DEFAULT).await), (101, 1));
    assert_eq!(fixture.count("select count(*) from pg_class where relname = 'activity_stray'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_reader_holds_up_the_month_but_not_the_writers() {
    /// A tenth of a second under the lock, and room for a busy machine.
    const LONGEST: Duration = Duration::from_secs(1);
    let (fixture, mut store) = opened().await;
    let mut reader = connect(&fixture.url).await;
    let mut transaction = reader.begin().await.expect("a transaction");
    sqlx::raw_sql(ROWS).execute(&mut *transaction).await.expect("read");

    let url = fixture.url.clone();
    let storing = spawn_owned(async move {
        let mut writer = postgres_store(&url, "beside");
        writer.store(&batch([activity(0)])).await.expect("stored");
        let (mut stored, mut longest) = (1, Duration::ZERO);
        while count(&url, "select count(*) from session_info").await == 0 {
            // Into this month and into the default partition.
            let rows = batch([activity(stored), dated(stored, 3650)]);
            let started = Instant::now();
            writer.store(&rows).await.expect("stored");
            longest = longest.max(started.elapsed());
            stored += 1;
        }
        longest
    });
    store.maintain(instant(0) + TimeDelta::days(90)).await.expect("it gives up for now");
    assert_eq!(fixture.count(MAY_EXISTS).await, 0);
    fixture.sql("insert into session_info values ('the end', '', now())").await;
    let longest = storing.join().await.expect("no panic");
    assert!(longest < LONGEST, "{longest:?}");

    transaction.rollback().await.expect("the reader is done");
    store.maintain(instant(0) + TimeDelta::days(90)).await.expect("maintained");
    assert_eq!(fixture.count(MAY_EXISTS).await, 1);
}
