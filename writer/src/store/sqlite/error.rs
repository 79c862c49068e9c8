//! What to do about an error of SQLite.

use std::path::PathBuf;
use std::time::Duration;

use shared::store::{StoreError, StoreErrorKind};
use tokio::time::timeout;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("SQLite: {0}")]
    Database(#[from] sqlx::Error),
    #[error("{} cannot be opened: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("SQLite: {0}")]
    Corrupt(String),
    #[error("the database has schema version {found}, this djaffar knows {known}: upgrade djaffar")]
    NewerSchema { found: i64, known: i64 },
    #[error(
        "the database has schema version {found}, this djaffar needs {known}: start the writer of this version, or \
         run `djaffar migrate`"
    )]
    OlderSchema { found: i64, known: i64 },
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let code = match &failure {
            Failure::Database(sqlx::Error::Database(error)) => {
                error.code().and_then(|code| code.parse::<u32>().ok())
            }
            _ => None,
        };
        let kind = match (&failure, code) {
            (Failure::NewerSchema { .. } | Failure::OlderSchema { .. } | Failure::Corrupt(_), _) => {
                StoreErrorKind::Schema
            }
            (_, Some(code)) => kind_of(code),
            (_, None) => StoreErrorKind::Transient,
        };
        Self { kind, sqlstate: None, reason: failure.to_string() }
    }
}

/// By result code (<https://www.sqlite.org/rescode.html>); the low byte is the class.
fn kind_of(code: u32) -> StoreErrorKind {
    const ERROR: u32 = 1;
    const TOO_BIG: u32 = 18;
    const CONSTRAINT: u32 = 19;
    const MISMATCH: u32 = 20;
    match code & 0xff {
        // "no such table", "no such column": our SQL is fixed, so the schema differs.
        ERROR => StoreErrorKind::Schema,
        TOO_BIG | CONSTRAINT | MISMATCH => StoreErrorKind::Data,
        _ => StoreErrorKind::Transient,
    }
}

/// Gives `future` the deadline and its error a class.
pub(super) async fn within<T>(
    deadline: Duration,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, StoreError> {
    match timeout(deadline, future).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(_) => Err(StoreError {
            kind: StoreErrorKind::Timeout,
            sqlstate: None,
            reason: format!("SQLite has not answered within {deadline:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        use StoreErrorKind::{Data, Schema, Transient};
        let table = [
            (1, Schema),      // SQLITE_ERROR
            (5, Transient),   // SQLITE_BUSY
            (517, Transient), // SQLITE_BUSY_SNAPSHOT
            (6, Transient),   // SQLITE_LOCKED
            (10, Transient),  // SQLITE_IOERR
            (11, Transient),  // SQLITE_CORRUPT
            (13, Transient),  // SQLITE_FULL
            (18, Data),       // SQLITE_TOOBIG
            (275, Data),      // SQLITE_CONSTRAINT_CHECK
            (1299, Data),     // SQLITE_CONSTRAINT_NOTNULL
            (3091, Data),     // SQLITE_CONSTRAINT_DATATYPE
        ];
        for (code, kind) in table {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_missed_deadline_is_a_timeout() {
        let error = within::<()>(Duration::from_secs(1), std::future::pending()).await.expect_err("late");
        assert_eq!(error.kind, StoreErrorKind::Timeout);
    }
}
