//! Stores what `djaffar load` has read, beside running writers.
//!
//! The rows go the writer's own way, one transaction of the store after the other, so that a row
//! that is there already is a duplicate and the accounts close: each committed row counts as
//! delivered, in rows of `accounting` that [`is_account`] tells from those of the writers. What
//! the database refuses is named to the caller and is no dead letter: its original is a file.

use std::time::Duration;

use shared::chance;
use shared::event::{Activity, SessionId};
use shared::store::{Batch, SessionInfo, Store, StoreError, StoreErrorKind, StoredActivity};
use tokio::time::Instant;

use crate::batch::key;
use crate::retry::{self, Next};

/// Under this name a load accounts for its rows; Postgres adds the number of the connection.
pub const ACCOUNT: &str = "load";

/// Whether the account is a load's, whose rows no ingest has accepted.
#[must_use]
pub fn is_account(writer_id: &str) -> bool {
    writer_id == ACCOUNT
        || writer_id.strip_prefix(ACCOUNT).is_some_and(|rest| {
            rest.strip_prefix('/')
                .is_some_and(|lane| !lane.is_empty() && lane.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

/// Failed attempts in a row, one minute of them, after which a database is given up.
const FAILURES_MAX: u32 = 12;
/// Rows refused in a row, none stored between them: not they are wrong but the schema.
const REFUSED_MAX: usize = 100;
/// What a transaction may take while it holds the one write lock; half of what others may wait.
const LOCK_TIME: Duration = Duration::from_millis(25);
const SHARED_ROWS_FIRST: usize = 200;
const SHARED_ROWS_MIN: usize = 20;
const SHARED_ROWS_MAX: usize = 5_000;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the files.
    pub file: usize,
    /// From 1.
    pub line: u64,
}

/// What is stored together, as far as the database allows.
#[derive(Debug, Default)]
pub struct Chunk {
    pub activities: Vec<(Place, Activity)>,
    pub session_infos: Vec<(Place, SessionInfo)>,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    pub stored: u64,
    /// There already, or twice in the files.
    pub duplicate: u64,
    /// Left out because their owner was erased.
    pub suppressed: u64,
    /// New or there already.
    pub session_infos: u64,
    /// By the database.
    pub refused: u64,
}

impl std::ops::AddAssign for LoadReport {
    fn add_assign(&mut self, other: Self) {
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.suppressed += other.suppressed;
        self.session_infos += other.session_infos;
        self.refused += other.refused;
    }
}

/// How much one transaction takes.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// All that there is.
    Whole,
    /// The writers share one lock: as many rows as keep it for some [`LOCK_TIME`], then a break.
    Shared { rows: usize },
}

impl Pace {
    #[must_use]
    pub fn shared() -> Self {
        Self::Shared { rows: SHARED_ROWS_FIRST }
    }

    fn rows_max(self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Shared { rows } => rows,
        }
    }

    /// Learns from a transaction of `rows` and returns how long to leave the lock to others:
    /// without a break, one who asks now and then might never find it free.
    fn learn(&mut self, rows: usize, taken: Duration) -> Duration {
        let Self::Shared { rows: rows_max } = self else { return Duration::ZERO };
        let fitting = rows as f64 * LOCK_TIME.as_secs_f64() / taken.as_secs_f64().max(1e-6);
        let most = (*rows_max * 2).min(SHARED_ROWS_MAX);
        // A small rest says little about a full one.
        if rows * 2 >= *rows_max || (fitting as usize) < rows {
            *rows_max = (fitting as usize).clamp(SHARED_ROWS_MIN, most.max(SHARED_ROWS_MIN));
        }
        taken / 4
    }
}

/// One connection of a load.
#[derive(Debug)]
pub struct Loader<S> {
    store: S,
    pace: Pace,
    /// Refused since a row was last stored.
    refused_in_a_row: usize,
}

fn rows(batch: &Batch) -> usize {
    batch.activities.len() + batch.session_infos.len()
}

/// Takes about half of the rows away; one of two tables first, so that each part is simpler.
fn halve(batch: &mut Batch) -> Batch {
    if !batch.activities.is_empty() && !batch.session_infos.is_empty() {
        return split_off(batch, batch.activities.len());
    }
    split_off(batch, rows(batch) / 2)
}

/// Takes away what is beyond the first rows; activities come first.
fn split_off(batch: &mut Batch, count: usize) -> Batch {
    let activities = batch.activities.split_off(count.min(batch.activities.len()));
    let infos_kept = count.saturating_sub(batch.activities.len()).min(batch.session_infos.len());
    let session_infos = batch.session_infos.split_off(infos_kept);
    batch.delivered = batch.activities.len() as u64;
    Batch { delivered: activities.len() as u64, activities, session_infos, ..Batch::default() }
}

impl<S: Store> Loader<S> {
    pub fn new(store: S, pace: Pace) -> Self {
        Self { store, pace, refused_in_a_row: 0 }
    }

    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Stores the chunk; `refuse` hears of each record that the database does not take.
    ///
    /// # Errors
    /// The database stays away or its schema is wrong. What was stored until then stays.
    pub async fn load(
        &mut self,
        chunk: Chunk,
        mut refuse: impl FnMut(Place, &str),
    ) -> Result<LoadReport, StoreError> {
        let mut report = LoadReport::default();
        let activity_places: Vec<Place> = chunk.activities.iter().map(|(place, _)| *place).collect();
        let info_places: Vec<_> =
            chunk.session_infos.iter().map(|(place, info)| (info.session_id.clone(), *place)).collect();
        // A stack: the last is stored next.
        let mut pieces = vec![sorted(chunk, &mut report)];
        let mut failures = 0;
        while let Some(mut piece) = pieces.pop() {
            if rows(&piece) == 0 {
                continue;
            }
            if rows(&piece) > self.pace.rows_max() {
                pieces.push(split_off(&mut piece, self.pace.rows_max()));
            }
            let started = Instant::now();
            let error = match self.store.store(&piece).await {
                Ok(stored) => {
                    report.stored += stored.stored;
                    report.duplicate += stored.duplicate;
                    report.suppressed += stored.suppressed;
                    report.session_infos += piece.session_infos.len() as u64;
                    (failures, self.refused_in_a_row) = (0, 0);
                    tokio::time::sleep(self.pace.learn(rows(&piece), started.elapsed())).await;
                    continue;
                }
                Err(error) => error,
            };
            failures += 1;
            match retry::next(error.kind, failures, chance::fraction()) {
                Next::Isolate if rows(&piece) == 1 => {
                    failures = 0;
                    report.refused += 1;
                    self.refused_in_a_row += 1;
                    let place = place_of(&piece, &activity_places, &info_places);
                    refuse(place, &format!("the database refuses it: {error}"));
                    if self.refused_in_a_row > REFUSED_MAX {
                        return Err(StoreError { kind: StoreErrorKind::Schema, ..error });
                    }
                }
                Next::Isolate => {
                    failures = 0;
                    let half = halve(&mut piece);
                    pieces.extend([half, piece]);
                }
                Next::Retry { after } | Next::Halve { after } if failures <= FAILURES_MAX => {
                    tracing::info!(%error, ?after, "rows are not stored yet");
                    tokio::time::sleep(after).await;
                    if error.kind == StoreErrorKind::Timeout && rows(&piece) > 1 {
                        let half = halve(&mut piece);
                        pieces.push(half);
                    }
                    pieces.push(piece);
                }
                Next::Retry { .. } | Next::Halve { .. } | Next::AwaitSchema { .. } => return Err(error),
            }
        }
        Ok(report)
    }
}

/// As a store wants its rows; of two with one key the first counts, as in the database.
fn sorted(chunk: Chunk, report: &mut LoadReport) -> Batch {
    let stored = |(index, (_, activity)): (usize, (Place, Activity))| {
        // The position in the chunk, which fits: memory bounds it far below.
        StoredActivity::of_no_frame(activity, u32::try_from(index).unwrap_or(u32::MAX))
    };
    let mut activities: Vec<StoredActivity> = chunk.activities.into_iter().enumerate().map(stored).collect();
    let count = activities.len();
    activities.sort_by_key(key);
    activities.dedup_by_key(|row| key(row));
    report.duplicate += (count - activities.len()) as u64;
    let mut session_infos: Vec<SessionInfo> = chunk.session_infos.into_iter().map(|(_, info)| info).collect();
    session_infos.sort_by(|one, other| one.session_id.cmp(&other.session_id));
    session_infos.dedup_by(|one, other| one.session_id == other.session_id);
    Batch { delivered: activities.len() as u64, activities, session_infos, ..Batch::default() }
}

fn place_of(batch: &Batch, activities: &[Place], infos: &[(SessionId, Place)]) -> Place {
    let activity = batch.activities.first().and_then(|row| activities.get(row.origin.index as usize));
    let info = || {
        let info = batch.session_infos.first()?;
        infos.iter().find(|(session_id, _)| *session_id == info.session_id).map(|(_, place)| place)
    };
    activity.or_else(info).copied().unwrap_or(Place { file: 0, line: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::activity;
    use crate::store::memory::{Attempt, MemoryDatabase};

    #[test]
    fn accounts_of_loads_are_told_apart() {
        assert!(["load", "load/0", "load/12"].into_iter().all(is_account));
        assert!(
            !["", "loader", "load/", "load/a", "load/0/0", "sqlite", "host/load/0"]
                .into_iter()
                .any(is_account)
        );
    }

    #[test]
    fn the_pace_finds_what_the_lock_time_holds() {
        let mut pace = Pace::shared();
        for _ in 0..20 {
            let rows = pace.rows_max();
            pace.learn(rows, Duration::from_micros(20) * u32::try_from(rows).expect("few rows"));
        }
        assert_eq!(pace.rows_max(), 1250, "25 ms of 20 µs");
        assert_eq!(pace.learn(1250, Duration::from_secs(5)), Duration::from_millis(1250), "a break");
        assert_eq!(pace.rows_max(), SHARED_ROWS_MIN);
        pace.learn(1, Duration::from_micros(20));
        assert_eq!(pace.rows_max(), SHARED_ROWS_MIN, "one row is no measure");
        assert_eq!(Pace::Whole.rows_max(), usize::MAX);
    }

    fn chunk(numbers: impl Iterator<Item = u32>) -> Chunk {
        let place = |number: u32| Place { file: 0, line: number.into() };
        let activities = numbers.map(|number| (place(number), activity(number)));
        Chunk { activities: activities.collect(), session_infos: Vec::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn refused_rows_are_named_and_their_neighbours_stored() {
        let database = MemoryDatabase::default();
        for number in [3, 40, 41] {
            database.poison(activity(number).id);
        }
        let mut loader = Loader::new(database.open(ACCOUNT), Pace::Whole);
        let mut refused = Vec::new();
        let chunk = chunk((0..100).chain([7]));
        let report = loader.load(chunk, |place, _| refused.push(place.line)).await.expect("it goes on");
        refused.sort_unstable();
        assert_eq!(refused, [3, 40, 41]);
        assert_eq!((report.stored, report.duplicate, report.refused), (97, 1, 3));
        assert_eq!(database.activities().len(), 97);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_away_for_a_while_is_waited_for_and_then_given_up() {
        let database = MemoryDatabase::default();
        let mut loader = Loader::new(database.open(ACCOUNT), Pace::Whole);
        let fails = |kind| Attempt::Fails(kind);
        database.script([fails(StoreErrorKind::Transient), fails(StoreErrorKind::Timeout)]);
        let report = loader.load(chunk(0..10), |_, _| {}).await.expect("it comes back");
        assert_eq!(report.stored, 10);
        database.script(std::iter::repeat_n(fails(StoreErrorKind::Transient), FAILURES_MAX as usize + 1));
        assert!(loader.load(chunk(10..20), |_, _| {}).await.is_err());
        database.script([fails(StoreErrorKind::Schema)]);
        assert!(loader.load(chunk(20..30), |_, _| {}).await.is_err());
    }
}
