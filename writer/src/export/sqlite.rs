//! Rows of a SQLite file. A reader of its WAL holds no writer up.

use std::io;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::filter::{ExportFilter, Operand};
use super::{ActivityOrder, ActivityRow, ExportError, SessionInfoRow};
use crate::store::sqlite::django_text;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows that SQLite's thread reads ahead.
const ROWS_AHEAD: usize = 512;

pub(super) async fn open(path: &Path) -> Result<SqliteConnection, ExportError> {
    if !path.exists() {
        return Err(missing(path));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(ExportError::Unreachable)?;
    // From its first read on, one snapshot.
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.map_err(ExportError::Unreachable)?;
    Ok(connection)
}

pub(crate) fn missing(path: &Path) -> ExportError {
    ExportError::NoRowsYet(format!(
        "there is no database at {}: name it with --database or --data-dir, or run `djaffar serve` first",
        path.display()
    ))
}

pub(super) async fn activities(
    connection: &mut SqliteConnection,
    order: ActivityOrder,
    filter: &ExportFilter,
    mut visit: impl FnMut(&ActivityRow<'_>) -> io::Result<()>,
) -> Result<u64, ExportError> {
    let statement = filter.activities_query(order, |_| "?");
    let mut rows = bound(statement, filter).fetch(connection);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.map_err(explained)? {
        let activity = ActivityRow {
            id: id(text(&row, 0)?)?,
            date: instant("activity.date", text(&row, 1)?)?,
            received_at: instant("activity.received_at", text(&row, 2)?)?,
            session_id: optional_text(&row, 3)?,
            user_id: optional_text(&row, 4)?,
            ip_address: optional_text(&row, 5)?,
            path: text(&row, 6)?,
            referer: text(&row, 7)?,
        };
        visit(&activity).map_err(ExportError::Output)?;
        count += 1;
    }
    Ok(count)
}

pub(super) async fn session_infos(
    connection: &mut SqliteConnection,
    filter: &ExportFilter,
    mut visit: impl FnMut(&SessionInfoRow<'_>) -> io::Result<()>,
) -> Result<u64, ExportError> {
    let statement = filter.session_infos_query(|_| "?");
    let mut rows = bound(statement, filter).fetch(connection);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.map_err(explained)? {
        let info = SessionInfoRow {
            session_id: text(&row, 0)?,
            user_agent: text(&row, 1)?,
            first_seen: instant("session_info.first_seen", text(&row, 2)?)?,
        };
        visit(&info).map_err(ExportError::Output)?;
        count += 1;
    }
    Ok(count)
}

fn bound(statement: String, filter: &ExportFilter) -> Query<'static, Sqlite, SqliteArguments> {
    filter.conditions().into_iter().fold(sqlx::query(AssertSqlSafe(statement)), |query, condition| {
        query.bind(match condition.value {
            Operand::Date(date) => django_text(date),
            Operand::Text(text) => text.into(),
        })
    })
}

fn text(row: &SqliteRow, column: usize) -> Result<&str, ExportError> {
    row.try_get(column).map_err(ExportError::Database)
}

fn optional_text(row: &SqliteRow, column: usize) -> Result<Option<&str>, ExportError> {
    row.try_get(column).map_err(ExportError::Database)
}

fn id(text: &str) -> Result<Uuid, ExportError> {
    Uuid::try_parse(text).map_err(|_| corrupt("activity.id", text, "32 hex digits"))
}

/// As Django's ORM writes it: `YYYY-MM-DD HH:MM:SS[.ffffff]`, UTC.
pub(crate) fn instant(column: &'static str, text: &str) -> Result<DateTime<Utc>, ExportError> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .map(|instant| instant.and_utc())
        .map_err(|_| corrupt(column, text, "a datetime as Django writes it"))
}

fn corrupt(column: &'static str, value: &str, expected: &'static str) -> ExportError {
    ExportError::Corrupt { column, value: value.to_owned(), expected }
}

/// A file without our tables is not broken: nothing has been stored yet.
pub(crate) fn explained(error: sqlx::Error) -> ExportError {
    match error.as_database_error() {
        Some(database) if database.message().starts_with("no such table") => ExportError::NoRowsYet(
            "the database has no tables of djaffar yet: run `djaffar migrate` or `djaffar serve` first"
                .to_owned(),
        ),
        _ => ExportError::Database(error),
    }
}
