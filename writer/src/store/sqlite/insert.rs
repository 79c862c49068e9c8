//! One batch, one transaction: multi-row inserts that skip what is there.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shared::failpoint::{self, Place};
use shared::store::{Batch, DeadLetter, InfosVersion, SessionInfo, StoreReport, StoredActivity};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::error::Failure;
use super::suppression;
use crate::suppression::Suppressions;

/// The lock comes first: what is read after it, nobody changes before COMMIT.
const BEGIN: &str = "BEGIN IMMEDIATE; SELECT suppression_version, info_version FROM keeping";
const ACTIVITY: &str =
    "INSERT INTO activity (id, date, received_at, session_id, user_id, ip_address, path, referer)";
const SESSION_INFO: &str = "INSERT INTO session_info (session_id, user_agent, first_seen)";
const DEAD_LETTER: &str = "INSERT INTO dead_letter (bytes, reason, sqlstate, frame_id, position, first_seen)";
const ACCOUNTING: &str = "\
INSERT INTO accounting (writer_id, delivered, stored, duplicate, dead, suppressed, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (writer_id) DO UPDATE SET
    delivered = delivered + excluded.delivered, stored = stored + excluded.stored,
    duplicate = duplicate + excluded.duplicate, dead = dead + excluded.dead,
    suppressed = suppressed + excluded.suppressed, updated_at = excluded.updated_at";

/// Rows of one statement: each execute costs a hop to SQLite's thread, and few
/// widths keep every statement prepared. 8 columns of 1000 rows stay far below
/// the limit of 32,766 bound values.
const WIDTHS: [usize; 4] = [1000, 100, 10, 1];

type Statement<'a> = Query<'a, Sqlite, SqliteArguments>;

pub(super) async fn transaction(
    connection: &mut SqliteConnection,
    batch: &Batch,
    account_name: &str,
    suppressions: &mut Suppressions,
) -> Result<StoreReport, Failure> {
    let versions = sqlx::raw_sql(BEGIN).fetch_one(&mut *connection).await?;
    let (version, infos): (i64, i64) = (versions.try_get(0)?, versions.try_get(1)?);
    if suppressions.version() != version {
        *suppressions = suppression::read(connection, version).await?;
    }
    let screened = suppressions.screen(batch, InfosVersion(infos));
    let stored = insert(connection, (ACTIVITY, 8), &screened.activities, bind_activity).await?;
    insert(connection, (SESSION_INFO, 3), &screened.session_infos, bind_session_info).await?;
    insert(connection, (DEAD_LETTER, 6), &screened.dead_letters, bind_dead_letter).await?;
    let report = screened.report(stored);
    account(connection, account_name, batch.delivered, &report).await?;
    failpoint::reach(Place::BeforeCommit);
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(report)
}

/// Returns how many rows are new.
async fn insert<T>(
    connection: &mut SqliteConnection,
    (head, columns): (&str, usize),
    rows: &[T],
    bind: impl for<'a> Fn(Statement<'a>, &T) -> Statement<'a>,
) -> Result<u64, Failure> {
    let mut stored = 0;
    let mut rest = rows;
    for width in WIDTHS {
        if rest.len() < width {
            continue;
        }
        let statement = Arc::<str>::from(statement(head, columns, width));
        let (wide, narrower) = rest.split_at(rest.len() - rest.len() % width);
        for chunk in wide.chunks_exact(width) {
            let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(statement.clone())), &bind);
            stored += query.execute(&mut *connection).await?.rows_affected();
        }
        rest = narrower;
    }
    Ok(stored)
}

fn statement(head: &str, columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("{head} VALUES {} ON CONFLICT DO NOTHING", vec![row; rows].join(", "))
}

/// What sqlx takes with one allocation, a `String` being put behind an `Arc`.
fn text(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn bind_activity<'a>(query: Statement<'a>, stored: &StoredActivity) -> Statement<'a> {
    let activity = &stored.activity;
    let mut hex = Uuid::encode_buffer();
    query
        .bind(text(activity.id.0.simple().encode_lower(&mut hex)))
        .bind(django_text(activity.date.instant()))
        .bind(django_text(activity.received_at.instant()))
        .bind(activity.session_id.as_ref().map(|id| text(id.as_str())))
        .bind(activity.user_id.as_ref().map(|id| text(id.as_str())))
        .bind(activity.ip_address.map(|address| address.to_string()))
        .bind(text(activity.path.as_str()))
        .bind(text(activity.referer.as_str()))
}

fn bind_session_info<'a>(query: Statement<'a>, info: &SessionInfo) -> Statement<'a> {
    query
        .bind(text(info.session_id.as_str()))
        .bind(text(info.user_agent.as_str()))
        .bind(django_text(info.first_seen))
}

fn bind_dead_letter<'a>(query: Statement<'a>, letter: &DeadLetter) -> Statement<'a> {
    query
        .bind(letter.bytes.to_vec())
        .bind(letter.reason.clone())
        .bind(letter.sqlstate.clone())
        .bind(letter.origin.frame_id.map(|id| id.0.simple().to_string()))
        .bind(letter.origin.index)
        .bind(django_text(letter.first_seen))
}

async fn account(
    connection: &mut SqliteConnection,
    name: &str,
    delivered: u64,
    report: &StoreReport,
) -> Result<(), Failure> {
    sqlx::query(ACCOUNTING)
        .bind(name.to_owned())
        .bind(delivered.cast_signed())
        .bind(report.stored.cast_signed())
        .bind(report.duplicate.cast_signed())
        .bind(report.dead.cast_signed())
        .bind(report.suppressed.cast_signed())
        .bind(django_text(shared::time::now()))
        .execute(connection)
        .await?;
    Ok(())
}

/// As Django's ORM writes a datetime to SQLite: the fraction only when there is one.
pub(crate) fn django_text(instant: DateTime<Utc>) -> Arc<str> {
    let text = shared::time::calendar(instant);
    let length = if instant.timestamp_subsec_micros() == 0 { 19 } else { 26 };
    str::from_utf8(&text[..length]).expect("ASCII").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_are_those_of_django() {
        let written = |micros| django_text(DateTime::from_timestamp_micros(micros).expect("an instant"));
        assert_eq!(&*written(1_482_996_922_571_123), "2016-12-29 07:35:22.571123");
        assert_eq!(&*written(1_482_996_922_000_100), "2016-12-29 07:35:22.000100");
        assert_eq!(&*written(1_482_996_922_000_000), "2016-12-29 07:35:22");
        assert_eq!(&*written(-62_135_596_800_000_000), "0001-01-01 00:00:00");
    }

    #[test]
    fn statements_have_one_group_a_row() {
        assert_eq!(statement("I (a, b)", 2, 2), "I (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING");
    }
}
