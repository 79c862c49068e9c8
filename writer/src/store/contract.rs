//! What every [`Store`] must hold to; [`store_contract!`](crate::store_contract) runs it on an adapter.

use std::future::Future;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use shared::accounting::Accounting;
use shared::event::{Activity, SessionId, UserAgent};
use shared::frame::FrameId;
use shared::store::{
    Batch, DeadLetter, InfosVersion, Origin, Redelivered, SessionInfo, Store, StoreErrorKind, StoreReport,
    StoredActivity,
};
use uuid::Uuid;

use crate::subject::Subject;
use crate::suppression::ErasureMode;

pub use erasure::{
    an_erased_user_leaves_neither_rows_nor_letters_nor_infos, an_info_that_was_removed_is_stored_again,
    the_anonymised_keep_their_rows_and_nothing_else, what_is_still_queued_of_the_erased_is_suppressed,
};
pub use sample::{activity, batch, instant, session, with_infos};

mod erasure;
mod sample;

/// An adapter's database, empty at first, and how the suite reads it back.
pub trait StoreFixture: Send + Sync {
    type Store: Store;

    /// A further connection. `writer_id` names its accounting row, where the adapter has one per writer.
    fn open(&self, writer_id: &str) -> impl Future<Output = Self::Store> + Send;

    fn rows(&self) -> impl Future<Output = Rows> + Send;

    /// Erases what the subject has here and what was received until the returned instant.
    fn erase(&self, subject: &Subject, mode: ErasureMode) -> impl Future<Output = DateTime<Utc>> + Send;
}

/// Everything in the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// By (date, id); the user agent, which is the session's, is empty.
    pub activities: Vec<Activity>,
    /// By session id.
    pub session_infos: Vec<SessionInfo>,
    /// By frame id and index.
    pub dead_letters: Vec<DeadLetter>,
    /// One per writer.
    pub accounting: Vec<Accounting>,
}

impl Rows {
    fn paths(&self) -> Vec<&str> {
        self.activities.iter().map(|activity| activity.path.as_str()).collect()
    }

    /// Of all writers.
    fn totals(&self) -> Accounting {
        self.accounting.iter().inspect(|row| assert!(row.closes(), "{row:?}")).sum()
    }
}

/// The suite on one adapter: `store_contract!(async { fixture })`; the expression is evaluated for each test.
#[macro_export]
macro_rules! store_contract {
    ($fixture:expr) => {
        $crate::store_contract!(@each $fixture;
            new_rows_are_stored
            a_redelivered_batch_is_absorbed
            a_batch_may_hold_new_rows_and_old_ones
            overlapping_batches_of_two_writers_count_once
            the_same_id_on_another_date_is_another_row
            the_first_write_of_a_key_wins
            the_first_info_of_a_session_wins
            a_dead_letter_is_stored_with_its_neighbours
            dead_letters_may_be_all_there_is
            a_redelivered_dead_letter_is_kept_once
            doubles_inside_the_batch_count_as_duplicates
            an_empty_batch_changes_nothing
            odd_text_comes_back_as_it_was
            optional_values_may_be_missing
            wild_dates_are_stored
            ten_thousand_rows_fit_one_batch
            maintenance_may_be_repeated
            an_erased_user_leaves_neither_rows_nor_letters_nor_infos
            what_is_still_queued_of_the_erased_is_suppressed
            the_anonymised_keep_their_rows_and_nothing_else
            an_info_that_was_removed_is_stored_again
        );
    };
    (@each $fixture:expr; $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let fixture = $fixture.await;
            $crate::store::contract::$case(&fixture).await;
        }
    )*};
}

async fn opened<F: StoreFixture>(fixture: &F) -> F::Store {
    let mut store = fixture.open("contract").await;
    store.maintain(instant(0)).await.expect("an empty database can be brought up to date");
    store
}

/// Stores like the writer does: what is transient is tried again.
async fn store_at_last(store: &mut impl Store, batch: &Batch) -> StoreReport {
    for _ in 0..100 {
        match store.store(batch).await {
            Ok(report) => return StoreReport { infos_version: InfosVersion::default(), ..report },
            Err(error) if error.kind == StoreErrorKind::Transient => {}
            Err(error) => panic!("{:?}: {error}", error.kind),
        }
    }
    panic!("a hundred transient errors");
}

fn report(stored: u64, duplicate: u64, dead: u64) -> StoreReport {
    StoreReport { stored, duplicate, dead, ..StoreReport::default() }
}

fn info(session_id: &SessionId, agent: &str, first_seen: i64) -> SessionInfo {
    let user_agent = UserAgent::from_header(agent.as_bytes());
    SessionInfo { session_id: session_id.clone(), user_agent, first_seen: instant(first_seen) }
}

fn letter(bytes: &[u8], frame_id: Option<FrameId>, index: u32) -> DeadLetter {
    DeadLetter {
        bytes: Bytes::copy_from_slice(bytes),
        reason: "value too long, it's said: \"é\" \\ 100 %".to_owned(),
        sqlstate: frame_id.map(|_| "22001".to_owned()),
        origin: Origin { frame_id, index },
        first_seen: instant(5),
    }
}

pub async fn new_rows_are_stored(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let batch = with_infos(batch((0..100).map(activity)));
    assert_eq!(store_at_last(&mut store, &batch).await, report(100, 0, 0));
    let rows = fixture.rows().await;
    let expected: Vec<Activity> = batch.activities.iter().map(sample::as_read_back).collect();
    assert_eq!(rows.activities, expected);
    assert_eq!(rows.session_infos, batch.session_infos);
    assert_eq!(rows.totals(), Accounting { delivered: 100, stored: 100, ..Accounting::default() });
}

pub async fn a_redelivered_batch_is_absorbed(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let mut batch = with_infos(batch((0..10).map(activity)));
    store_at_last(&mut store, &batch).await;
    let first = fixture.rows().await;
    // Flagged or not (a queue's count is a lower bound), by this connection or a new one.
    assert_eq!(store_at_last(&mut store, &batch).await, report(0, 10, 0));
    batch.redelivered = Redelivered::Yes;
    assert_eq!(store_at_last(&mut store, &batch).await, report(0, 10, 0));
    assert_eq!(store_at_last(&mut fixture.open("another").await, &batch).await, report(0, 10, 0));
    let rows = fixture.rows().await;
    assert_eq!(rows.activities, first.activities);
    assert_eq!(rows.session_infos, first.session_infos);
    let totals = Accounting { delivered: 40, stored: 10, duplicate: 30, ..Accounting::default() };
    assert_eq!(rows.totals(), totals);
}

pub async fn a_batch_may_hold_new_rows_and_old_ones(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    store_at_last(&mut store, &batch((0..6).map(activity))).await;
    assert_eq!(store_at_last(&mut store, &batch((4..10).map(activity))).await, report(4, 2, 0));
    let mut flagged = batch((8..14).map(activity));
    flagged.redelivered = Redelivered::Yes;
    assert_eq!(store_at_last(&mut store, &flagged).await, report(4, 2, 0));
    // After duplicates an adapter may go another way: new rows are new there too.
    for round in 0..20 {
        let from = 20 + round * 3;
        assert_eq!(store_at_last(&mut store, &batch((from..from + 3).map(activity))).await, report(3, 0, 0));
    }
    assert_eq!(fixture.rows().await.activities.len(), 74);
}

pub async fn overlapping_batches_of_two_writers_count_once(fixture: &impl StoreFixture) {
    let mut one = opened(fixture).await;
    let mut two = fixture.open("another").await;
    for round in 0..20 {
        let from = round * 300;
        let left = with_infos(batch((from..from + 200).map(activity)));
        let right = with_infos(batch((from + 100..from + 300).map(activity)));
        let (left, right) = tokio::join!(store_at_last(&mut one, &left), store_at_last(&mut two, &right));
        assert_eq!(left.stored + right.stored, 300, "round {round}");
        assert_eq!(left.duplicate + right.duplicate, 100, "round {round}");
    }
    let rows = fixture.rows().await;
    assert_eq!(rows.activities.len(), 6000);
    let totals = Accounting { delivered: 8000, stored: 6000, duplicate: 2000, ..Accounting::default() };
    assert_eq!(rows.totals(), totals);
}

pub async fn the_same_id_on_another_date_is_another_row(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let mut twin = activity(2);
    twin.id = activity(1).id;
    assert_eq!(store_at_last(&mut store, &batch([activity(1), twin])).await, report(2, 0, 0));
    assert_eq!(fixture.rows().await.activities.len(), 2);
}

pub async fn the_first_write_of_a_key_wins(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    store_at_last(&mut store, &batch([activity(1)])).await;
    let mut second = activity(2);
    (second.id, second.date) = (activity(1).id, activity(1).date);
    assert_eq!(store_at_last(&mut store, &batch([second])).await, report(0, 1, 0));
    assert_eq!(fixture.rows().await.paths(), ["page/1"]);
}

pub async fn the_first_info_of_a_session_wins(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let [known, new] = [session(1), session(2)];
    let first = Batch { session_infos: vec![info(&known, "first", 1)], ..batch([activity(1)]) };
    store_at_last(&mut store, &first).await;
    let infos = vec![info(&known, "second", 2), info(&new, "", 3)];
    store_at_last(&mut store, &Batch { session_infos: infos, ..batch([activity(2)]) }).await;
    let expected = [info(&known, "first", 1), info(&new, "", 3)];
    assert_eq!(fixture.rows().await.session_infos, expected);
}

pub async fn a_dead_letter_is_stored_with_its_neighbours(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let dead_letters =
        vec![letter(b"\x00\xff raw \n", Some(sample::frame_id(1)), 3), letter(b"DJF?", None, 0)];
    let mut batch = batch([activity(1), activity(2)]);
    batch.delivered += 2;
    batch.dead_letters.clone_from(&dead_letters);
    assert_eq!(store_at_last(&mut store, &batch).await, report(2, 0, 2));
    let rows = fixture.rows().await;
    assert_eq!(rows.activities.len(), 2);
    assert_eq!(rows.dead_letters.len(), 2);
    assert!(dead_letters.iter().all(|letter| rows.dead_letters.contains(letter)), "{:?}", rows.dead_letters);
    assert_eq!(rows.totals(), Accounting { delivered: 4, stored: 2, dead: 2, ..Accounting::default() });
}

pub async fn dead_letters_may_be_all_there_is(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    // A whole frame: the largest letter there is.
    let frame = vec![0xa5; shared::frame::FRAME_BYTES_MAX];
    let batch = Batch { dead_letters: vec![letter(&frame, None, 0)], delivered: 1, ..Batch::default() };
    assert_eq!(store_at_last(&mut store, &batch).await, report(0, 0, 1));
    assert_eq!(fixture.rows().await.dead_letters, batch.dead_letters);
}

/// Its frame and index identify it; a corrupt frame has neither, only its bytes.
pub async fn a_redelivered_dead_letter_is_kept_once(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let dead_letters = vec![letter(b"corrupt", None, 0), letter(b"raw", Some(sample::frame_id(1)), 7)];
    let batch = Batch { dead_letters, delivered: 2, ..Batch::default() };
    for _ in 0..2 {
        assert_eq!(store_at_last(&mut store, &batch).await, report(0, 0, 2));
    }
    let rows = fixture.rows().await;
    assert_eq!(rows.dead_letters.len(), 2, "{:?}", rows.dead_letters);
    assert_eq!(rows.totals(), Accounting { delivered: 4, dead: 4, ..Accounting::default() });
}

/// The batcher has dropped them: only `delivered` tells of them.
pub async fn doubles_inside_the_batch_count_as_duplicates(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let mut batch = batch([activity(1), activity(2)]);
    batch.delivered = 5;
    assert_eq!(store_at_last(&mut store, &batch).await, report(2, 3, 0));
    assert_eq!(store_at_last(&mut store, &batch).await, report(0, 5, 0));
    let totals = Accounting { delivered: 10, stored: 2, duplicate: 8, ..Accounting::default() };
    assert_eq!(fixture.rows().await.totals(), totals);
}

pub async fn an_empty_batch_changes_nothing(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    assert_eq!(store_at_last(&mut store, &Batch::default()).await, report(0, 0, 0));
    let rows = fixture.rows().await;
    assert_eq!(rows.totals(), Accounting::default());
    assert!(rows.activities.is_empty() && rows.dead_letters.is_empty());
}

pub async fn odd_text_comes_back_as_it_was(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let texts = sample::odd_texts();
    let batch = with_infos(batch(texts.iter().enumerate().map(|(number, text)| sample::odd(number, text))));
    assert_eq!(store_at_last(&mut store, &batch).await, report(texts.len() as u64, 0, 0));
    let rows = fixture.rows().await;
    let expected: Vec<Activity> = batch.activities.iter().map(sample::as_read_back).collect();
    assert_eq!(rows.activities, expected);
    assert_eq!(rows.session_infos, batch.session_infos);
}

pub async fn optional_values_may_be_missing(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let bare = sample::bare(1);
    let mut wide = activity(2);
    wide.ip_address = Some(sample::address("2001:db8::ff00:42:8329"));
    let batch = batch([bare, wide]);
    assert_eq!(store_at_last(&mut store, &batch).await, report(2, 0, 0));
    let expected: Vec<Activity> = batch.activities.iter().map(sample::as_read_back).collect();
    assert_eq!(fixture.rows().await.activities, expected);
}

pub async fn wild_dates_are_stored(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let dates = sample::wild_dates();
    let batch = batch(dates.iter().enumerate().map(|(number, date)| sample::dated(number, *date)));
    let count = dates.len() as u64;
    assert_eq!(store_at_last(&mut store, &batch).await, report(count, 0, 0));
    assert_eq!(store_at_last(&mut store, &batch).await, report(0, count, 0));
    let expected: Vec<Activity> = batch.activities.iter().map(sample::as_read_back).collect();
    assert_eq!(fixture.rows().await.activities, expected);
}

pub async fn ten_thousand_rows_fit_one_batch(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    let batch = with_infos(batch((0..10_000).map(activity)));
    assert_eq!(store_at_last(&mut store, &batch).await, report(10_000, 0, 0));
    let rows = fixture.rows().await;
    assert_eq!((rows.activities.len(), rows.session_infos.len()), (10_000, batch.session_infos.len()));
}

pub async fn maintenance_may_be_repeated(fixture: &impl StoreFixture) {
    let mut store = opened(fixture).await;
    store_at_last(&mut store, &batch([activity(1)])).await;
    // Later months, an earlier clock, another connection: what is stored stays.
    let now: DateTime<Utc> = instant(0);
    for days in [0, 40, 400, -40] {
        store.maintain(now + TimeDelta::days(days)).await.expect("maintenance");
    }
    fixture.open("another").await.maintain(now).await.expect("maintenance by another writer");
    assert_eq!(store_at_last(&mut store, &batch([activity(1), activity(2)])).await, report(1, 1, 0));
    assert_eq!(fixture.rows().await.paths(), ["page/1", "page/2"]);
}

/// A row as the writer would hand it over.
fn row(activity: Activity, index: u32) -> StoredActivity {
    let raw = Bytes::from(activity.path.as_str().to_owned());
    StoredActivity {
        activity,
        raw: raw.into(),
        origin: Origin { frame_id: Some(FrameId(Uuid::from_u128(1))), index },
    }
}
