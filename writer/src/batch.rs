//! Frames to one transaction's worth. Pure: the time is passed in.

use std::time::Duration;

use shared::store::{Batch, DeadLetter, Redelivered, StoredActivity};
use tokio::time::Instant;

use crate::config::WriterConfig;
use crate::sessions::{KnownSessions, infos_of};

/// A frame delivered more often than this is stored in a transaction of its own: whatever it
/// does to the writer or to the database, it does alone.
const DELIVERIES_TOGETHER_MAX: u64 = 5;

/// A decoded frame and the right to settle it.
///
/// Each activity counts as delivered; so does, once, a corrupt frame, whose true number nobody
/// can know: it is its one dead letter.
#[derive(Debug)]
pub(crate) struct Arrival<T> {
    pub(crate) ticket: T,
    /// 1 for the first delivery.
    pub(crate) deliveries: u64,
    pub(crate) activities: Vec<StoredActivity>,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

impl<T> Arrival<T> {
    fn rows(&self) -> usize {
        self.activities.len() + self.dead_letters.len()
    }

    /// Of the encoded activities.
    pub(crate) fn bytes(&self) -> usize {
        let activities = self.activities.iter().map(|row| row.raw.len());
        activities.chain(self.dead_letters.iter().map(|letter| letter.bytes.len())).sum()
    }
}

/// A batch and the frames to settle when all of it is committed.
#[derive(Debug)]
pub(crate) struct Work<T> {
    pub(crate) batch: Batch,
    pub(crate) tickets: Vec<T>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) rows_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) age_max: Duration,
}

impl From<&WriterConfig> for BatchLimits {
    fn from(config: &WriterConfig) -> Self {
        Self { rows_max: config.rows_max, bytes_max: config.bytes_max, age_max: config.age_max }
    }
}

/// The batch that is being gathered.
#[derive(Debug)]
pub(crate) struct Gathering<T> {
    limits: BatchLimits,
    tickets: Vec<T>,
    activities: Vec<StoredActivity>,
    dead_letters: Vec<DeadLetter>,
    bytes: usize,
    redelivered: Redelivered,
    company: Company,
    /// When it must be closed; `None` while it is empty.
    due: Option<Instant>,
}

/// Which frames may join the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Any,
    /// It holds one that was delivered too often.
    None,
}

impl<T> Gathering<T> {
    pub(crate) fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            tickets: Vec::new(),
            activities: Vec::new(),
            dead_letters: Vec::new(),
            bytes: 0,
            redelivered: Redelivered::No,
            company: Company::Any,
            due: None,
        }
    }

    /// Takes the frame, or gives it back: then the batch is due and the frame belongs to the next.
    pub(crate) fn offer(&mut self, arrival: Arrival<T>, now: Instant) -> Result<(), Arrival<T>> {
        let rows = self.rows() + arrival.rows();
        let bytes = self.bytes + arrival.bytes();
        let alone = arrival.deliveries > DELIVERIES_TOGETHER_MAX;
        let fits = rows <= self.limits.rows_max && bytes <= self.limits.bytes_max && !alone;
        if self.due.is_some() && (self.company == Company::None || !fits) {
            self.due = Some(now);
            return Err(arrival);
        }
        let full = rows >= self.limits.rows_max || bytes >= self.limits.bytes_max || alone;
        let due = self.due.unwrap_or_else(|| now + self.limits.age_max);
        self.due = Some(if full { now } else { due });
        if alone {
            self.company = Company::None;
        }
        if arrival.deliveries > 1 {
            self.redelivered = Redelivered::Yes;
        }
        self.bytes = bytes;
        self.tickets.push(arrival.ticket);
        self.activities.extend(arrival.activities);
        self.dead_letters.extend(arrival.dead_letters);
        Ok(())
    }

    /// When it must be closed; `None` while it is empty.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn tickets(&self) -> &[T] {
        &self.tickets
    }

    /// What was gathered goes back to the queue.
    pub(crate) fn abandon(self) -> Vec<T> {
        self.tickets
    }

    /// Closes the batch and begins the next.
    pub(crate) fn close(&mut self, known: &mut KnownSessions) -> Work<T> {
        let gathered = std::mem::replace(self, Self::new(self.limits));
        let delivered = gathered.rows() as u64;
        let mut activities = gathered.activities;
        // The sort is stable: of two activities with one key, the first delivered wins.
        activities.sort_by_cached_key(key);
        activities.dedup_by_key(|row| key(row));
        let session_infos = infos_of(&activities, |session_id| !known.contains(session_id));
        let batch = Batch {
            activities,
            session_infos,
            infos_known: Some(known.version()),
            dead_letters: gathered.dead_letters,
            delivered,
            redelivered: gathered.redelivered,
        };
        Work { batch, tickets: gathered.tickets }
    }

    fn rows(&self) -> usize {
        self.activities.len() + self.dead_letters.len()
    }
}

pub(crate) fn key(row: &StoredActivity) -> (i64, u128) {
    (row.activity.date.micros(), row.activity.id.0.as_u128())
}

#[cfg(test)]
mod tests;
