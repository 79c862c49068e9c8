//! The site's own database, asked for texts.
//!
//! Each question has a connection to itself, and one that failed or was given up
//! is never used again: sqlx leaves it in an unknown state. There is no deadline
//! here, [`super::look_up`] has it; who gives up drops the question.

mod connections;
mod table;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use shared::postgres_route::{self, PostgresRoute, SslMode};
use shared::secret::Secret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use self::connections::Connections;
pub use self::table::TableName;
pub(crate) use self::table::{Columns, KeyType};
use super::look_up::Unreachable;

/// How long SQLite waits for a writer before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const INSTANT_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.f";

/// The columns of one row; every question casts them to text.
pub(crate) type Row = Vec<Option<String>>;

/// Clones share their connections.
#[derive(Clone)]
pub struct IdentityDatabase(Arc<Adapter>);

impl fmt::Debug for IdentityDatabase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("IdentityDatabase").field(&self.name()).finish()
    }
}

enum Adapter {
    Postgres(Connections<PgConnection>, PostgresRoute),
    Sqlite(Connections<SqliteConnection>),
}

/// A URL that names no database that can be asked; the sentence does not repeat it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDatabase(String);

impl IdentityDatabase {
    /// Connects with the first question.
    ///
    /// # Errors
    /// The URL is neither `postgres://...` nor `sqlite:PATH`.
    pub fn new(url: &Secret) -> Result<Self, InvalidDatabase> {
        let url = url.expose();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)
                .map_err(|_| invalid("is no Postgres URL; write postgres://user@host/name"))?
                .application_name("djaffar identity");
            let route = route(&options, url);
            route.check().map_err(|reason| InvalidDatabase(format!("cannot be used: {reason}")))?;
            return Ok(Self(Arc::new(Adapter::Postgres(Connections::new(options), route))));
        }
        let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        match path.filter(|path| !path.is_empty() && *path != ":memory:") {
            Some(path) => {
                let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
                Ok(Self(Arc::new(Adapter::Sqlite(Connections::new(options)))))
            }
            None => {
                Err(invalid("is neither SQLite nor Postgres; use sqlite:PATH or postgres://user@host/name"))
            }
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> &'static str {
        match *self.0 {
            Adapter::Postgres(..) => "Postgres",
            Adapter::Sqlite(_) => "SQLite",
        }
    }

    /// The rows of a question with `$1`, `$2`, ... for its arguments.
    pub(crate) async fn rows(&self, sql: &str, arguments: &[&str]) -> Result<Vec<Row>, Unreachable> {
        let rows = match &*self.0 {
            Adapter::Postgres(connections, _) => connections.rows(sql, arguments).await,
            Adapter::Sqlite(connections) => connections.rows(sql, arguments).await,
        };
        rows.map_err(|error| {
            let reason = postgres_route::explain(&error).unwrap_or_else(|| error.to_string());
            Unreachable(format!("{}: {reason}", self.name()))
        })
    }

    /// One line about a connection that somebody between could read.
    pub(crate) fn warning(&self) -> Option<String> {
        match &*self.0 {
            Adapter::Postgres(_, route) => route.warning("the site's database"),
            Adapter::Sqlite(_) => None,
        }
    }

    /// The columns of a table; one that is not there is an error.
    pub(crate) async fn columns(&self, table: &TableName) -> Result<Columns, Unreachable> {
        let rows = match *self.0 {
            Adapter::Postgres(..) => {
                let sql = "select attname::text, format_type(atttypid, null) from pg_attribute \
                           where attrelid = to_regclass($1::text) and attnum > 0 and not attisdropped";
                self.rows(sql, &[&table.quoted()]).await?
            }
            Adapter::Sqlite(_) => {
                let sql = "select cast(name as text), lower(cast(type as text)) from pragma_table_info($1)";
                self.rows(sql, &[table.as_str()]).await?
            }
        };
        if rows.is_empty() {
            return Err(Unreachable(format!("{} has no table {table}", self.name())));
        }
        Ok(Columns::new(rows))
    }

    /// What reads a column of dates as [`instant`] does.
    pub(crate) fn instant_sql(&self, column: &str) -> String {
        match *self.0 {
            Adapter::Postgres(..) => {
                format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
            }
            Adapter::Sqlite(_) => format!("cast({column} as text)"),
        }
    }

    /// What a text of [`write_instant`] becomes when it is stored.
    pub(crate) fn stored_instant_sql(&self, argument: &str) -> String {
        match *self.0 {
            Adapter::Postgres(..) => format!("{argument}::timestamp at time zone 'UTC'"),
            Adapter::Sqlite(_) => argument.to_owned(),
        }
    }
}

fn invalid(reason: &str) -> InvalidDatabase {
    InvalidDatabase(reason.to_owned())
}

fn route(options: &PgConnectOptions, url: &str) -> PostgresRoute {
    let mode = match options.get_ssl_mode() {
        PgSslMode::Disable | PgSslMode::Allow => SslMode::Disable,
        PgSslMode::Prefer => SslMode::Prefer,
        PgSslMode::Require => SslMode::Require,
        PgSslMode::VerifyCa => SslMode::VerifyCa,
        PgSslMode::VerifyFull => SslMode::VerifyFull,
    };
    let host = options.get_socket().is_none().then(|| options.get_host());
    PostgresRoute::new(host, mode, url)
}

/// A date as Django stores it in SQLite, in UTC.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, INSTANT_FORMAT).ok().map(|date| date.and_utc())
}

pub(crate) fn write_instant(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sqlite() -> (tempfile::TempDir, IdentityDatabase) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("site.sqlite3");
        std::fs::File::create(&path).expect("a file");
        let url = Secret::new(format!("sqlite:{}", path.display()));
        (directory, IdentityDatabase::new(&url).expect("a URL"))
    }

    #[tokio::test]
    async fn a_question_brings_texts() {
        let (_directory, database) = sqlite().await;
        database.rows("create table a (id integer, b char(32))", &[]).await.expect("a table");
        database.rows("insert into a values ($1, $2), ($2, null)", &["1", "x"]).await.expect("rows");
        let rows = database.rows("select cast(id as text), b from a order by rowid", &[]).await;
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(rows, Ok(vec![vec![text("1"), text("x")], vec![text("x"), None]]));
        let columns = database.columns(&TableName::from_str("a").expect("a name")).await.expect("columns");
        assert_eq!(columns.key_type("b"), Some(KeyType::UuidDigits));
        let missing = database.columns(&TableName::from_str("b").expect("a name")).await;
        assert_eq!(missing.err(), Some(Unreachable("SQLite has no table b".to_owned())));
    }

    #[tokio::test]
    async fn a_missing_file_is_unreachable_and_not_made() {
        let (directory, _) = sqlite().await;
        let path = directory.path().join("none.sqlite3");
        let url = Secret::new(format!("sqlite://{}", path.display()));
        let database = IdentityDatabase::new(&url).expect("a URL");
        assert!(database.rows("select '1'", &[]).await.is_err());
        assert!(!path.exists());
    }

    #[test]
    fn urls_name_sqlite_or_postgres() {
        for right in ["sqlite:a.db", "sqlite:///a.db", "postgres://u@h/d", "postgresql://h/d"] {
            assert!(IdentityDatabase::new(&Secret::new(right)).is_ok(), "{right}");
        }
        for wrong in ["", "sqlite:", "sqlite::memory:", "mysql://h/d", "postgres://h:port/d"] {
            assert!(IdentityDatabase::new(&Secret::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn instants_are_read_as_they_are_written() {
        let date = DateTime::from_timestamp_micros(1_800_000_000_000_001).expect("a date");
        assert_eq!(instant(&write_instant(date)), Some(date));
        assert_eq!(instant("2026-11-25 13:00:00").map(|date| date.timestamp()), Some(1_795_611_600));
        assert_eq!(instant("soon"), None);
    }
}
