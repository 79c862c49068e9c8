//! A few connections, each lent to one question at a time.

use std::sync::{Mutex, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::Semaphore;

use super::Row;

/// More would only crowd out the site's own.
const CONNECTIONS_MAX: usize = 8;

/// A connection that answers in texts.
pub(super) trait Connection: Sized + Send {
    type Options: Send + Sync;

    fn connect(options: &Self::Options) -> impl Future<Output = sqlx::Result<Self>> + Send;

    fn rows(&mut self, sql: &str, arguments: &[&str]) -> impl Future<Output = sqlx::Result<Vec<Row>>> + Send;
}

pub(super) struct Connections<C: Connection> {
    options: C::Options,
    /// Good ones that nobody uses.
    idle: Mutex<Vec<C>>,
    permits: Semaphore,
}

impl<C: Connection> Connections<C> {
    pub(super) fn new(options: C::Options) -> Self {
        Self { options, idle: Mutex::default(), permits: Semaphore::new(CONNECTIONS_MAX) }
    }

    /// An idle connection may have died meanwhile: its question is asked again on a new one.
    pub(super) async fn rows(&self, sql: &str, arguments: &[&str]) -> sqlx::Result<Vec<Row>> {
        let _permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        while let Some(connection) = self.take_idle() {
            match self.ask(connection, sql, arguments).await {
                Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed) => {}
                Err(sqlx::Error::Database(error)) if is_farewell(&*error) => {}
                answer => return answer,
            }
        }
        self.ask(C::connect(&self.options).await?, sql, arguments).await
    }

    async fn ask(&self, mut connection: C, sql: &str, arguments: &[&str]) -> sqlx::Result<Vec<Row>> {
        let rows = connection.rows(sql, arguments).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(rows)
    }

    fn take_idle(&self) -> Option<C> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// 57P01 and its kind: the server has ended the connection.
fn is_farewell(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
}

/// Statements are not kept on the server: a pooler may stand in front of it.
macro_rules! text_rows {
    ($connection:expr, $sql:expr, $arguments:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql.to_owned())).persistent(false);
        for argument in $arguments {
            query = query.bind((*argument).to_owned());
        }
        let rows = query.fetch_all($connection).await?;
        rows.iter().map(|row| (0..row.len()).map(|column| row.try_get(column)).collect()).collect()
    }};
}

impl Connection for PgConnection {
    type Options = PgConnectOptions;

    async fn connect(options: &Self::Options) -> sqlx::Result<Self> {
        Self::connect_with(options).await
    }

    async fn rows(&mut self, sql: &str, arguments: &[&str]) -> sqlx::Result<Vec<Row>> {
        text_rows!(self, sql, arguments)
    }
}

impl Connection for SqliteConnection {
    type Options = SqliteConnectOptions;

    async fn connect(options: &Self::Options) -> sqlx::Result<Self> {
        Self::connect_with(options).await
    }

    async fn rows(&mut self, sql: &str, arguments: &[&str]) -> sqlx::Result<Vec<Row>> {
        text_rows!(self, sql, arguments)
    }
}
