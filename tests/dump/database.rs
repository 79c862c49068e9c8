//! Rows in a database of the test's own, put there by our own stores.

use std::path::PathBuf;
use std::sync::Arc;

use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::djaffar_prints;
use shared::event::Activity;
use shared::secret::Secret;
use shared::store::Store;
use tempfile::TempDir;
use writer::store::postgres::{ATTEMPT_TIMEOUT, PostgresConfig, PostgresStore};
use writer::store::sqlite::{SqliteConfig, SqliteStore};

use crate::rows;

pub(crate) struct SqliteFile(TempDir);

impl SqliteFile {
    pub(crate) async fn empty() -> Self {
        let file = Self(tempfile::tempdir().expect("a temporary directory"));
        file.store().maintain(shared::time::now()).await.expect("a schema");
        file
    }

    pub(crate) async fn filled(activities: &[Activity]) -> Self {
        let file = Self::empty().await;
        file.store().store(&rows::batch(activities)).await.expect("stored rows");
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("rows.sqlite3")
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::new(SqliteConfig { path: self.path() })
    }
}

pub(crate) struct PostgresDatabase {
    _server: Arc<Postgres>,
    pub(crate) url: String,
}

impl PostgresDatabase {
    pub(crate) async fn filled(activities: &[Activity]) -> Self {
        let server = Postgres::shared().await;
        let database = Self { url: server.database().await, _server: server };
        let mut store = database.store();
        store.maintain(shared::time::now()).await.expect("a schema");
        store.store(&rows::batch(activities)).await.expect("stored rows");
        database
    }

    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::new(PostgresConfig {
            url: Secret::new(&self.url),
            writer_id: "dump".to_owned(),
            attempt_timeout: ATTEMPT_TIMEOUT,
        })
        .expect("a URL")
    }
}

pub(crate) fn dump<'a>(database: &'a str, arguments: impl IntoIterator<Item = &'a str>) -> String {
    djaffar_prints(["dump", "--database", database].into_iter().chain(arguments))
}
