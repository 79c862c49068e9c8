//! What is left of a batch: halves after timeouts, guilty activities apart. Pure.
//!
//! A batch is stored in as few transactions as the database allows, one in the
//! ordinary case. Halves that are good are committed as they are found; the
//! dead letters go with the last of the rest. A kill in between is harmless:
//! the frames are settled only when nothing is left ([`Committed`]), and what
//! was stored is absorbed when they come again.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shared::store::{Batch, DeadLetter, SessionInfo, StoreError, StoredActivity};

use crate::batch::key;
use crate::retry::GUILTY_MAX;

/// Proof that everything of a batch has been committed; only [`Remainder::committed_all`] makes it.
#[derive(Debug)]
pub(crate) struct Committed(());

/// What a data error has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// The next piece is smaller.
    Narrowed,
    /// One activity is guilty and is now a dead letter.
    Guilty,
    /// Too many are guilty: not they are wrong but the schema. Nothing of it is a dead letter.
    SchemaFault,
}

#[derive(Debug)]
pub(crate) struct Remainder {
    /// A stack: the last is stored next. The first holds the dead letters and, as a number in
    /// `delivered`, the doubles of the whole batch.
    pieces: Vec<Batch>,
    guilty: Vec<(StoredActivity, Vec<SessionInfo>)>,
    guilty_max: usize,
    /// Dead letters that the batch came with.
    letters_before: usize,
}

impl Remainder {
    /// `guilty_before`: guilty activities of the batches just before, if those stored nothing.
    pub(crate) fn new(batch: Batch, guilty_before: usize) -> Self {
        let guilty_max = GUILTY_MAX.saturating_sub(guilty_before);
        let letters_before = batch.dead_letters.len();
        let pieces = if batch.delivered == 0 { Vec::new() } else { vec![batch] };
        Self { pieces, guilty: Vec::new(), guilty_max, letters_before }
    }

    /// The next transaction, of at most `rows_max` activities; `None` when all is committed.
    pub(crate) fn next(&mut self, rows_max: usize) -> Option<&Batch> {
        while self.pieces.last()?.activities.len() > rows_max.max(1) {
            self.halve();
        }
        self.pieces.last()
    }

    /// The piece that [`Remainder::next`] showed has been committed.
    pub(crate) fn committed(&mut self) {
        self.pieces.pop();
    }

    /// Dead letters made of this batch's activities so far.
    pub(crate) fn guilty(&self) -> usize {
        self.guilty.len()
    }

    /// Gives the proof if nothing is left.
    pub(crate) fn committed_all(self) -> Option<Committed> {
        self.pieces.is_empty().then_some(Committed(()))
    }

    /// The piece that [`Remainder::next`] showed was refused as a data error.
    pub(crate) fn isolate(&mut self, error: &StoreError, now: DateTime<Utc>) -> Isolation {
        let Some(refused) = self.pieces.last() else { return Isolation::Narrowed };
        match (refused.activities.len(), refused.dead_letters.len()) {
            // No activity is left to blame.
            (0, _) => self.blame_schema(),
            (1, 0) => {
                self.condemn(error, now);
                if self.guilty.len() > self.guilty_max { self.blame_schema() } else { Isolation::Guilty }
            }
            _ => {
                self.halve();
                Isolation::Narrowed
            }
        }
    }

    /// Puts a part of the last piece, at least one activity, in front of the rest.
    fn halve(&mut self) {
        let Some(rest) = self.pieces.last_mut() else { return };
        let count = (rest.activities.len() / 2).max(1);
        let activities: Vec<StoredActivity> = rest.activities.drain(..count).collect();
        let infos = std::mem::take(&mut rest.session_infos);
        rest.session_infos = infos_of(&rest.activities, &infos);
        rest.delivered -= activities.len() as u64;
        let first = Batch {
            session_infos: infos_of(&activities, &infos),
            infos_known: rest.infos_known,
            dead_letters: Vec::new(),
            delivered: activities.len() as u64,
            activities,
            redelivered: rest.redelivered,
        };
        self.pieces.push(first);
    }

    /// Turns the one activity of the last piece into a dead letter of the first.
    fn condemn(&mut self, error: &StoreError, now: DateTime<Utc>) {
        let Some(mut refused) = self.pieces.pop() else { return };
        let Some(row) = refused.activities.pop() else { return };
        let letter = DeadLetter {
            bytes: row.raw.to_bytes(),
            reason: error.reason.clone(),
            sqlstate: error.sqlstate.clone(),
            origin: row.origin,
            first_seen: now,
        };
        self.guilty.push((row, std::mem::take(&mut refused.session_infos)));
        match self.pieces.first_mut() {
            Some(first) => {
                first.delivered += refused.delivered;
                first.dead_letters.push(letter);
            }
            None => {
                refused.dead_letters.push(letter);
                self.pieces.push(refused);
            }
        }
    }

    /// Acquits everybody: what is left is one batch again, as if nothing had been isolated.
    fn blame_schema(&mut self) -> Isolation {
        let pieces = std::mem::take(&mut self.pieces);
        let mut whole = Batch::default();
        for piece in pieces {
            whole.activities.extend(piece.activities);
            whole.session_infos.extend(piece.session_infos);
            whole.dead_letters.extend(piece.dead_letters);
            whole.delivered += piece.delivered;
            whole.infos_known = piece.infos_known;
            whole.redelivered = piece.redelivered;
        }
        whole.dead_letters.truncate(self.letters_before);
        for (row, infos) in self.guilty.drain(..) {
            whole.activities.push(row);
            whole.session_infos.extend(infos);
        }
        whole.activities.sort_by_cached_key(key);
        whole.session_infos.sort_by(|one, other| one.session_id.cmp(&other.session_id));
        whole.session_infos.dedup_by(|one, other| one.session_id == other.session_id);
        self.pieces.push(whole);
        Isolation::SchemaFault
    }
}

/// Those of `infos` whose session one of the activities has.
fn infos_of(activities: &[StoredActivity], infos: &[SessionInfo]) -> Vec<SessionInfo> {
    let sessions: BTreeSet<_> =
        activities.iter().filter_map(|row| row.activity.session_id.as_ref()).collect();
    infos.iter().filter(|info| sessions.contains(&info.session_id)).cloned().collect()
}

#[cfg(test)]
mod tests;
