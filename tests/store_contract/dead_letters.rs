//! Dead letters are read and removed beside a writer, the same way from both databases.

use std::time::{Duration, Instant};

use shared::frame::FrameId;
use shared::secret::Secret;
use shared::store::{Batch, DeadLetter, Origin, Store};
use sqlx::Connection as _;
use uuid::Uuid;
use writer::dead_letters::{DeadLetters, LetterFilter};
use writer::export::{ExportError, ExportSource};
use writer::store::contract::{StoreFixture, instant};

use crate::fixture::{PostgresFixture, SqliteFixture};

fn letter(number: u32) -> DeadLetter {
    let whole_frame = number.is_multiple_of(5);
    let origin = Origin { frame_id: (!whole_frame).then_some(FrameId(Uuid::from_u128(7))), index: number };
    DeadLetter {
        bytes: format!("letter {number}").repeat(40).into(),
        reason: format!("reason {}", number % 3),
        sqlstate: number.is_multiple_of(2).then(|| "23514".to_owned()),
        origin,
        first_seen: instant(i64::from(number) * 1000),
    }
}

async fn store_letters(store: &mut impl Store, numbers: std::ops::Range<u32>) {
    let dead_letters: Vec<DeadLetter> = numbers.map(letter).collect();
    let batch = Batch { delivered: dead_letters.len() as u64, dead_letters, ..Batch::default() };
    store.store(&batch).await.expect("the letters are stored");
}

async fn ids(letters: &mut DeadLetters, filter: LetterFilter) -> Vec<i64> {
    let mut ids = Vec::new();
    loop {
        let page = letters.page(&filter, ids.last().copied().unwrap_or(0), 7).await.expect("a page");
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.iter().map(|head| head.id));
    }
}

async fn letters_are_read_filtered_and_removed(fixture: &impl StoreFixture, source: &ExportSource) {
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the schema");
    store_letters(&mut store, 0..30).await;
    let mut letters = DeadLetters::open(source).await.expect("the database");
    let all = ids(&mut letters, LetterFilter::default()).await;
    assert_eq!(all.len(), 30);
    assert_eq!(letters.newest().await.expect("an id"), all[29]);
    for id in &all {
        let whole = letters.letter(*id).await.expect("an answer").expect("a letter");
        let number = u32::try_from((whole.head.first_seen - instant(0)).num_seconds()).expect("a number");
        let expected = letter(number);
        let head = whole.head;
        assert_eq!(whole.bytes, expected.bytes);
        assert_eq!((head.bytes, &head.reason), (expected.bytes.len() as u64, &expected.reason));
        assert_eq!((head.sqlstate, head.index), (expected.sqlstate, i64::from(number)));
        assert_eq!(head.frame_id, expected.origin.frame_id.map(|id| id.0));
    }
    let filter = |change: fn(&mut LetterFilter)| {
        let mut filter = LetterFilter::default();
        change(&mut filter);
        filter
    };
    for (count, filter) in [
        (10, filter(|filter| filter.reason = Some("son 2".to_owned()))),
        (15, filter(|filter| filter.sqlstate = Some("23514".to_owned()))),
        (10, filter(|filter| filter.since = Some(instant(20_000)))),
        (20, filter(|filter| filter.until = Some(instant(20_000)))),
        (0, filter(|filter| filter.reason = Some("%".to_owned()))),
    ] {
        assert_eq!(ids(&mut letters, filter.clone()).await.len(), count, "{filter:?}");
    }
    let page = letters.page(&LetterFilter::default(), 0, 12).await.expect("a page");
    assert_eq!(letters.remove(&page).await.expect("removed"), 12);
    assert_eq!(letters.remove(&page).await.expect("removed already"), 0);
    assert!(letters.letter(all[0]).await.expect("an answer").is_none());
    assert_eq!(ids(&mut letters, LetterFilter::default()).await, all[12..]);
}

/// Were an id given twice, whoever has read the first letter would remove the second unread.
async fn an_id_is_never_given_twice(fixture: &impl StoreFixture, source: &ExportSource) {
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the schema");
    store_letters(&mut store, 0..3).await;
    let mut letters = DeadLetters::open(source).await.expect("the database");
    let page = letters.page(&LetterFilter::default(), 0, 10).await.expect("a page");
    assert_eq!(letters.remove(&page).await.expect("removed"), 3);
    store_letters(&mut store, 3..6).await;
    assert_eq!(letters.remove(&page).await.expect("nothing to remove"), 0);
    assert_eq!(ids(&mut letters, LetterFilter::default()).await.len(), 3);
}

fn sqlite(fixture: &SqliteFixture) -> ExportSource {
    ExportSource::Sqlite(fixture.config().path)
}

fn postgres(fixture: &PostgresFixture) -> ExportSource {
    ExportSource::Postgres(Secret::new(fixture.url.as_str()))
}

#[tokio::test]
async fn letters_in_sqlite() {
    let fixture = SqliteFixture::new();
    letters_are_read_filtered_and_removed(&fixture, &sqlite(&fixture)).await;
}

#[tokio::test]
async fn letters_in_postgres() {
    let fixture = PostgresFixture::new().await;
    letters_are_read_filtered_and_removed(&fixture, &postgres(&fixture)).await;
}

#[tokio::test]
async fn sqlite_never_gives_a_letters_id_to_another() {
    let fixture = SqliteFixture::new();
    an_id_is_never_given_twice(&fixture, &sqlite(&fixture)).await;
}

#[tokio::test]
async fn postgres_never_gives_a_letters_id_to_another() {
    let fixture = PostgresFixture::new().await;
    an_id_is_never_given_twice(&fixture, &postgres(&fixture)).await;
}

#[tokio::test]
async fn a_database_without_letters_says_so() {
    let fixture = SqliteFixture::new();
    let missing = DeadLetters::open(&sqlite(&fixture)).await.expect_err("no file");
    assert!(matches!(missing, ExportError::NoRowsYet(_)), "{missing}");
    let empty = PostgresFixture::new().await;
    let mut letters = DeadLetters::open(&postgres(&empty)).await.expect("a connection");
    let error = letters.newest().await.expect_err("no tables");
    assert!(matches!(&error, ExportError::NoRowsYet(text) if text.contains("djaffar migrate")), "{error}");
}

/// Thousands are removed while somebody asks for SQLite's one write lock again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_from_sqlite_holds_no_writer_up() {
    const LETTERS: u32 = 20_000;
    let fixture = SqliteFixture::new();
    let mut store = fixture.open("writer").await;
    store.maintain(instant(0)).await.expect("the schema");
    store_letters(&mut store, 0..LETTERS).await;
    let source = sqlite(&fixture);
    let removing = shared::lifecycle::spawn_owned(async move {
        let mut letters = DeadLetters::open(&source).await.expect("the database");
        let page = letters.page(&LetterFilter::default(), 0, LETTERS).await.expect("a page");
        let started = Instant::now();
        assert_eq!(letters.remove(&page).await.expect("removed"), u64::from(LETTERS));
        started.elapsed()
    });
    let mut writer = fixture.connect().await;
    let mut waits = Vec::new();
    let left = "select count(*) from dead_letter";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&mut writer).await.expect("a count") > 0 {
        let asked = Instant::now();
        let transaction = writer.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
        waits.push(asked.elapsed());
        transaction.rollback().await.expect("the lock is given back");
    }
    let took = removing.join().await.expect("no panic");
    waits.sort();
    assert!(waits.len() > 10, "{} waits in {took:?}", waits.len());
    println!(
        "removed {LETTERS} in {took:?}; median {:?}, longest {:?}",
        waits[waits.len() / 2],
        waits[waits.len() - 1]
    );
    // The longest one is also a matter of the machine's load.
    assert!(waits[waits.len() / 2] < Duration::from_millis(50), "{waits:?}");
}
