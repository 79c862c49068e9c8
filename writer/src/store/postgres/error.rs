//! What to do about an error of Postgres.
//!
//! An outage must never look like bad data, nor bad data like an outage: the
//! first would fill the dead letters, the second would be retried for ever.

use std::time::Duration;

use shared::store::{StoreError, StoreErrorKind};
use tokio::time::timeout;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("PostgreSQL: {source}")]
    Database { source: sqlx::Error, during: During },
    #[error("PostgreSQL has not answered within {0:?}")]
    Late(Duration),
    #[error("the database has schema version {found}, this djaffar knows {known}: upgrade djaffar")]
    NewerSchema { found: i64, known: i64 },
    #[error(
        "the database has schema version {found}, this djaffar needs {known}: start the writer of this version, or \
         run `djaffar migrate`"
    )]
    OlderSchema { found: i64, known: i64 },
    #[error("the database server is too old: djaffar needs PostgreSQL 14 or later ({0})")]
    OldServer(sqlx::Error),
    /// A certificate may be renewed: waited for, as an outage is.
    #[error("PostgreSQL (--database): {0}")]
    NoTls(String),
}

/// Some codes mean another thing while rows are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum During {
    Copy,
    Statement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A row is in the table already: merge instead.
    Duplicate,
    Kind(StoreErrorKind),
}

impl From<sqlx::Error> for Failure {
    fn from(source: sqlx::Error) -> Self {
        Self::Database { source, during: During::Statement }
    }
}

impl Failure {
    pub(super) fn in_copy(source: sqlx::Error) -> Self {
        Self::Database { source, during: During::Copy }
    }

    pub(super) fn class(&self) -> Class {
        match self {
            Self::Database { source: sqlx::Error::Database(error), during } => {
                let code = error.code().unwrap_or_default();
                class_of(&code, error.constraint(), *during)
            }
            Self::Database { .. } | Self::NoTls(_) => Class::Kind(StoreErrorKind::Transient),
            Self::Late(_) => Class::Kind(StoreErrorKind::Timeout),
            Self::NewerSchema { .. } | Self::OlderSchema { .. } | Self::OldServer(_) => {
                Class::Kind(StoreErrorKind::Schema)
            }
        }
    }

    /// No partition takes a row. That may be over with the next statement: one that was planned before
    /// its month was made still puts the row into the default partition, which takes it no more.
    pub(super) fn is_misrouted(&self) -> bool {
        let Self::Database { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().is_some_and(|code| code == "23514") && error.constraint().is_none()
    }

    pub(super) fn sqlstate(&self) -> Option<String> {
        match self {
            Self::Database { source, .. } | Self::OldServer(source) => {
                source.as_database_error().and_then(|error| error.code()).map(std::borrow::Cow::into_owned)
            }
            Self::Late(_) | Self::NewerSchema { .. } | Self::OlderSchema { .. } | Self::NoTls(_) => None,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let kind = match failure.class() {
            Class::Kind(kind) => kind,
            // Only a COPY meets one, and its batch is merged then.
            Class::Duplicate => StoreErrorKind::Transient,
        };
        Self { kind, sqlstate: failure.sqlstate(), reason: failure.to_string() }
    }
}

/// By SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn class_of(code: &str, constraint: Option<&str>, during: During) -> Class {
    use StoreErrorKind::{Data, Schema, Timeout, Transient};
    Class::Kind(match (code, code.get(..2).unwrap_or_default()) {
        ("23505", _) => return Class::Duplicate,
        // No partition takes the row.
        ("23514", _) if constraint.is_none() => Schema,
        // The columns are not those that the encoder knows.
        ("22P03" | "22P04" | "08P01", _) if during == During::Copy => Schema,
        // A program limit, such as the length of an index entry.
        ("54000", _) | (_, "22" | "23") => Data,
        (_, "42") => Schema,
        // statement_timeout, transaction_timeout.
        ("57014" | "25P04", _) => Timeout,
        _ => Transient,
    })
}

/// Gives `future` the deadline. Whoever uses a connection in it must drop the connection on an error.
pub(super) async fn within<T, E: Into<Failure>>(
    deadline: Duration,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout(deadline, future).await {
        Ok(result) => result.map_err(E::into),
        Err(_) => Err(Failure::Late(deadline)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        use During::{Copy, Statement};
        use StoreErrorKind::{Data, Schema, Timeout, Transient};
        let table = [
            ("22021", None, Copy, Data),   // U+0000 in a text
            ("22008", None, Copy, Data),   // date out of range
            ("22P03", None, Copy, Schema), // another type than expected
            ("22P04", None, Copy, Schema), // another number of columns
            ("22P03", None, Statement, Data),
            ("08P01", None, Copy, Schema),
            ("08P01", None, Statement, Transient),
            ("08006", None, Copy, Transient),
            ("23502", None, Copy, Data), // not null
            ("23514", Some("a_check"), Copy, Data),
            ("23514", None, Copy, Schema), // no partition
            ("23503", Some("a_key"), Statement, Data),
            ("25006", None, Statement, Transient), // read-only: a standby
            ("25P03", None, Statement, Transient), // idle in transaction
            ("25P04", None, Statement, Timeout),
            ("28P01", None, Statement, Transient), // password
            ("3D000", None, Statement, Transient), // no such database
            ("40001", None, Copy, Transient),
            ("40P01", None, Copy, Transient),      // deadlock
            ("42501", None, Copy, Schema),         // no privilege
            ("42703", None, Copy, Schema),         // no such column
            ("42P01", None, Copy, Schema),         // no such table
            ("53100", None, Copy, Transient),      // disk full
            ("53300", None, Statement, Transient), // too many connections
            ("54000", None, Copy, Data),           // index entry too long
            ("54001", None, Statement, Transient),
            ("55P03", None, Copy, Transient), // lock_timeout
            ("57014", None, Copy, Timeout),
            ("57P01", None, Copy, Transient),      // shutting down
            ("57P03", None, Statement, Transient), // in recovery
            ("XX000", None, Copy, Transient),
            ("", None, Copy, Transient),
        ];
        for (code, constraint, during, kind) in table {
            assert_eq!(class_of(code, constraint, during), Class::Kind(kind), "{code}");
        }
        assert_eq!(class_of("23505", Some("activity_pkey"), Copy), Class::Duplicate);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missed_deadline_is_a_timeout() {
        let pending = std::future::pending::<Result<(), Failure>>();
        let failure = within(Duration::from_secs(1), pending).await.expect_err("late");
        assert_eq!(failure.class(), Class::Kind(StoreErrorKind::Timeout));
    }
}
