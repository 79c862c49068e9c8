//! Prunes a SQLite file beside the running writer, a short transaction at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::store::StoreError;
use sqlx::SqliteConnection;

use super::chunk::Chunk;
use super::erase::{ERASE, in_chunks, open, remove_infos};
use super::error::{Failure, within};
use super::{SqliteConfig, django_text};
use crate::export::sqlite_instant;
use crate::prune::{PruneMode, PruneReport, Pruned, Pruning, suppression_limit};
use crate::store::month::Month;

const BEGUN: &str = "UPDATE keeping SET pruned_before = max(coalesce(pruned_before, ''), ?1)";
const DONE: &str = "UPDATE keeping SET pruned_at = ?1";
const PRUNED: &str = "SELECT pruned_before, pruned_at FROM keeping";
/// The last key of a piece; none when fewer are left.
const END_OF_PIECE: &str =
    "SELECT date, id FROM activity WHERE date < ?1 ORDER BY date, id LIMIT 1 OFFSET ?2";
const REMOVE_PIECE: &str = "DELETE FROM activity WHERE date < ?1 AND (date, id) <= (?2, ?3)";
const WILD: &str = "\
SELECT date, id FROM activity WHERE date >= ?1 AND received_at < ?2 AND (date, id) > (?3, ?4)
ORDER BY date, id LIMIT 2000";
const INFOS: &str = "\
SELECT session_id, first_seen < ?1 AND NOT EXISTS (
    SELECT 1 FROM activity WHERE activity.session_id = session_info.session_id
) FROM session_info WHERE session_id > ?2 ORDER BY session_id LIMIT 2000";
const OLD_SUPPRESSIONS: &str = "DELETE FROM suppression WHERE received_until < ?1";

const COUNT_ROWS: &str = "\
SELECT (SELECT count(*) FROM activity WHERE date < ?1)
    + (SELECT count(*) FROM activity WHERE date >= max(?1, ?2) AND received_at < ?1)";
const COUNT_INFOS: &str = "\
SELECT count(*) FROM session_info WHERE first_seen < ?1 AND NOT EXISTS (
    SELECT 1 FROM activity WHERE activity.session_id = session_info.session_id AND date >= ?1
        AND (date < ?2 OR received_at >= ?1)
)";
const COUNT_SUPPRESSIONS: &str = "SELECT count(*) FROM suppression WHERE received_until < ?1";
const COUNT_LETTERS: &str = "SELECT count(*) FROM dead_letter WHERE first_seen < ?1";

const DEADLINE: Duration = Duration::from_secs(3600);
const QUESTION_DEADLINE: Duration = Duration::from_secs(60);

/// Always `Some`: prunings beside each other do no harm here.
///
/// # Errors
/// The file is missing, busy or of another schema. What is done stays done; another run goes on.
pub async fn prune(config: &SqliteConfig, pruning: &Pruning) -> Result<Option<PruneReport>, StoreError> {
    within(DEADLINE, async {
        let mut connection = open(config).await?;
        let mut report = match pruning.mode {
            PruneMode::Prune => remove(&mut connection, pruning.before).await?,
            PruneMode::Count => count(&mut connection, pruning.before).await?,
        };
        report.dead_letters_kept = scalar(&mut connection, COUNT_LETTERS, pruning.before).await?;
        Ok(Some(report))
    })
    .await
}

/// Whether a retention of that length asks for a pruning now.
///
/// # Errors
/// The file is missing, busy or of another schema.
pub async fn is_due(
    config: &SqliteConfig,
    now: DateTime<Utc>,
    retention: Duration,
) -> Result<bool, StoreError> {
    within(QUESTION_DEADLINE, async {
        let mut connection = open(config).await?;
        let (before, at): (Option<String>, Option<String>) =
            sqlx::query_as(PRUNED).fetch_one(&mut connection).await?;
        let instant = |column, text: Option<String>| {
            let instant = text.map(|text| sqlite_instant(column, &text)).transpose();
            instant.map_err(|error| Failure::Corrupt(error.to_string()))
        };
        let pruned = Pruned {
            before: instant("keeping.pruned_before", before)?,
            at: instant("keeping.pruned_at", at)?,
        };
        Ok(pruned.is_due(now, retention))
    })
    .await
}

async fn remove(connection: &mut SqliteConnection, before: DateTime<Utc>) -> Result<PruneReport, Failure> {
    let now = shared::time::now();
    let limit = django_text(before);
    sqlx::query(BEGUN).bind(&limit).execute(&mut *connection).await?;
    let mut report = PruneReport {
        activities: remove_old(connection, &limit).await? + remove_wild(connection, &limit, now).await?,
        ..PruneReport::default()
    };
    let mut after = String::new();
    loop {
        let page: Vec<(String, bool)> =
            sqlx::query_as(INFOS).bind(&limit).bind(&after).fetch_all(&mut *connection).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        let unused: Vec<String> = page.into_iter().filter_map(|(id, unused)| unused.then_some(id)).collect();
        report.session_infos += remove_infos(connection, &unused).await?;
    }
    let old = suppression_limit(before, now);
    let old = sqlx::query(OLD_SUPPRESSIONS).bind(django_text(old)).execute(&mut *connection).await?;
    report.suppressions = old.rows_affected();
    sqlx::query(DONE).bind(django_text(now)).execute(&mut *connection).await?;
    Ok(report)
}

async fn remove_old(connection: &mut SqliteConnection, limit: &str) -> Result<u64, Failure> {
    let (mut removed, mut chunk) = (0, Chunk::new());
    loop {
        let offset = i64::try_from(chunk.rows() - 1).expect("a chunk is small");
        let end: Option<(String, String)> =
            sqlx::query_as(END_OF_PIECE).bind(limit).bind(offset).fetch_optional(&mut *connection).await?;
        let is_last = end.is_none();
        // Beyond every key: what is left.
        let (date, id) = end.unwrap_or_else(|| (limit.to_owned(), String::new()));
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        chunk.begin();
        let query = sqlx::query(REMOVE_PIECE).bind(limit).bind(date).bind(id);
        removed += query.execute(&mut *connection).await?.rows_affected();
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
        chunk.end().await;
        if is_last {
            return Ok(removed);
        }
    }
}

/// Of dates beyond the months: the arrival counts.
async fn remove_wild(
    connection: &mut SqliteConnection,
    limit: &str,
    now: DateTime<Utc>,
) -> Result<u64, Failure> {
    let (mut removed, mut chunk) = (0, Chunk::new());
    let (mut date, mut id) = (String::new(), String::new());
    loop {
        let query =
            sqlx::query_as(WILD).bind(django_text(Month::wild_from(now))).bind(limit).bind(&date).bind(&id);
        let keys: Vec<(String, String)> = query.fetch_all(&mut *connection).await?;
        let Some(last) = keys.last() else { return Ok(removed) };
        (date, id) = last.clone();
        removed += in_chunks(connection, &mut chunk, ERASE, &keys, None).await?;
    }
}

async fn count(connection: &mut SqliteConnection, before: DateTime<Utc>) -> Result<PruneReport, Failure> {
    let now = shared::time::now();
    let (limit, wild) = (django_text(before), django_text(Month::wild_from(now)));
    let rows: i64 =
        sqlx::query_scalar(COUNT_ROWS).bind(&limit).bind(&wild).fetch_one(&mut *connection).await?;
    let infos: i64 =
        sqlx::query_scalar(COUNT_INFOS).bind(&limit).bind(&wild).fetch_one(&mut *connection).await?;
    let old = suppression_limit(before, now);
    Ok(PruneReport {
        activities: rows.cast_unsigned(),
        session_infos: infos.cast_unsigned(),
        suppressions: scalar(connection, COUNT_SUPPRESSIONS, old).await?,
        ..PruneReport::default()
    })
}

async fn scalar(
    connection: &mut SqliteConnection,
    statement: &'static str,
    limit: DateTime<Utc>,
) -> Result<u64, Failure> {
    let count: i64 = sqlx::query_scalar(statement).bind(django_text(limit)).fetch_one(connection).await?;
    Ok(count.cast_unsigned())
}
