//! Rows of a Postgres database.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use futures_util::TryStreamExt;
use shared::secret::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::timeout;

use super::binary::{Decoder, Values};
use super::filter::{ACTIVITY_COLUMNS, ExportFilter, Operand, SESSION_INFO_COLUMNS};
use super::{ActivityOrder, ActivityRow, ExportError, NO_TABLES, POSTGRES_NO_SUCH_TABLE, SessionInfoRow};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Kept until the connection ends; a long dump is no runaway query. In the filter's literals a
/// backslash must be nothing special.
const SNAPSHOT: &str = "\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;
SET LOCAL standard_conforming_strings = on";
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
    filter: &ExportFilter,
    mut visit: impl FnMut(&ActivityRow<'_>) -> io::Result<()>,
) -> Result<u64, ExportError> {
    copy(connection, &filter.activities_query(order, literal), ACTIVITY_COLUMNS, |mut values| {
        let activity = ActivityRow {
            id: values.uuid()?,
            date: values.date("activity.date")?,
            received_at: values.date("activity.received_at")?,
            session_id: values.optional_text()?,
            user_id: values.optional_text()?,
            ip_address: values.optional_text()?,
            path: values.text()?,
            referer: values.text()?,
        };
        visit(&activity).map_err(ExportError::Output)
    })
    .await
}

pub(super) async fn session_infos(
    connection: &mut PgConnection,
    filter: &ExportFilter,
    mut visit: impl FnMut(&SessionInfoRow<'_>) -> io::Result<()>,
) -> Result<u64, ExportError> {
    copy(connection, &filter.session_infos_query(literal), SESSION_INFO_COLUMNS, |mut values| {
        let info = SessionInfoRow {
            session_id: values.text()?,
            user_agent: values.text()?,
            first_seen: values.date("session_info.first_seen")?,
        };
        visit(&info).map_err(ExportError::Output)
    })
    .await
}

/// COPY takes no parameters.
fn literal(operand: &Operand<'_>) -> String {
    match operand {
        Operand::Date(date) => format!("'{}'", date.format("%Y-%m-%d %H:%M:%S%.6f+00")),
        Operand::Text(text) => format!("'{}'", text.replace('\'', "''")),
    }
}

async fn copy(
    connection: &mut PgConnection,
    query: &str,
    columns: usize,
    mut visit: impl FnMut(Values<'_>) -> Result<(), ExportError>,
) -> Result<u64, ExportError> {
    let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
    let mut messages = connection.copy_out_raw(&statement).await.map_err(explained)?;
    let (mut decoder, mut count) = (Decoder::default(), 0);
    while let Some(message) = messages.try_next().await.map_err(explained)? {
        let counted = |values: Values<'_>| visit(values).map(|()| count += 1);
        decoder.message(&message, columns, counted)?;
    }
    Ok(count)
}

/// A database without our tables is not broken: nothing has been stored yet.
pub(crate) fn explained(error: sqlx::Error) -> ExportError {
    match error.as_database_error().and_then(|database| database.code()) {
        Some(code) if code == POSTGRES_NO_SUCH_TABLE => ExportError::NoRowsYet(NO_TABLES.to_owned()),
        _ => ExportError::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use shared::event::UserId;

    use super::*;

    #[test]
    fn a_filter_is_made_of_literals_that_end_where_they_should() {
        let day = "2026-11-25T00:00:00Z".parse().expect("a date");
        let user = UserId::new("o'x\\' OR true --").expect("a user id");
        let filter = ExportFilter { since: Some(day), user: Some(user), ..ExportFilter::default() };
        let condition = "date >= '2026-11-25 00:00:00.000000+00' AND user_id = 'o''x\\'' OR true --'";
        assert_eq!(
            filter.activities_query(ActivityOrder::Date, literal),
            format!(
                "SELECT id, date, received_at, session_id, user_id, ip_address, path, referer FROM activity \
                 WHERE {condition} ORDER BY date, id"
            )
        );
        assert_eq!(
            filter.session_infos_query(literal),
            format!(
                "SELECT session_id, user_agent, first_seen FROM session_info WHERE session_id IN (SELECT session_id FROM activity WHERE {condition}) \
                 ORDER BY session_id"
            )
        );
    }
}
