//! SQLite and Postgres behind one enum.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::store::{Batch, Store, StoreError, StoreReport};
use writer::erase::{Erasure, ErasureReport};
use writer::export::ExportSource;
use writer::load::ACCOUNT;
use writer::prune::{PruneReport, Pruning};
use writer::store::postgres::{self, ATTEMPT_TIMEOUT, MadeMonths, PostgresConfig, PostgresStore};
use writer::store::sqlite::{self, SqliteConfig, SqliteStore};
use writer::store::status::StoreStatus;

use super::dead_letter_cap::CappedStore;
use crate::failure::Failure;
use crate::settings::database::DatabaseChoice;
use crate::settings::size::Size;

/// Two overlap their transactions' waits for the disk; SQLite has one write connection.
const POSTGRES_CONNECTIONS: usize = 2;

/// The database that the settings name; not reached yet.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(SqliteConfig),
    Postgres(PostgresConfig),
}

pub(crate) enum AnyStore {
    Sqlite(Box<SqliteStore>),
    Postgres(Box<PostgresStore>),
}

impl Database {
    /// `writer_id` is unique among the writers of one database.
    pub(crate) fn new(choice: DatabaseChoice, writer_id: String) -> Result<Self, Failure> {
        let database = match choice {
            DatabaseChoice::Sqlite(path) => Self::Sqlite(SqliteConfig { path }),
            DatabaseChoice::Postgres(url) => {
                Self::Postgres(PostgresConfig { url, writer_id, attempt_timeout: ATTEMPT_TIMEOUT })
            }
        };
        // A URL that cannot be read stops the start.
        database.connections().map(|_| database)
    }

    /// For commands that store nothing.
    pub(crate) fn reader(choice: DatabaseChoice) -> Result<Self, Failure> {
        Self::new(choice, String::new())
    }

    /// For people; without what may be secret.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(config) => format!("SQLite {}", config.path.display()),
            Self::Postgres(_) => "Postgres".to_owned(),
        }
    }

    /// One line about a connection that somebody between could read.
    pub(crate) fn warning(&self) -> Option<String> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(config) => postgres::warning(&config.url),
        }
    }

    /// The file, where the database is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(config) => Some(&config.path),
            Self::Postgres(_) => None,
        }
    }

    /// The writer's lanes.
    pub(crate) fn stores(&self, dead_letters_max: Size) -> Result<Vec<CappedStore>, Failure> {
        let stores = self.connections()?.into_iter();
        Ok(stores.map(|store| CappedStore::new(store, self.clone(), dead_letters_max)).collect())
    }

    /// One store for each connection that pays, each with an accounting row of its own.
    fn connections(&self) -> Result<Vec<AnyStore>, Failure> {
        match self {
            Self::Sqlite(config) => Ok(vec![AnyStore::Sqlite(Box::new(SqliteStore::new(config.clone())))]),
            Self::Postgres(config) => (0..POSTGRES_CONNECTIONS)
                .map(|lane| {
                    let writer_id = format!("{}/{lane}", config.writer_id);
                    PostgresStore::new(PostgresConfig { writer_id, ..config.clone() })
                })
                .map(|store| store.map(|store| AnyStore::Postgres(Box::new(store))))
                .collect::<Result<_, _>>()
                .map_err(|error| Failure::misconfigured(error.to_string())),
        }
    }

    /// For rows that come from no queue: with accounts of their own.
    pub(crate) fn load_connections(&self) -> Result<Vec<AnyStore>, Failure> {
        let stores = self.connections()?.into_iter();
        Ok(stores
            .map(|store| match store {
                AnyStore::Sqlite(store) => AnyStore::Sqlite(Box::new(store.accounted_as(ACCOUNT))),
                postgres @ AnyStore::Postgres(_) => postgres,
            })
            .collect())
    }

    /// Brings the schema up to date, on a connection of its own.
    pub(crate) async fn migrate(&self, now: DateTime<Utc>) -> Result<Result<(), StoreError>, Failure> {
        let mut stores = self.connections()?;
        match stores.first_mut() {
            Some(store) => Ok(store.maintain(now).await),
            None => Ok(Ok(())),
        }
    }

    /// `None` while another pruning runs.
    pub(crate) async fn prune(&self, pruning: &Pruning) -> Result<Option<PruneReport>, StoreError> {
        match self {
            Self::Sqlite(config) => sqlite::prune(config, pruning).await,
            Self::Postgres(config) => postgres::prune(config, pruning).await,
        }
    }

    /// Whether a retention of that length asks for a pruning now.
    pub(crate) async fn is_pruning_due(
        &self,
        now: DateTime<Utc>,
        retention: Duration,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(config) => sqlite::is_due(config, now, retention).await,
            Self::Postgres(config) => postgres::is_due(config, now, retention).await,
        }
    }

    pub(crate) async fn erase(
        &self,
        erasure: &Erasure,
        now: DateTime<Utc>,
    ) -> Result<ErasureReport, StoreError> {
        match self {
            Self::Sqlite(config) => sqlite::erase(config, erasure, now).await,
            Self::Postgres(config) => postgres::erase(config, erasure, now).await,
        }
    }

    /// Totals and dead letters, on a connection of its own.
    pub(crate) async fn status(&self) -> Result<StoreStatus, StoreError> {
        match self {
            Self::Sqlite(config) => sqlite::status(config).await,
            Self::Postgres(config) => postgres::status(config).await,
        }
    }
}

impl AnyStore {
    /// Makes the months of these dates, from 1970 to now, where months are tables.
    pub(crate) async fn make_months(
        &mut self,
        dates: impl Iterator<Item = DateTime<Utc>> + Send,
        made: &mut MadeMonths,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(store) => store.make_months(dates, made, now).await,
        }
    }
}

impl From<DatabaseChoice> for ExportSource {
    fn from(choice: DatabaseChoice) -> Self {
        match choice {
            DatabaseChoice::Sqlite(path) => Self::Sqlite(path),
            DatabaseChoice::Postgres(url) => Self::Postgres(url),
        }
    }
}

impl Store for AnyStore {
    async fn store(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        match self {
            Self::Sqlite(store) => store.store(batch).await,
            Self::Postgres(store) => store.store(batch).await,
        }
    }

    async fn maintain(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.maintain(now).await,
            Self::Postgres(store) => store.maintain(now).await,
        }
    }
}
