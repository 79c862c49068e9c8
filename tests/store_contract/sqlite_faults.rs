//! What can go wrong with the file, and that the store goes on afterwards.

use std::os::unix::fs::PermissionsExt;

use shared::store::{Batch, Store, StoreErrorKind};
use sqlx::Connection;
use writer::store::contract::{StoreFixture, activity, batch, instant};
use writer::store::sqlite::{self, SqliteStore};

use crate::fixture::SqliteFixture;

async fn opened(fixture: &SqliteFixture) -> SqliteStore {
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the file can be made");
    store
}

fn ten() -> Batch {
    batch((0..10).map(activity))
}

#[tokio::test]
async fn only_its_owner_can_read_the_file() {
    let fixture = SqliteFixture::new();
    let mut store = opened(&fixture).await;
    store.store(&ten()).await.expect("stored");
    for entry in fixture.files() {
        let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{entry:?}");
    }
}

#[tokio::test]
async fn a_lock_held_too_long_is_transient() {
    let fixture = SqliteFixture::new();
    let mut store = opened(&fixture).await;
    let mut other = fixture.connect().await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    let error = store.store(&ten()).await.expect_err("locked");
    assert_eq!(error.kind, StoreErrorKind::Transient, "{error}");
    lock.rollback().await.expect("the lock is given back");
    assert_eq!(store.store(&ten()).await.expect("stored").stored, 10);
}

#[tokio::test]
async fn a_refused_row_is_an_error_of_the_data() {
    let fixture = SqliteFixture::new();
    let mut store = opened(&fixture).await;
    fixture
        .sql(
            "create trigger polite before insert on activity when new.path = 'page/7'
             begin select raise(abort, 'not polite'); end",
        )
        .await;
    let error = store.store(&ten()).await.expect_err("refused");
    assert_eq!(error.kind, StoreErrorKind::Data, "{error}");
    assert!(fixture.rows().await.activities.is_empty());
    assert_eq!(store.store(&batch((0..7).map(activity))).await.expect("stored").stored, 7);
}

#[tokio::test]
async fn a_missing_table_is_an_error_of_the_schema() {
    let fixture = SqliteFixture::new();
    let mut store = opened(&fixture).await;
    fixture.sql("drop table activity").await;
    assert_eq!(store.store(&ten()).await.expect_err("missing").kind, StoreErrorKind::Schema);
    assert_eq!(store.maintain(instant(0)).await.expect_err("missing").kind, StoreErrorKind::Schema);
}

#[tokio::test]
async fn an_older_program_says_so() {
    let fixture = SqliteFixture::new();
    opened(&fixture).await;
    fixture.sql("pragma user_version = 99").await;
    let error = fixture.open("older").await.store(&ten()).await.expect_err("newer");
    assert_eq!(error.kind, StoreErrorKind::Schema);
    assert!(error.reason.contains("upgrade djaffar"), "{error}");
}

#[tokio::test]
async fn status_reads_the_totals_beside_the_writer() {
    let fixture = SqliteFixture::new();
    let mut store = opened(&fixture).await;
    store.store(&ten()).await.expect("stored");
    store.store(&ten()).await.expect("absorbed");
    let status = sqlite::status(&fixture.config()).await.expect("the file can be read");
    let [(_, totals)] = &*status.accounting else { panic!("{status:?}") };
    assert_eq!((totals.delivered, totals.stored, totals.duplicate), (20, 10, 10));
    assert_eq!((status.dead_letters.count, status.dead_letters.bytes), (0, 0));
}
