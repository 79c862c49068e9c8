//! Removes the infos of sessions that no activity names any more.
//!
//! A writer leaves out the info of a session that it knows to be stored. So an
//! info goes only while no store transaction runs, together with the version
//! that tells every later one to forget what it knows.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::error::{Failure, within};
use super::locks::{self, Patience};
use super::{partitions, schema};

/// A month is asked by its index, one session at a time: a join would read all of it.
const REMOVE: &str = "\
DELETE FROM session_info WHERE session_id IN (
    SELECT candidate.session_id FROM unnest($1::text[]) AS candidate (session_id)
    LEFT JOIN LATERAL (
        SELECT true AS is_used FROM activity WHERE activity.session_id = candidate.session_id LIMIT 1
    ) AS found ON true
    WHERE is_used IS NULL
)";
const FORGET: &str = "UPDATE keeping SET info_version = info_version + 1";
const PAGE: &str = "\
WITH page AS (SELECT session_id, first_seen FROM session_info WHERE session_id > $1 ORDER BY session_id LIMIT $2)
SELECT max(page.session_id), array_agg(page.session_id) FILTER (WHERE first_seen < $3 AND is_used IS NULL)
FROM page LEFT JOIN LATERAL (
    SELECT true AS is_used FROM activity
    WHERE activity.session_id = page.session_id AND page.first_seen < $3 LIMIT 1
) AS found ON true";
const SHARED: &str = "\
SELECT count(*) FROM unnest($1::text[]) AS candidate (session_id)
CROSS JOIN LATERAL (SELECT FROM activity WHERE activity.session_id = candidate.session_id LIMIT 1) AS found";

const PAGE_INFOS: i64 = 5000;
/// Under the lock: the writers wait meanwhile.
const LOCKED_TARGET: Duration = Duration::from_millis(100);
const CHUNK_MIN: usize = 50;
const CHUNK_MAX: usize = 5000;
const LOCK_BUDGET: Duration = Duration::from_secs(60);

/// How many sessions one transaction takes; learns from each how many it may be.
#[derive(Debug)]
pub(super) struct Remover {
    chunk: usize,
    deadline: Duration,
}

impl Remover {
    pub(super) fn new(deadline: Duration) -> Self {
        Self { chunk: 500, deadline }
    }

    /// Removes those of the sessions that no activity names; returns how many there were.
    pub(super) async fn remove(
        &mut self,
        connection: &mut PgConnection,
        sessions: &[String],
    ) -> Result<u64, Failure> {
        let mut removed = 0;
        let mut rest = sessions;
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(self.chunk.min(rest.len()));
            let mut patience = Patience::of(LOCK_BUDGET);
            let (count, held) = loop {
                partitions::carry_strays(connection, self.deadline).await?;
                match within(self.deadline, remove_once(connection, chunk, &patience)).await {
                    Ok(Some(done)) => break done,
                    // Another default partition is being carried over.
                    Ok(None) => {}
                    Err(failure) if patience.tries_again_after(&failure).await => {}
                    Err(failure) => return Err(failure),
                }
            };
            removed += count;
            rest = others;
            self.chunk = match held {
                held if held > LOCKED_TARGET => (self.chunk / 2).max(CHUNK_MIN),
                held if held < LOCKED_TARGET / 2 => (self.chunk * 2).min(CHUNK_MAX),
                _ => self.chunk,
            };
            // The writers have the larger share of the time.
            if !rest.is_empty() {
                sleep(held * 3).await;
            }
        }
        Ok(removed)
    }
}

/// `None` while rows wait to be carried over, unseen: their sessions would look unused.
async fn remove_once(
    connection: &mut PgConnection,
    sessions: &[String],
    patience: &Patience,
) -> Result<Option<(u64, Duration)>, Failure> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(patience.statement())).execute(&mut *transaction).await?;
    sqlx::raw_sql(schema::LOCK).execute(&mut *transaction).await?;
    if partitions::exists(&mut transaction, partitions::STRAY).await? {
        return Ok(None);
    }
    sqlx::raw_sql(locks::ALONE).execute(&mut *transaction).await?;
    let locked = Instant::now();
    let removed = sqlx::query(REMOVE).bind(sessions).execute(&mut *transaction).await?.rows_affected();
    if removed > 0 {
        sqlx::raw_sql(FORGET).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(Some((removed, locked.elapsed())))
}

/// The sessions first seen before `before`, without activities, of a page of the infos that begins
/// `after` a session; and where it ends, `None` after the last.
pub(super) async fn unused_page(
    connection: &mut PgConnection,
    after: &str,
    before: DateTime<Utc>,
) -> Result<(Option<String>, Vec<String>), Failure> {
    let query = sqlx::query_as(PAGE).bind(after).bind(PAGE_INFOS).bind(before);
    let (last, unused): (Option<String>, Option<Vec<String>>) = query.fetch_one(connection).await?;
    Ok((last, unused.unwrap_or_default()))
}

/// How many of the sessions have activities.
pub(super) async fn shared(connection: &mut PgConnection, sessions: &[String]) -> Result<u64, Failure> {
    let count: i64 = sqlx::query_scalar(SHARED).bind(sessions).fetch_one(connection).await?;
    Ok(count.cast_unsigned())
}
