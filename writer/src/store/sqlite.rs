//! The store of one machine: SQLite in WAL mode, synced at every COMMIT.
//!
//! One write connection; other commands read beside it. The deadline ends a
//! statement that waits for the lock or the disk; its connection is dropped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::store::{Batch, Store, StoreError, StoreReport};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use self::error::{Failure, within};
use super::status::StoreStatus;
use crate::suppression::Suppressions;

mod chunk;
mod erase;
mod error;
mod insert;
mod prune;
mod schema;
mod status;
mod suppression;

pub use erase::erase;
pub use prune::{is_due, prune};

pub(crate) use insert::django_text;

/// One name for all writers of one file: their totals add up in its row.
const WRITER_ID: &str = "sqlite";
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const TRANSACTION_DEADLINE: Duration = Duration::from_secs(30);
/// Room for every width of every insert.
const STATEMENTS_KEPT: usize = 64;

#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// Created, readable by its owner alone, if missing; its directory must exist.
    pub path: PathBuf,
}

#[derive(Debug)]
pub struct SqliteStore {
    config: SqliteConfig,
    /// Brought up to date; taken out during a transaction, so that a failed or
    /// abandoned one drops it.
    connection: Option<SqliteConnection>,
    account: &'static str,
    suppressions: Suppressions,
}

impl SqliteStore {
    /// No I/O: the file is opened by the first use.
    #[must_use]
    pub fn new(config: SqliteConfig) -> Self {
        Self { config, connection: None, account: WRITER_ID, suppressions: Suppressions::unread() }
    }

    /// Names the row of `accounting`, for rows that come from no queue.
    #[must_use]
    pub fn accounted_as(self, account: &'static str) -> Self {
        Self { account, ..self }
    }

    async fn connected(&mut self) -> Result<SqliteConnection, StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => {
                self.suppressions = Suppressions::unread();
                within(TRANSACTION_DEADLINE, open(&self.config.path)).await
            }
        }
    }
}

impl Store for SqliteStore {
    async fn store(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        let mut connection = self.connected().await?;
        let transaction = insert::transaction(&mut connection, batch, self.account, &mut self.suppressions);
        let report = within(TRANSACTION_DEADLINE, transaction).await?;
        self.connection = Some(connection);
        Ok(report)
    }

    async fn maintain(&mut self, _now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut connection = self.connected().await?;
        within(TRANSACTION_DEADLINE, async {
            schema::migrate(&mut connection).await?;
            schema::verify(&mut connection).await
        })
        .await?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Totals and dead letters, beside a running writer.
///
/// # Errors
/// The file is missing, busy or of another schema.
pub async fn status(config: &SqliteConfig) -> Result<StoreStatus, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(&config.path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    within(TRANSACTION_DEADLINE, async {
        let mut connection = options.connect().await?;
        status::read(&mut connection).await
    })
    .await
}

async fn open(path: &Path) -> Result<SqliteConnection, Failure> {
    create_private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // KiB if negative: the session index is written at random places.
        .pragma("cache_size", "-32768")
        .statement_cache_capacity(STATEMENTS_KEPT)
        .disable_statement_logging();
    let mut connection = options.connect().await?;
    schema::migrate(&mut connection).await?;
    Ok(connection)
}

/// The file holds personal data; its WAL takes over its mode.
fn create_private(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop).map_err(|source| Failure::File { path: path.to_owned(), source })
}
