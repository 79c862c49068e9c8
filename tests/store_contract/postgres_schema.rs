//! Several writers start at once; errors of the data are told from errors of the schema.

use shared::store::{Batch, Store, StoreError, StoreErrorKind};
use writer::store::contract::{StoreFixture, activity, batch, instant, with_infos};
use writer::store::postgres::{self, ATTEMPT_TIMEOUT, PostgresConfig, PostgresStore};

use crate::fixture::{PostgresFixture, postgres_store};

const WRITERS: usize = 4;

async fn opened(fixture: &PostgresFixture) -> PostgresStore {
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("an empty database can be brought up to date");
    store
}

fn ten() -> Batch {
    with_infos(batch((0..10).map(activity)))
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(
    result: Result<T, StoreError>,
    kind: StoreErrorKind,
    sqlstate: Option<&str>,
) {
    let error = result.expect_err("an error");
    assert_eq!((error.kind, error.sqlstate.as_deref()), (kind, sqlstate), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_writers_may_start_at_once() {
    let fixture = PostgresFixture::new().await;
    let starts = (0..WRITERS).map(|number| {
        let mut store = postgres_store(&fixture.url, &number.to_string());
        async move { store.maintain(instant(0)).await }
    });
    for result in futures_util::future::join_all(starts).await {
        result.expect("the schema is up to date");
    }
    assert_eq!(fixture.count("select count(*) from djaffar_schema").await, 2);
    let partitions = "select count(*) from pg_inherits where inhparent = 'activity'::regclass";
    assert_eq!(fixture.count(partitions).await, 17);
}

#[tokio::test]
async fn an_older_program_says_so() {
    let fixture = PostgresFixture::new().await;
    opened(&fixture).await;
    fixture.sql("insert into djaffar_schema values (99, now())").await;
    let mut older = fixture.open("older").await;
    let error = older.maintain(instant(0)).await.expect_err("an error");
    assert_eq!(error.kind, StoreErrorKind::Schema);
    assert!(
        error.reason.contains("schema version 99") && error.reason.contains("upgrade djaffar"),
        "{error}"
    );
    assert_refused(older.store(&ten()).await, StoreErrorKind::Schema, None);
}

#[tokio::test]
async fn a_missing_column_stops_the_writer_until_it_is_back() {
    let fixture = PostgresFixture::new().await;
    let mut store = opened(&fixture).await;
    fixture.sql("alter table activity drop column referer").await;
    assert_refused(store.store(&ten()).await, StoreErrorKind::Schema, Some("42703"));
    assert_refused(store.maintain(instant(0)).await, StoreErrorKind::Schema, Some("42703"));
    fixture.sql("alter table activity add column referer text not null").await;
    store.maintain(instant(0)).await.expect("the schema is as expected");
    assert_eq!(store.store(&ten()).await.expect("stored").stored, 10);
}

#[tokio::test]
async fn a_missing_table_is_an_error_of_the_schema() {
    let fixture = PostgresFixture::new().await;
    let mut store = opened(&fixture).await;
    fixture.sql("drop table session_info").await;
    assert_refused(store.store(&ten()).await, StoreErrorKind::Schema, Some("42P01"));
    assert_eq!(fixture.count("select count(*) from activity").await, 0);
    fixture.sql("drop table activity").await;
    assert_refused(store.store(&ten()).await, StoreErrorKind::Schema, Some("42P01"));
}

#[tokio::test]
async fn a_month_without_a_partition_is_an_error_of_the_schema() {
    let fixture = PostgresFixture::new().await;
    let mut store = opened(&fixture).await;
    fixture.sql("drop table activity_default, activity_2026_11").await;
    assert_refused(store.store(&ten()).await, StoreErrorKind::Schema, Some("23514"));
}

#[tokio::test]
async fn a_row_that_a_constraint_refuses_is_an_error_of_the_data() {
    let fixture = PostgresFixture::new().await;
    let mut store = opened(&fixture).await;
    fixture.sql("alter table activity add constraint polite check (path <> 'page/7')").await;
    assert_refused(store.store(&ten()).await, StoreErrorKind::Data, Some("23514"));
    assert_eq!(fixture.count("select count(*) from activity").await, 0);
    // Bisecting goes on with the same store.
    let innocent = batch((0..7).map(activity));
    assert_eq!(store.store(&innocent).await.expect("stored").stored, 7);
    assert_refused(store.store(&batch([activity(7)])).await, StoreErrorKind::Data, Some("23514"));
    let merged = ten();
    assert_refused(store.store(&merged).await, StoreErrorKind::Data, Some("23514"));
    assert_eq!(fixture.count("select count(*) from session_info").await, 0);
}

#[tokio::test]
async fn status_reads_the_totals_beside_the_writers() {
    let fixture = PostgresFixture::new().await;
    let mut store = opened(&fixture).await;
    store.store(&ten()).await.expect("stored");
    store.store(&ten()).await.expect("absorbed");
    let url = shared::secret::Secret::new(&*fixture.url);
    let config = PostgresConfig { url, writer_id: String::new(), attempt_timeout: ATTEMPT_TIMEOUT };
    let status = postgres::status(&config).await.expect("the database can be read");
    let [(writer, totals)] = &*status.accounting else { panic!("{status:?}") };
    assert_eq!((writer.as_str(), totals.delivered, totals.stored, totals.duplicate), ("writer", 20, 10, 10));
    assert_eq!((status.dead_letters.count, status.dead_letters.bytes), (0, 0));
}
