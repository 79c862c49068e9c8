//! Erasing a person: what is asked for, what was done.
//!
//! The order is the point. First a suppression, under a lock that no store
//! transaction overlaps: whatever is committed later has been held against it.
//! Then what is stored: rows and dead letters in short pieces, and the infos of
//! sessions that no row names any more, whose removal every writer notices.
//! Stopped anywhere, a second run finishes it. Held by the contract suite of
//! the stores and `tests/faults/keeping.rs`.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::dead_letters::refused_activity;
use crate::subject::Subject;
use crate::suppression::{Digest, ErasureMode};

#[derive(Clone, Debug)]
pub struct Erasure {
    pub subject: Subject,
    pub mode: ErasureMode,
}

/// What a run has done. A second run finds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureReport {
    /// Names the suppression without saying who it is.
    pub digest: Digest,
    /// What was received later is kept: the person has returned.
    pub received_until: DateTime<Utc>,
    /// Rows that went or lost user, session and address.
    pub activities: u64,
    pub dead_letters: u64,
    pub session_infos: u64,
    /// Dead letters that nobody can read, and so nobody knows whose they are.
    pub unreadable_letters: u64,
    /// Sessions of these rows that have rows of nobody or of somebody else too.
    pub shared_sessions: u64,
}

impl ErasureReport {
    pub(crate) fn new(digest: Digest, received_until: DateTime<Utc>) -> Self {
        Self {
            digest,
            received_until,
            activities: 0,
            dead_letters: 0,
            session_infos: 0,
            unreadable_letters: 0,
            shared_sessions: 0,
        }
    }

    /// Whether a dead letter goes, as a row would; counts those of which nobody knows whose they are.
    pub(crate) fn takes(
        &mut self,
        subject: &Subject,
        has_frame: bool,
        bytes: Bytes,
        now: DateTime<Utc>,
    ) -> bool {
        let Some(activity) = refused_activity(has_frame, bytes) else {
            self.unreadable_letters += 1;
            return false;
        };
        subject.owns(&activity) && is_meant(activity.received_at.instant(), self.received_until, now)
    }
}

/// Received before the erasure, or, by a clock that is wrong, in the future.
fn is_meant(received_at: DateTime<Utc>, until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    received_at <= until || received_at > now
}
