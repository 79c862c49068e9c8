//! The store port: one batch in, one transaction, one report.

use std::future::Future;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::event::{Activity, SessionId, UserAgent};
use crate::frame::{FrameId, RawEntry};

/// Session id and user agent; one row of `session_info` per session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    pub session_id: SessionId,
    pub user_agent: UserAgent,
    /// `received_at` of the activity that brought it.
    pub first_seen: DateTime<Utc>,
}

/// Where an activity came from: names it in logs and in its dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `None` when the frame itself could not be read.
    pub frame_id: Option<FrameId>,
    /// Position in the frame.
    pub index: u32,
}

/// What the store refused, kept whole: at most one frame, never cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub bytes: Bytes,
    /// Why, in a sentence.
    pub reason: String,
    /// The database's own code, where there is one.
    pub sqlstate: Option<String>,
    pub origin: Origin,
    pub first_seen: DateTime<Utc>,
}

/// One transaction's worth. Sorted and free of doubles, so that two writers never deadlock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Sorted by (date, id), each pair once.
    pub activities: Vec<StoredActivity>,
    /// Sorted by session id, each once.
    pub session_infos: Vec<SessionInfo>,
    /// As of this version the infos that `session_infos` leaves out are stored: a store at another one
    /// takes those of all sessions from the activities. `None`: none is left out.
    pub infos_known: Option<InfosVersion>,
    pub dead_letters: Vec<DeadLetter>,
    /// Activities of every delivery in this batch, doubles inside it included.
    pub delivered: u64,
    /// Holds redelivered frames: duplicates are likely, so merge straight away.
    pub redelivered: Redelivered,
}

/// Counts how often a store has removed session infos: which of them are stored is known for one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct InfosVersion(pub i64);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redelivered {
    #[default]
    No,
    Yes,
}

/// An activity on its way into the store, with what its dead letter would need.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredActivity {
    pub activity: Activity,
    pub raw: RawEntry,
    pub origin: Origin,
}

impl StoredActivity {
    /// One that has come in no frame, and so can become no dead letter.
    #[must_use]
    pub fn of_no_frame(activity: Activity, index: u32) -> Self {
        Self { activity, raw: RawEntry::default(), origin: Origin { frame_id: None, index } }
    }
}

/// What one committed transaction did, in activities.
///
/// `delivered = stored + duplicate + dead + suppressed` for every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    pub stored: u64,
    /// In the table already, or twice in the batch.
    pub duplicate: u64,
    pub dead: u64,
    /// Left out because their owner was erased.
    pub suppressed: u64,
    /// As the transaction has found it.
    pub infos_version: InfosVersion,
}

/// What to do about a failed transaction. Nothing of it was stored, unless a
/// `Timeout` or a lost connection hides a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Connection, resource, lock, or anything unlisted: retry for ever.
    Transient,
    /// A deadline has passed: retry with half the batch. COMMIT's fate may be unknown.
    Timeout,
    /// An activity in the batch is guilty: bisect to it.
    Data,
    /// The schema is not what this build expects: stop pulling until it is mended.
    Schema,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct StoreError {
    pub kind: StoreErrorKind,
    /// The database's own code, where there is one.
    pub sqlstate: Option<String>,
    pub reason: String,
}

pub trait Store: Send + 'static {
    /// Stores the batch in one transaction and returns after COMMIT.
    ///
    /// Every statement has a deadline; a connection that missed it is dropped.
    fn store(&mut self, batch: &Batch) -> impl Future<Output = Result<StoreReport, StoreError>> + Send;

    /// Reaches the database and brings schema and partitions up to date as of `now`; cheap when they are.
    fn maintain(&mut self, now: DateTime<Utc>) -> impl Future<Output = Result<(), StoreError>> + Send;
}
