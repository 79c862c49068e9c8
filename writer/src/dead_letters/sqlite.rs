//! Dead letters of a SQLite file, removed a few at a time: its one write lock is the writer's.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use uuid::Uuid;

use super::{Letter, LetterFilter, LetterHead};
use crate::export::{ExportError, explained_sqlite, sqlite_instant, sqlite_missing};
use crate::store::sqlite::django_text;

/// A busy writer holds its lock for one batch at a time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// What one transaction removes; measured, it holds the lock for some milliseconds.
const REMOVED_LETTERS_MAX: usize = 100;
const REMOVED_BYTES_MAX: u64 = 1024 * 1024;

const PAGE: &str = "\
SELECT id, reason, sqlstate, frame_id, position, first_seen, length(bytes) FROM dead_letter
WHERE id > ?1 AND (?2 IS NULL OR instr(reason, ?2) > 0) AND (?3 IS NULL OR sqlstate = ?3)
    AND (?4 IS NULL OR first_seen >= ?4) AND (?5 IS NULL OR first_seen < ?5)
ORDER BY id LIMIT ?6";
const NEWEST: &str = "SELECT coalesce(max(id), 0) FROM dead_letter";
const LETTER: &str = "\
SELECT id, reason, sqlstate, frame_id, position, first_seen, length(bytes), bytes FROM dead_letter WHERE id = ?1";
const ALL: &str = "\
SELECT id, reason, sqlstate, frame_id, position, first_seen, length(bytes), bytes FROM dead_letter ORDER BY id";
const REMOVE: &str = "DELETE FROM dead_letter WHERE id IN (SELECT value FROM json_each(?1))";

type Head = (i64, String, Option<String>, Option<String>, i64, String, i64);
type Whole = (i64, String, Option<String>, Option<String>, i64, String, i64, Vec<u8>);

pub(super) async fn open(path: &Path) -> Result<SqliteConnection, ExportError> {
    if !path.exists() {
        return Err(sqlite_missing(path));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    options.connect().await.map_err(ExportError::Unreachable)
}

pub(super) async fn page(
    connection: &mut SqliteConnection,
    filter: &LetterFilter,
    after: i64,
    count: u32,
) -> Result<Vec<LetterHead>, ExportError> {
    let query = sqlx::query_as::<_, Head>(PAGE).bind(after).bind(&filter.reason).bind(&filter.sqlstate);
    let query = query.bind(filter.since.map(django_text)).bind(filter.until.map(django_text)).bind(count);
    query.fetch_all(connection).await.map_err(explained_sqlite)?.into_iter().map(head).collect()
}

pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<i64, ExportError> {
    sqlx::query_scalar(NEWEST).fetch_one(connection).await.map_err(explained_sqlite)
}

pub(super) async fn letter(
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<Option<Letter>, ExportError> {
    let query = sqlx::query_as::<_, Whole>(LETTER).bind(id);
    query.fetch_optional(connection).await.map_err(explained_sqlite)?.map(whole).transpose()
}

/// One after the other, in the caller's transaction.
pub(crate) async fn all(
    connection: &mut SqliteConnection,
    mut visit: impl FnMut(Letter) -> io::Result<()>,
) -> Result<(), ExportError> {
    let mut letters = sqlx::query_as::<_, Whole>(ALL).fetch(connection);
    while let Some(letter) = letters.try_next().await.map_err(explained_sqlite)? {
        visit(whole(letter)?).map_err(ExportError::Output)?;
    }
    Ok(())
}

pub(super) async fn remove(
    connection: &mut SqliteConnection,
    letters: &[LetterHead],
) -> Result<u64, ExportError> {
    let mut removed = 0;
    let mut rest = letters;
    while !rest.is_empty() {
        let (chunk, others) = rest.split_at(chunk_length(rest));
        let ids: Vec<String> = chunk.iter().map(|letter| letter.id.to_string()).collect();
        let query = sqlx::query(REMOVE).bind(format!("[{}]", ids.join(",")));
        removed += query.execute(&mut *connection).await.map_err(explained_sqlite)?.rows_affected();
        rest = others;
    }
    Ok(removed)
}

/// How many of the first letters one transaction takes; at least one.
fn chunk_length(letters: &[LetterHead]) -> usize {
    let mut bytes = 0;
    let fits = |letter: &&LetterHead| {
        bytes += letter.bytes;
        bytes <= REMOVED_BYTES_MAX
    };
    letters.iter().take(REMOVED_LETTERS_MAX).take_while(fits).count().max(1)
}

fn whole(
    (id, reason, sqlstate, frame_id, index, first_seen, length, bytes): Whole,
) -> Result<Letter, ExportError> {
    let head = head((id, reason, sqlstate, frame_id, index, first_seen, length))?;
    Ok(Letter { head, bytes: bytes.into() })
}

fn head((id, reason, sqlstate, frame_id, index, first_seen, bytes): Head) -> Result<LetterHead, ExportError> {
    let frame_id = frame_id.map(|text| match Uuid::try_parse(&text) {
        Ok(id) => Ok(id),
        Err(_) => Err(ExportError::Corrupt {
            column: "dead_letter.frame_id",
            value: text,
            expected: "32 hex digits",
        }),
    });
    Ok(LetterHead {
        id,
        reason,
        sqlstate,
        frame_id: frame_id.transpose()?,
        index,
        first_seen: sqlite_instant("dead_letter.first_seen", &first_seen)?,
        bytes: bytes.cast_unsigned(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn letters(sizes: &[u64]) -> Vec<LetterHead> {
        let letter = |bytes: &u64| LetterHead {
            id: 1,
            reason: String::new(),
            sqlstate: None,
            frame_id: None,
            index: 0,
            first_seen: DateTime::UNIX_EPOCH,
            bytes: *bytes,
        };
        sizes.iter().map(letter).collect()
    }

    #[test]
    fn a_chunk_is_small_in_letters_and_in_bytes() {
        assert_eq!(chunk_length(&letters(&[10; 250])), REMOVED_LETTERS_MAX);
        assert_eq!(chunk_length(&letters(&[512 * 1024; 9])), 2);
        assert_eq!(chunk_length(&letters(&[REMOVED_BYTES_MAX + 1, 1])), 1);
    }
}
