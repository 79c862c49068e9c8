//! Reads rows for `djaffar dump`, beside a running writer.
//!
//! One snapshot, over a read-only connection that holds no writer up. Rows are
//! handed to a visitor one by one, borrowed from the driver's buffer, so
//! that memory stays constant however large the table is.

mod binary;
mod filter;
mod postgres;
mod sqlite;

use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use shared::postgres_route;
use shared::secret::Secret;
use sqlx::{PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::dead_letters::{self, Letter};

pub use filter::ExportFilter;

/// Where the rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportSource {
    Sqlite(PathBuf),
    /// The connection URL.
    Postgres(Secret),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityOrder {
    /// By id, as Django orders by its primary key; rows of one id by date. The database sorts.
    Id,
    /// By date and id, as the primary key has them already.
    Date,
}

/// A row of `activity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityRow<'row> {
    pub id: Uuid,
    pub date: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    pub session_id: Option<&'row str>,
    pub user_id: Option<&'row str>,
    pub ip_address: Option<&'row str>,
    pub path: &'row str,
    pub referer: &'row str,
}

/// A row of `session_info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfoRow<'row> {
    pub session_id: &'row str,
    pub user_agent: &'row str,
    pub first_seen: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Whoever takes the rows has refused one.
    #[error("the rows cannot be written: {0}")]
    Output(#[source] io::Error),
    /// No file, or no tables in it: one sentence with the remedy.
    #[error("{0}")]
    NoRowsYet(String),
    #[error("the database cannot be reached: {}", explained_tls(.0))]
    Unreachable(#[source] sqlx::Error),
    #[error("the database cannot be read: {0}")]
    Database(#[source] sqlx::Error),
    /// A value that no writer of ours has stored.
    #[error("{column} holds `{value}`, which is not {expected}")]
    Corrupt { column: &'static str, value: String, expected: &'static str },
}

/// `undefined_table` of Postgres.
pub(crate) const POSTGRES_NO_SUCH_TABLE: &str = "42P01";
fn explained_tls(error: &sqlx::Error) -> String {
    postgres_route::explain(error).unwrap_or_else(|| error.to_string())
}

const NO_TABLES: &str = "the database has no tables of djaffar yet: run `djaffar migrate` first";

pub(crate) use postgres::explained as explained_postgres;
pub(crate) use sqlite::{
    explained as explained_sqlite, instant as sqlite_instant, missing as sqlite_missing,
};

/// A read-only connection to the rows.
#[derive(Debug)]
pub struct Export(Connection);

#[derive(Debug)]
enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Export {
    /// # Errors
    /// The database is not there or cannot be reached.
    pub async fn open(source: &ExportSource) -> Result<Self, ExportError> {
        Ok(Self(match source {
            ExportSource::Sqlite(path) => Connection::Sqlite(sqlite::open(path).await?),
            ExportSource::Postgres(url) => Connection::Postgres(postgres::open(url).await?),
        }))
    }

    /// Shows the activities that `filter` lets through to `visit` and returns how many there were.
    ///
    /// # Errors
    /// The database fails or `visit` does; what was visited until then stays visited.
    pub async fn activities(
        &mut self,
        order: ActivityOrder,
        filter: &ExportFilter,
        visit: impl FnMut(&ActivityRow<'_>) -> io::Result<()>,
    ) -> Result<u64, ExportError> {
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlite::activities(connection, order, filter, visit).await,
            Connection::Postgres(connection) => postgres::activities(connection, order, filter, visit).await,
        }
    }

    /// Shows the session infos of the activities that `filter` lets through to `visit`, by session
    /// id, and returns how many there were. An empty filter lets through all session infos.
    ///
    /// # Errors
    /// The database fails or `visit` does; what was visited until then stays visited.
    pub async fn session_infos(
        &mut self,
        filter: &ExportFilter,
        visit: impl FnMut(&SessionInfoRow<'_>) -> io::Result<()>,
    ) -> Result<u64, ExportError> {
        match &mut self.0 {
            Connection::Sqlite(connection) => sqlite::session_infos(connection, filter, visit).await,
            Connection::Postgres(connection) => postgres::session_infos(connection, filter, visit).await,
        }
    }

    /// Shows every dead letter to `visit`, by id.
    ///
    /// # Errors
    /// The database fails or `visit` does; what was visited until then stays visited.
    pub async fn dead_letters(
        &mut self,
        visit: impl FnMut(Letter) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        match &mut self.0 {
            Connection::Sqlite(connection) => dead_letters::sqlite::all(connection, visit).await,
            Connection::Postgres(connection) => dead_letters::postgres::all(connection, visit).await,
        }
    }
}
