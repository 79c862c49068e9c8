//! The queue without its threads, on a disk in memory: what a simulation drives step by step.
//!
//! Log, index, recovery and handles are those of the real queue; only who calls
//! [`commit_once`] and [`read_once`], and when, is the simulation's choice.

mod disk;

use std::sync::Arc;

use tokio::sync::mpsc;

use super::index::Index;
use super::log::{Bounds, OpenError, SegmentLog};
use super::shared::{Shared, Work};
use super::threads::{Read, commit_once, disk_failed, read_once};
use super::{EmbeddedQueue, Inner};
use crate::queue::QueueError;

pub use self::disk::{Fate, Operation, SimulatedDisk, Verdict};

const SALT: u64 = 11;

/// The queue, and what its two threads would do.
#[derive(Debug)]
pub struct Stepped {
    pub queue: EmbeddedQueue,
    pub committer: Committer,
    pub reader: Reader,
}

/// What a step has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Done,
    /// The queue was closed, or its disk has failed: there is nothing more to do.
    Ended,
}

/// Appends, syncs and acks when told to.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    /// `None` once closed.
    log: Option<SegmentLog<SimulatedDisk>>,
}

/// Reads frames back when told to.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    disk: Arc<SimulatedDisk>,
    reads: mpsc::UnboundedReceiver<Read>,
    next: Option<Read>,
}

/// Reads the log back, as [`EmbeddedQueue::open`] does.
///
/// # Errors
/// [`QueueError::Failed`] when the disk fails meanwhile, [`QueueError::Misconfigured`] when what was synced has changed.
pub fn open(
    disk: &Arc<SimulatedDisk>,
    segment_bytes: u32,
    segments_max: usize,
) -> Result<Stepped, QueueError> {
    let bounds = Bounds { segment_bytes, segments_max, reserve_bytes: 0 };
    let (log, recovered) = SegmentLog::open(Arc::clone(disk), SALT, bounds).map_err(|error| match error {
        OpenError::Io(error) => QueueError::Failed { reason: disk_failed(&error) },
        OpenError::Damaged { segment, offset } => {
            QueueError::Misconfigured { reason: format!("segment {segment} has changed at byte {offset}") }
        }
    })?;
    let bytes_max = bounds.bytes_max();
    let shared = Arc::new(Shared::new(Index::from_recovered(recovered)));
    let (sender, reads) = mpsc::unbounded_channel();
    let inner = Inner {
        shared: Arc::clone(&shared),
        bytes_max,
        reads: Some(sender),
        threads: Vec::new(),
        _lock: None,
    };
    Ok(Stepped {
        queue: EmbeddedQueue { inner: Arc::new(inner) },
        committer: Committer { shared: Arc::clone(&shared), log: Some(log) },
        reader: Reader { shared, disk: Arc::clone(disk), reads, next: None },
    })
}

impl Committer {
    /// Resolves when there is perhaps something to commit.
    pub async fn work_arrived(&self) {
        self.shared.work_arrived.notified().await;
    }

    /// Commits all that waits, as one group.
    pub fn step(&mut self) -> Step {
        let Some(mut log) = self.log.take() else { return Step::Ended };
        let work = self.shared.lock().work();
        let (done, open) = match work {
            None => (Ok(()), Some(log)),
            Some(Work::Close) => (log.close(), None),
            Some(Work::Commit(frames)) => (commit_once(&self.shared, &mut log, frames), Some(log)),
        };
        self.log = open;
        if let Err(error) = done {
            self.shared.fail(disk_failed(&error));
            self.log = None;
        }
        if self.log.is_some() { Step::Done } else { Step::Ended }
    }
}

impl Reader {
    /// Resolves when a consumer wants frames, or when there will be none.
    pub async fn work_arrived(&mut self) {
        if self.next.is_none() {
            self.next = self.reads.recv().await;
        }
    }

    /// Reads what one consumer wants.
    pub fn step(&mut self) -> Step {
        let Some(read) = self.next.take() else { return Step::Ended };
        match read_once(&*self.disk, SALT, read) {
            Ok(()) => Step::Done,
            Err(error) => {
                self.shared.fail(disk_failed(&error));
                // Whoever waits for frames hears of the failure.
                self.reads.close();
                while self.reads.try_recv().is_ok() {}
                Step::Ended
            }
        }
    }
}
