//! Makes the months that are missing without holding up the writers.
//!
//! Never `PARTITION OF` on its own: it waits for every reader of the table with
//! all writers queued behind it. `ATTACH` locks the new month and the default
//! partition, and `lock_timeout` bounds how long others wait for that.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::copy::COLUMNS;
use super::error::{Failure, within};
use super::locks::LOCKED;
use super::{prune, schema};
use crate::store::month::Month;

const PARTITIONS: &str = "\
SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'activity'::regclass ORDER BY relname";
/// Read from the catalog itself: `to_regclass` may answer from a cache older than the lock.
const EXISTS: &str = "\
SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'activity'::regclass))";
pub(super) const DEFAULT: &str = "activity_default";
pub(super) const STRAY: &str = "activity_stray";
const SHORT_LOCKS: &str = "SET LOCAL lock_timeout = '100ms'";
/// The default partition becomes an ordinary table and an empty one takes its place.
const SWAP_DEFAULT: &str = "\
ALTER TABLE activity DETACH PARTITION activity_default;
ALTER TABLE activity_default RENAME TO activity_stray;
CREATE TABLE activity_default PARTITION OF activity DEFAULT";
const DROP_STRAY: &str = "DROP TABLE activity_stray";

/// Rows of one month in the default partition that are moved under its lock
/// (0.3 s); more are carried over after a swap, unseen by readers meanwhile.
const MOVED_UNDER_LOCK_MAX: i64 = 50_000;
/// Rows of one statement that carries strays back.
const CARRIED_ROWS: u32 = 20_000;

const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// A month that a long reader keeps from being made is made by a later call.
const LOCK_BUDGET: Duration = Duration::from_secs(3);

/// `deadline` is that of each transaction.
pub(super) async fn maintain(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    deadline: Duration,
) -> Result<(), Failure> {
    let pruned = within(deadline, prune::pruned(connection)).await?;
    if let Some(month) = make_all(connection, Month::wanted(now, pruned.before), deadline).await? {
        tracing::warn!(partition = month.partition(), "a long transaction keeps a month from being made");
    }
    Ok(())
}

/// Makes those that are missing; returns the first that a long transaction kept from being made.
pub(super) async fn make_all(
    connection: &mut PgConnection,
    wanted: impl Iterator<Item = Month>,
    deadline: Duration,
) -> Result<Option<Month>, Failure> {
    carry_strays(connection, deadline).await?;
    let partitions: HashSet<String> = within(deadline, all(connection)).await?.into_iter().collect();
    let give_up = Instant::now() + LOCK_BUDGET;
    for month in wanted.filter(|month| !partitions.contains(&month.partition())) {
        match make(connection, month, deadline, give_up).await? {
            Made::Yes => {}
            Made::Swapped => carry_strays(connection, deadline).await?,
            Made::Locked => return Ok(Some(month)),
        }
    }
    Ok(None)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Yes,
    /// The former default partition waits to be carried over.
    Swapped,
    /// Somebody has held a lock for the whole budget.
    Locked,
}

async fn make(
    connection: &mut PgConnection,
    month: Month,
    deadline: Duration,
    give_up: Instant,
) -> Result<Made, Failure> {
    loop {
        let failure = match within(deadline, make_once(connection, month)).await {
            Err(failure) if failure.sqlstate().is_some_and(|code| LOCKED.contains(&&*code)) => failure,
            result => return result,
        };
        if Instant::now() >= give_up {
            return Ok(Made::Locked);
        }
        tracing::debug!(%failure, "a month waits for a lock");
        sleep(LOCK_PAUSE.mul_f64(rand::random_range(1.0..2.0))).await;
    }
}

async fn make_once(connection: &mut PgConnection, month: Month) -> Result<Made, Failure> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(SHORT_LOCKS).execute(&mut *transaction).await?;
    sqlx::raw_sql(schema::LOCK).execute(&mut *transaction).await?;
    // Another writer may have been faster.
    if exists(&mut transaction, &month.partition()).await? {
        transaction.commit().await?;
        return Ok(Made::Yes);
    }
    let waiting: i64 =
        sqlx::query_scalar(AssertSqlSafe(count_waiting(month))).fetch_one(&mut *transaction).await?;
    let (statements, made) = if waiting < MOVED_UNDER_LOCK_MAX {
        (move_and_attach(month), Made::Yes)
    } else {
        (swap(month), Made::Swapped)
    };
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(made)
}

fn count_waiting(month: Month) -> String {
    let (start, end) = (month.start(), month.next().start());
    format!(
        "SELECT count(*) FROM (
            SELECT FROM activity_default WHERE date >= {start} AND date < {end} LIMIT {MOVED_UNDER_LOCK_MAX}
        ) AS waiting"
    )
}

/// The CHECK spares ATTACH the scan of the month; only the default partition is locked for others.
fn move_and_attach(month: Month) -> String {
    let (partition, start, end) = (month.partition(), month.start(), month.next().start());
    format!(
        "LOCK TABLE activity_default IN ACCESS EXCLUSIVE MODE;
        CREATE TABLE {partition} (
            LIKE activity INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE,
            CONSTRAINT month CHECK (date >= {start} AND date < {end})
        );
        WITH moved AS (
            DELETE FROM activity_default WHERE date >= {start} AND date < {end} RETURNING {COLUMNS}
        )
        INSERT INTO {partition} ({COLUMNS}) SELECT {COLUMNS} FROM moved;
        ALTER TABLE activity ATTACH PARTITION {partition} FOR VALUES FROM ({start}) TO ({end});
        ALTER TABLE {partition} DROP CONSTRAINT month"
    )
}

/// `PARTITION OF` adds no lock here: the swap has locked the whole table already.
fn swap(month: Month) -> String {
    let (partition, start, end) = (month.partition(), month.start(), month.next().start());
    format!(
        "{SWAP_DEFAULT}; CREATE TABLE {partition} PARTITION OF activity FOR VALUES FROM ({start}) TO ({end})"
    )
}

/// Carries the rows of a former default partition to where they belong; goes on where a killed writer stopped.
pub(super) async fn carry_strays(connection: &mut PgConnection, deadline: Duration) -> Result<(), Failure> {
    while within(deadline, exists(connection, STRAY)).await? {
        within(deadline, carry_some(connection)).await?;
    }
    Ok(())
}

async fn carry_some(connection: &mut PgConnection) -> Result<(), Failure> {
    let statement = format!(
        "WITH moved AS (
            DELETE FROM activity_stray
            WHERE ctid = ANY(ARRAY(SELECT ctid FROM activity_stray LIMIT {CARRIED_ROWS}))
            RETURNING {COLUMNS}
        ), carried AS (
            INSERT INTO activity ({COLUMNS}) SELECT {COLUMNS} FROM moved ORDER BY date, id ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM moved"
    );
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(schema::LOCK).execute(&mut *transaction).await?;
    if exists(&mut transaction, STRAY).await? {
        let carried: i64 = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut *transaction).await?;
        if carried == 0 {
            sqlx::raw_sql(DROP_STRAY).execute(&mut *transaction).await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// The tables of the rows, by name.
pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<String>, Failure> {
    Ok(sqlx::query_scalar(PARTITIONS).fetch_all(connection).await?)
}

pub(super) async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar(EXISTS).bind(table).fetch_one(connection).await?)
}
