//! SQLite and Postgres behind one enum.

use std::path::Path;

use chrono::{DateTime, Utc};
use shared::store::{Batch, Store, StoreError, StoreReport};
use writer::store::postgres::{self, ATTEMPT_TIMEOUT, PostgresConfig, PostgresStore};
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
    Sqlite(SqliteStore),
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
            Self::Sqlite(config) => Ok(vec![AnyStore::Sqlite(SqliteStore::new(config.clone()))]),
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

    /// Brings the schema up to date, on a connection of its own.
    pub(crate) async fn migrate(&self, now: DateTime<Utc>) -> Result<Result<(), StoreError>, Failure> {
        let mut stores = self.connections()?;
        match stores.first_mut() {
            Some(store) => Ok(store.maintain(now).await),
            None => Ok(Ok(())),
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
