//! What the handles, the consumers and the two threads share.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::index::{Index, Place, Taken};
use super::record::ACK_BYTES;
use crate::frame::Frame;
use crate::queue::{PublishError, QueueError, Synced};

/// Bytes of the newest frames that are kept, so that a consumer who keeps up reads no disk.
const CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Publishes that wait for the disk.
pub(super) const WAITING_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Wakes the thread that commits.
    work: Condvar,
    /// Wakes the task that commits instead of it.
    #[cfg(feature = "test-util")]
    pub(super) work_arrived: Notify,
    /// Wakes consumers.
    pub(super) arrived: Notify,
    /// The sentence that ends the process.
    failure: watch::Sender<Option<String>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) index: Index,
    pub(super) waiting: Vec<Waiting>,
    acks: Vec<(u64, [u8; ACK_BYTES])>,
    cache: Cache,
    closing: bool,
}

/// A publish that waits for its group's sync.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) frame: Frame,
    pub(super) published_micros: i64,
    pub(super) reply: oneshot::Sender<Result<Synced, PublishError>>,
}

/// What the committing thread does next.
pub(super) enum Work {
    /// These frames, perhaps none, and whatever was settled.
    Commit(Vec<Waiting>),
    Close,
}

/// What the consumers have settled since the last time.
pub(super) struct Settled {
    /// Sorted by segment; none of a finished one.
    pub(super) acks: Vec<(u64, [u8; ACK_BYTES])>,
    /// Segments that hold nothing any more.
    pub(super) finished: Vec<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    frames: HashMap<Place, Bytes>,
    bytes: usize,
}

impl Cache {
    pub(super) fn keep(&mut self, place: Place, bytes: Bytes) {
        if self.bytes + bytes.len() <= CACHE_BYTES_MAX {
            self.bytes += bytes.len();
            self.frames.insert(place, bytes);
        }
    }

    fn take(&mut self, place: Place) -> Option<Bytes> {
        let bytes = self.frames.remove(&place)?;
        self.bytes -= bytes.len();
        Some(bytes)
    }
}

impl Shared {
    pub(super) fn new(index: Index) -> Self {
        Self {
            state: Mutex::new(State { index, ..State::default() }),
            work: Condvar::new(),
            #[cfg(feature = "test-util")]
            work_arrived: Notify::new(),
            arrived: Notify::new(),
            failure: watch::Sender::new(None),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            // The sender lives in `self`.
            None => std::future::pending().await,
        }
    }

    /// The disk has failed: nothing is synced and nothing is delivered from here on.
    pub(super) fn fail(&self, reason: String) {
        tracing::error!(reason, "the embedded queue has failed");
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert(reason);
            first
        });
        // Their publishers hear of it by the dropped reply.
        self.lock().waiting.clear();
        self.arrived.notify_waiters();
    }

    /// Queues a publish for the next group.
    pub(super) fn submit(&self, waiting: Waiting) -> Result<(), PublishError> {
        let mut state = self.lock();
        let unknown = |reason: &str| Err(PublishError::Unknown { reason: reason.to_owned() });
        if let Some(reason) = self.failure() {
            return unknown(&reason);
        }
        if state.closing {
            return unknown("the embedded queue is closed");
        }
        if state.waiting.len() >= WAITING_MAX {
            return unknown("too many publishes wait for the disk");
        }
        state.waiting.push(waiting);
        self.wake_committer();
        Ok(())
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake_committer();
    }

    fn wake_committer(&self) {
        self.work.notify_one();
        #[cfg(feature = "test-util")]
        self.work_arrived.notify_one();
    }

    /// Waits until there is something to do.
    pub(super) fn next_work(&self) -> Work {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work() {
                return work;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Acks and the segments that they finish, in one look: no ack comes after its segment's end.
    pub(super) fn take_settled(&self, active: Option<u64>) -> Settled {
        let mut state = self.lock();
        let finished = state.index.drop_finished(active);
        let mut acks = std::mem::take(&mut state.acks);
        drop(state);
        acks.retain(|(segment, _)| !finished.contains(segment));
        acks.sort_unstable();
        Settled { acks, finished }
    }

    /// Takes frames up to `bytes_max` (at least one) that lie one behind the other, or that are cached.
    pub(super) fn take(&self, now: Instant, bytes_max: usize) -> Result<Batch, QueueError> {
        if let Some(reason) = self.failure() {
            return Err(QueueError::Failed { reason });
        }
        let mut state = self.lock();
        let Some(first) = state.index.take(now) else {
            return Ok(Batch::Wait(state.index.next_due()));
        };
        if let Some(bytes) = state.cache.take(first.place) {
            return Ok(Batch::Cached(first, bytes));
        }
        let mut batch = vec![first];
        let mut end = first;
        while let Some(next) = state.index.take_behind(end, first.head.offset as usize + bytes_max) {
            state.cache.take(next.place);
            batch.push(next);
            end = next;
        }
        Ok(Batch::OnDisk(batch))
    }

    pub(super) fn ack(&self, place: Place) {
        let mut state = self.lock();
        if let Some(head) = state.index.ack(place) {
            state.acks.push((place.segment, head.ack()));
            self.wake_committer();
        }
    }

    pub(super) fn hand_back(&self, place: Place, due: Instant) {
        self.lock().index.hand_back(place, due);
        self.arrived.notify_waiters();
    }

    pub(super) fn untake(&self, place: Place) {
        self.lock().index.untake(place, Instant::now());
        self.arrived.notify_waiters();
    }
}

/// What a consumer gets when it asks.
pub(super) enum Batch {
    Cached(Taken, Bytes),
    OnDisk(Vec<Taken>),
    /// Nothing until a frame arrives, or until then.
    Wait(Option<Instant>),
}

impl State {
    /// What there is to do now.
    pub(super) fn work(&mut self) -> Option<Work> {
        if !self.waiting.is_empty() || !self.acks.is_empty() {
            return Some(Work::Commit(std::mem::take(&mut self.waiting)));
        }
        self.closing.then_some(Work::Close)
    }

    /// A frame is synced: from now on it is delivered.
    pub(super) fn synced(&mut self, segment: u64, head: super::record::RecordHead, bytes: Bytes) {
        let place = self.index.insert(segment, head);
        self.cache.keep(place, bytes);
    }
}
