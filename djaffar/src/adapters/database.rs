//! SQLite and Postgres behind one enum.

use std::path::Path;

use chrono::{DateTime, Utc};
use shared::store::{Batch, Store, StoreError, StoreReport};
use writer::store::sqlite::{self, SqliteConfig, SqliteStore};
use writer::store::status::StoreStatus;

use crate::failure::Failure;
use crate::settings::database::DatabaseChoice;

/// The database that the settings name; not reached yet.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(SqliteConfig),
}

pub(crate) enum AnyStore {
    Sqlite(SqliteStore),
}

impl Database {
    pub(crate) fn new(choice: DatabaseChoice) -> Result<Self, Failure> {
        match choice {
            DatabaseChoice::Sqlite(path) => Ok(Self::Sqlite(SqliteConfig { path })),
            DatabaseChoice::Postgres(_) => {
                Err(Failure::misconfigured("database: this build has no Postgres"))
            }
        }
    }

    /// For people; without what may be secret.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(config) => format!("SQLite {}", config.path.display()),
        }
    }

    /// The file, where the database is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(config) => Some(&config.path),
        }
    }

    /// A store with a connection of its own, made at its first use.
    pub(crate) fn store(&self) -> AnyStore {
        match self {
            Self::Sqlite(config) => AnyStore::Sqlite(SqliteStore::new(config.clone())),
        }
    }

    /// Totals and dead letters, on a connection of its own.
    pub(crate) async fn status(&self) -> Result<StoreStatus, StoreError> {
        match self {
            Self::Sqlite(config) => sqlite::status(config).await,
        }
    }
}

impl Store for AnyStore {
    async fn store(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        match self {
            Self::Sqlite(store) => store.store(batch).await,
        }
    }

    async fn maintain(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.maintain(now).await,
        }
    }
}
