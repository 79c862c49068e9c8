//! Rows of a Postgres database.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use futures_util::TryStreamExt;
use shared::secret::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};
use tokio::time::timeout;

use super::{ActivityOrder, ActivityRow, ExportError, SessionInfoRow};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// `undefined_table`
const NO_SUCH_TABLE: &str = "42P01";

/// Kept until the connection ends; a long dump is no runaway query.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0";
const BY_ID: &str = "\
SELECT id, date, received_at, session_id, user_id, ip_address, path, referer FROM activity ORDER BY id, date";
const BY_DATE: &str = "\
SELECT id, date, received_at, session_id, user_id, ip_address, path, referer FROM activity ORDER BY date, id";
/// In the order of the database, as Django's fixtures: it depends on the collation of the column.
const SESSION_INFOS: &str = "SELECT session_id, user_agent, first_seen FROM session_info ORDER BY session_id";

pub(super) async fn open(url: &Secret) -> Result<PgConnection, ExportError> {
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(ExportError::Unreachable)?
        .application_name("djaffar dump")
        .disable_statement_logging();
    let opening = async {
        let mut connection = options.connect().await?;
        sqlx::raw_sql(SNAPSHOT).execute(&mut connection).await?;
        Ok(connection)
    };
    match timeout(CONNECT_TIMEOUT, opening).await {
        Ok(connection) => connection.map_err(ExportError::Unreachable),
        Err(_) => Err(ExportError::Unreachable(sqlx::Error::Io(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("Postgres has not answered within {CONNECT_TIMEOUT:?}"),
        )))),
    }
}

pub(super) async fn activities(
    connection: &mut PgConnection,
    order: ActivityOrder,
    mut visit: impl FnMut(&ActivityRow<'_>) -> io::Result<()>,
) -> Result<u64, ExportError> {
    let statement = match order {
        ActivityOrder::Id => BY_ID,
        ActivityOrder::Date => BY_DATE,
    };
    let mut rows = sqlx::query(statement).persistent(false).fetch(connection);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.map_err(explained)? {
        let activity = ActivityRow {
            id: row.try_get(0).map_err(ExportError::Database)?,
            date: row.try_get(1).map_err(ExportError::Database)?,
            received_at: row.try_get(2).map_err(ExportError::Database)?,
            session_id: row.try_get(3).map_err(ExportError::Database)?,
            user_id: row.try_get(4).map_err(ExportError::Database)?,
            ip_address: row.try_get(5).map_err(ExportError::Database)?,
            path: row.try_get(6).map_err(ExportError::Database)?,
            referer: row.try_get(7).map_err(ExportError::Database)?,
        };
        visit(&activity).map_err(ExportError::Output)?;
        count += 1;
    }
    Ok(count)
}

pub(super) async fn session_infos(
    connection: &mut PgConnection,
    mut visit: impl FnMut(&SessionInfoRow<'_>) -> io::Result<()>,
) -> Result<u64, ExportError> {
    let mut rows = sqlx::query(SESSION_INFOS).persistent(false).fetch(connection);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.map_err(explained)? {
        let info = SessionInfoRow {
            session_id: row.try_get(0).map_err(ExportError::Database)?,
            user_agent: row.try_get(1).map_err(ExportError::Database)?,
            first_seen: row.try_get(2).map_err(ExportError::Database)?,
        };
        visit(&info).map_err(ExportError::Output)?;
        count += 1;
    }
    Ok(count)
}

/// A database without our tables is not broken: nothing has been stored yet.
fn explained(error: sqlx::Error) -> ExportError {
    match error.as_database_error().and_then(|database| database.code()) {
        Some(code) if code == NO_SUCH_TABLE => ExportError::NoRowsYet(
            "the database has no tables of djaffar yet: run `djaffar migrate` first".to_owned(),
        ),
        _ => ExportError::Database(error),
    }
}
