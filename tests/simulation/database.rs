//! The store in memory behind a connection that fails, is slow, and hides the fate of COMMIT.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use shared::lifecycle::{OwnedTask, spawn_owned};
use shared::store::{Batch, Store, StoreError, StoreErrorKind, StoreReport};
use writer::store::memory::{MemoryDatabase, MemoryStore};

use crate::faults::Fault;
use crate::sabotage::Sabotage;
use crate::trace::Event;
use crate::world::{Life, World, locked};

/// The server, with transactions that nobody waits for any more. Clones share it.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) tables: MemoryDatabase,
    late: Arc<Mutex<Vec<OwnedTask<()>>>>,
    world: World,
}

impl Database {
    pub(crate) fn new(world: &World) -> Self {
        Self { tables: MemoryDatabase::default(), late: Arc::default(), world: world.clone() }
    }

    pub(crate) fn connect(&self, life: &Life) -> Connection {
        Connection { server: self.clone(), store: self.tables.open("writer"), life: life.clone() }
    }

    /// Waits until no transaction is under way.
    pub(crate) async fn settle(&self) {
        let late = std::mem::take(&mut *locked(&self.late));
        for transaction in late {
            transaction.join().await.expect("a transaction does not panic");
        }
    }
}

pub(crate) struct Connection {
    server: Database,
    store: MemoryStore,
    life: Life,
}

fn failure(kind: StoreErrorKind, reason: &str) -> StoreError {
    StoreError { kind, sqlstate: None, reason: reason.to_owned() }
}

impl Connection {
    fn fails<T>(&self, kind: StoreErrorKind, how: &'static str) -> Result<T, StoreError> {
        self.life.tell(&Event::StoreFails { how });
        Err(failure(kind, how))
    }

    async fn transact(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        self.life.goes_on().await;
        let report = self.store.store(batch).await?;
        let (rows, letters) = (batch.activities.len(), batch.dead_letters.len());
        self.life.tell(&Event::Committed { rows, letters, stored: report.stored });
        Ok(report)
    }

    /// The server goes on with what its client has given up.
    fn commit_late(&self, batch: &Batch) {
        let (server, batch) = (self.server.clone(), batch.clone());
        let transaction = spawn_owned(async move {
            server.world.sleep(0..120_000).await;
            let stored = server.tables.open("writer").store(&batch).await;
            let stored = stored.map_or(0, |report| report.stored);
            let (rows, letters) = (batch.activities.len(), batch.dead_letters.len());
            server.world.tell(&Event::Committed { rows, letters, stored });
        });
        locked(&self.server.late).push(transaction);
    }

    async fn leave_half(&mut self, batch: &Batch) {
        let half = batch.activities.len().div_ceil(2);
        let activities = batch.activities[..half].to_vec();
        // What is poison stops the transaction before there are rows.
        drop(self.store.store(&Batch { activities, ..Batch::default() }).await);
    }
}

impl Store for Connection {
    async fn store(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        let world = self.server.world.clone();
        self.life
            .tell(&Event::StoreBegins { rows: batch.activities.len(), letters: batch.dead_letters.len() });
        match world.strikes(Fault::StoreSlow) {
            true => world.sleep(0..90_000).await,
            false => world.sleep(0..20).await,
        }
        if world.database_is_away() {
            let kind = match world.is_sabotaged(Sabotage::OutageTakenForPoison) {
                true => StoreErrorKind::Data,
                false => StoreErrorKind::Transient,
            };
            return self.fails(kind, "away");
        }
        if world.strikes(Fault::StoreRefuses) {
            if world.is_sabotaged(Sabotage::StoreWithoutRollback) {
                self.leave_half(batch).await;
            }
            let kinds = [StoreErrorKind::Transient, StoreErrorKind::Timeout];
            return self.fails(kinds[world.between(0..2) as usize], "refused");
        }
        if world.strikes(Fault::CommitLate) {
            self.life.goes_on().await;
            self.commit_late(batch);
            return self.fails(StoreErrorKind::Timeout, "timed out");
        }
        let report = self.transact(batch).await?;
        if world.strikes(Fault::CommitUnheard) {
            let kinds = [StoreErrorKind::Transient, StoreErrorKind::Timeout];
            return self.fails(kinds[world.between(0..2) as usize], "committed unheard");
        }
        world.sleep(0..5).await;
        Ok(report)
    }

    async fn maintain(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.life.goes_on().await;
        match self.server.world.database_is_away() {
            true => self.fails(StoreErrorKind::Transient, "away"),
            false => self.store.maintain(now).await,
        }
    }
}
