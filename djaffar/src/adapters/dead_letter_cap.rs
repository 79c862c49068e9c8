//! `--dead-letters-max`: beyond it the writer stops, red, instead of dropping.

use chrono::{DateTime, Utc};
use shared::store::{Batch, Store, StoreError, StoreErrorKind, StoreReport};

use super::database::{AnyStore, Database};
use crate::settings::size::Size;

/// A store that refuses dead letters for which there is no room. Writers of one database may each
/// overshoot by a batch.
pub(crate) struct CappedStore {
    store: AnyStore,
    database: Database,
    dead_letters_max: Size,
}

impl CappedStore {
    pub(crate) fn new(store: AnyStore, database: Database, dead_letters_max: Size) -> Self {
        Self { store, database, dead_letters_max }
    }

    async fn check_room(&self, batch: &Batch) -> Result<(), StoreError> {
        let new = batch.dead_letters.iter().map(|letter| letter.bytes.len() as u64).sum::<u64>();
        let kept = self.database.status().await?.dead_letters.bytes;
        if kept + new <= self.dead_letters_max.0 {
            return Ok(());
        }
        // The kind that stops pulling until somebody has mended it.
        Err(StoreError {
            kind: StoreErrorKind::Schema,
            sqlstate: None,
            reason: format!(
                "the dead letters would hold {} bytes, more than dead-letters-max ({}); see what the database \
                 refuses, make room or raise it",
                kept + new,
                self.dead_letters_max
            ),
        })
    }
}

impl Store for CappedStore {
    async fn store(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        if !batch.dead_letters.is_empty() {
            self.check_room(batch).await?;
        }
        self.store.store(batch).await
    }

    async fn maintain(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.store.maintain(now).await
    }
}

#[cfg(test)]
mod tests {
    use shared::store::{DeadLetter, Origin};

    use super::*;
    use crate::settings::database::DatabaseChoice;

    fn batch(index: u8) -> Batch {
        let letter = DeadLetter {
            bytes: vec![index; 8].into(),
            reason: "refused".to_owned(),
            sqlstate: None,
            origin: Origin { frame_id: None, index: 0 },
            first_seen: DateTime::UNIX_EPOCH,
        };
        Batch { dead_letters: vec![letter], delivered: 1, ..Batch::default() }
    }

    #[tokio::test]
    async fn what_finds_no_room_stops_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let choice = DatabaseChoice::Sqlite(directory.path().join("a.sqlite3"));
        let database = Database::reader(choice).unwrap();
        let mut store = database.stores(Size(15)).unwrap().remove(0);
        store.maintain(DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!(store.store(&batch(1)).await.unwrap().dead, 1);
        let error = store.store(&batch(2)).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Schema);
        assert!(error.reason.contains("16 bytes, more than dead-letters-max (15B)"), "{error}");
        assert_eq!(database.status().await.unwrap().dead_letters.count, 1);
    }
}
