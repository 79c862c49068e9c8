//! A store in memory that fails as its script says.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::accounting::Accounting;
use shared::event::{Activity, EventDate, EventId, SessionId, UserAgent};
use shared::store::{
    Batch, DeadLetter, InfosVersion, SessionInfo, Store, StoreError, StoreErrorKind, StoreReport,
};

use crate::dead_letters::refused_activity;
use crate::subject::Subject;
use crate::suppression::{ErasureMode, SubjectDigests, Suppression, Suppressions};

const SALT: &[u8] = b"of the tests";

/// What the next attempts do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    Succeeds,
    /// Nothing is stored.
    Fails(StoreErrorKind),
    /// Everything is stored and the answer is lost.
    CommitsUnheard(StoreErrorKind),
    /// Succeeds after this time.
    Takes(Duration),
}

/// Shared tables; every [`MemoryStore`] of it is a connection.
#[derive(Clone, Debug, Default)]
pub struct MemoryDatabase(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    activities: BTreeMap<(EventDate, EventId), Activity>,
    session_infos: BTreeMap<SessionId, SessionInfo>,
    dead_letters: Vec<DeadLetter>,
    accounting: BTreeMap<String, Accounting>,
    suppressions: Vec<Suppression>,
    infos_version: InfosVersion,
    script: VecDeque<Attempt>,
    maintenance: VecDeque<StoreErrorKind>,
    poison: HashSet<EventId>,
    /// Rows of each attempt, failed ones included.
    attempts: Vec<usize>,
    running: usize,
    running_most: usize,
    maintained: usize,
}

impl MemoryDatabase {
    #[must_use]
    pub fn open(&self, writer_id: &str) -> MemoryStore {
        MemoryStore { database: self.clone(), writer_id: writer_id.to_owned() }
    }

    /// Appends to what the next attempts of any connection do; then they succeed.
    pub fn script(&self, attempts: impl IntoIterator<Item = Attempt>) {
        self.tables().script.extend(attempts);
    }

    /// The next calls of `maintain` fail like this.
    pub fn script_maintenance(&self, failures: impl IntoIterator<Item = StoreErrorKind>) {
        self.tables().maintenance.extend(failures);
    }

    /// A batch with this activity is refused as a data error.
    pub fn poison(&self, id: EventId) {
        self.tables().poison.insert(id);
    }

    /// Takes everything that was poison.
    pub fn cure(&self) {
        self.tables().poison.clear();
    }

    #[must_use]
    pub fn activities(&self) -> Vec<Activity> {
        self.tables().activities.values().cloned().collect()
    }

    #[must_use]
    pub fn session_infos(&self) -> Vec<SessionInfo> {
        self.tables().session_infos.values().cloned().collect()
    }

    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.tables().dead_letters.clone()
    }

    #[must_use]
    pub fn accounting(&self) -> Vec<(String, Accounting)> {
        self.tables().accounting.iter().map(|(writer, totals)| (writer.clone(), *totals)).collect()
    }

    /// Rows of each attempt so far, failed ones included.
    #[must_use]
    pub fn attempts(&self) -> Vec<usize> {
        self.tables().attempts.clone()
    }

    /// How many attempts have run at the same time.
    #[must_use]
    pub fn overlap(&self) -> usize {
        self.tables().running_most
    }

    /// Successful calls of `maintain`.
    #[must_use]
    pub fn maintained(&self) -> usize {
        self.tables().maintained
    }

    /// Takes what is stored of the subject until then, and meets what is still to come.
    pub fn erase(&self, subject: &Subject, mode: ErasureMode, until: DateTime<Utc>) {
        self.tables().erase(subject, mode, until);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn commit(&mut self, writer_id: &str, batch: &Batch) -> StoreReport {
        let suppressions = Suppressions::new(0, SALT, self.suppressions.iter().cloned());
        let screened = suppressions.screen(batch, self.infos_version);
        let mut stored = 0;
        for row in &*screened.activities {
            let key = (row.activity.date, row.activity.id);
            self.activities.entry(key).or_insert_with(|| {
                stored += 1;
                // `activity` has no column for it: the agent is the session's.
                Activity { user_agent: UserAgent::default(), ..row.activity.clone() }
            });
        }
        for info in &*screened.session_infos {
            self.session_infos.entry(info.session_id.clone()).or_insert_with(|| info.clone());
        }
        for letter in &*screened.dead_letters {
            let same = |kept: &DeadLetter| match letter.origin.frame_id {
                Some(_) => kept.origin == letter.origin,
                None => kept.bytes == letter.bytes,
            };
            let kept = self.dead_letters.iter().any(same);
            if !kept {
                self.dead_letters.push(letter.clone());
            }
        }
        let report = screened.report(stored);
        self.accounting.entry(writer_id.to_owned()).or_default().add(batch.delivered, &report);
        report
    }

    fn erase(&mut self, subject: &Subject, mode: ErasureMode, until: DateTime<Utc>) {
        let digest = SubjectDigests::new(SALT).digest(subject.kind(), &subject.value());
        self.suppressions.push(Suppression { kind: subject.kind(), mode, digest, received_until: until });
        let is_meant =
            |activity: &Activity| subject.owns(activity) && activity.received_at.instant() <= until;
        match mode {
            ErasureMode::Erase => self.activities.retain(|_, activity| !is_meant(activity)),
            ErasureMode::Anonymise => {
                for activity in self.activities.values_mut().filter(|activity| is_meant(activity)) {
                    (activity.user_id, activity.session_id, activity.ip_address) = (None, None, None);
                }
            }
        }
        self.dead_letters.retain(|letter| {
            let activity = refused_activity(letter.origin.frame_id.is_some(), letter.bytes.clone());
            activity.is_none_or(|activity| !is_meant(&activity))
        });
        let sessions: HashSet<_> =
            self.activities.values().filter_map(|activity| activity.session_id.clone()).collect();
        self.session_infos.retain(|session_id, _| sessions.contains(session_id));
        self.infos_version.0 += 1;
    }
}

#[derive(Debug)]
pub struct MemoryStore {
    database: MemoryDatabase,
    writer_id: String,
}

/// Counts the attempts that run at the same time, cancelled ones included.
struct Running(MemoryDatabase);

impl Running {
    fn begin(database: &MemoryDatabase, rows: usize) -> Self {
        let mut tables = database.tables();
        tables.attempts.push(rows);
        tables.running += 1;
        tables.running_most = tables.running_most.max(tables.running);
        drop(tables);
        Self(database.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.tables().running -= 1;
    }
}

fn failure(kind: StoreErrorKind) -> StoreError {
    let sqlstate = (kind == StoreErrorKind::Data).then(|| "22000".to_owned());
    StoreError { kind, sqlstate, reason: format!("scripted: {kind:?}") }
}

impl Store for MemoryStore {
    async fn store(&mut self, batch: &Batch) -> Result<StoreReport, StoreError> {
        let _running = Running::begin(&self.database, batch.activities.len());
        let attempt = self.database.tables().script.pop_front().unwrap_or(Attempt::Succeeds);
        if let Attempt::Takes(time) = attempt {
            tokio::time::sleep(time).await;
        }
        let mut tables = self.database.tables();
        if let Attempt::Fails(kind) = attempt {
            return Err(failure(kind));
        }
        if batch.activities.iter().any(|row| tables.poison.contains(&row.activity.id)) {
            return Err(failure(StoreErrorKind::Data));
        }
        let report = tables.commit(&self.writer_id, batch);
        match attempt {
            Attempt::CommitsUnheard(kind) => Err(failure(kind)),
            _ => Ok(report),
        }
    }

    async fn maintain(&mut self, _now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tables = self.database.tables();
        if let Some(kind) = tables.maintenance.pop_front() {
            return Err(failure(kind));
        }
        tables.maintained += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SubsecRound, Utc};

    use super::MemoryDatabase;
    use crate::store::contract::{Rows, StoreFixture};
    use crate::subject::Subject;
    use crate::suppression::ErasureMode;

    impl StoreFixture for MemoryDatabase {
        type Store = super::MemoryStore;

        async fn open(&self, writer_id: &str) -> Self::Store {
            Self::open(self, writer_id)
        }

        async fn erase(&self, subject: &Subject, mode: ErasureMode) -> DateTime<Utc> {
            let until = shared::time::now().trunc_subsecs(6);
            Self::erase(self, subject, mode, until);
            until
        }

        async fn rows(&self) -> Rows {
            Rows {
                activities: self.activities(),
                session_infos: self.session_infos(),
                dead_letters: self.dead_letters(),
                accounting: self.accounting().into_iter().map(|(_, totals)| totals).collect(),
            }
        }
    }

    crate::store_contract!(async { MemoryDatabase::default() });
}
