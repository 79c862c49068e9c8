//! Dead letters of a Postgres database.

use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use shared::secret::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Letter, LetterFilter, LetterHead};
use crate::export::{ExportError, explained_postgres as explained};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A statement that has not ended by then never will.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

const PAGE: &str = "\
SELECT id, reason, sqlstate, frame_id, position, first_seen, octet_length(bytes)::bigint FROM dead_letter
WHERE id > $1 AND ($2::text IS NULL OR strpos(reason, $2) > 0) AND ($3::text IS NULL OR sqlstate = $3)
    AND ($4::timestamptz IS NULL OR first_seen >= $4) AND ($5::timestamptz IS NULL OR first_seen < $5)
ORDER BY id LIMIT $6";
const NEWEST: &str = "SELECT coalesce(max(id), 0) FROM dead_letter";
const LETTER: &str = "\
SELECT id, reason, sqlstate, frame_id, position, first_seen, octet_length(bytes)::bigint, bytes FROM dead_letter
WHERE id = $1";
const ALL: &str = "\
SELECT id, reason, sqlstate, frame_id, position, first_seen, octet_length(bytes)::bigint, bytes FROM dead_letter
ORDER BY id";
const REMOVE: &str = "DELETE FROM dead_letter WHERE id = ANY($1)";

type Head = (i64, String, Option<String>, Option<Uuid>, i64, DateTime<Utc>, i64);
type Whole = (i64, String, Option<String>, Option<Uuid>, i64, DateTime<Utc>, i64, Vec<u8>);

pub(super) async fn open(url: &Secret) -> Result<PgConnection, ExportError> {
    let options: PgConnectOptions = url.expose().parse().map_err(ExportError::Unreachable)?;
    let options = options.application_name("djaffar dead-letters").disable_statement_logging();
    match timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connection) => connection.map_err(ExportError::Unreachable),
        Err(_) => Err(ExportError::Unreachable(late())),
    }
}

pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &LetterFilter,
    after: i64,
    count: u32,
) -> Result<Vec<LetterHead>, ExportError> {
    let query = sqlx::query_as::<_, Head>(PAGE).bind(after).bind(&filter.reason).bind(&filter.sqlstate);
    let query = query.bind(filter.since).bind(filter.until).bind(i64::from(count));
    let heads = within(query.fetch_all(connection)).await?;
    Ok(heads.into_iter().map(head).collect())
}

pub(super) async fn newest(connection: &mut PgConnection) -> Result<i64, ExportError> {
    within(sqlx::query_scalar(NEWEST).fetch_one(connection)).await
}

pub(super) async fn letter(connection: &mut PgConnection, id: i64) -> Result<Option<Letter>, ExportError> {
    let query = sqlx::query_as::<_, Whole>(LETTER).bind(id);
    Ok(within(query.fetch_optional(connection)).await?.map(whole))
}

/// One after the other, in the caller's transaction.
pub(crate) async fn all(
    connection: &mut PgConnection,
    mut visit: impl FnMut(Letter) -> io::Result<()>,
) -> Result<(), ExportError> {
    let mut letters = sqlx::query_as::<_, Whole>(ALL).fetch(connection);
    while let Some(letter) = letters.try_next().await.map_err(explained)? {
        visit(whole(letter)).map_err(ExportError::Output)?;
    }
    Ok(())
}

pub(super) async fn remove(
    connection: &mut PgConnection,
    letters: &[LetterHead],
) -> Result<u64, ExportError> {
    let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
    Ok(within(sqlx::query(REMOVE).bind(ids).execute(connection)).await?.rows_affected())
}

fn whole((id, reason, sqlstate, frame_id, index, first_seen, length, bytes): Whole) -> Letter {
    Letter { head: head((id, reason, sqlstate, frame_id, index, first_seen, length)), bytes: bytes.into() }
}

fn head((id, reason, sqlstate, frame_id, index, first_seen, bytes): Head) -> LetterHead {
    LetterHead { id, reason, sqlstate, frame_id, index, first_seen, bytes: bytes.cast_unsigned() }
}

async fn within<T>(statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ExportError> {
    timeout(STATEMENT_TIMEOUT, statement).await.unwrap_or_else(|_| Err(late())).map_err(explained)
}

fn late() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "Postgres has not answered in time"))
}
