//! The queue on this machine's disk: a log of segments in one directory.
//!
//! A publish returns after `fdatasync`. Publishes that wait together are
//! written and synced together, with no timer. A frame's bytes stay on the
//! disk; memory holds some 40 bytes of each, and the newest few megabytes.
//!
//! What was synced never vanishes or changes silently ([`recovery`]): bytes
//! behind the last whole record were never synced and are left out with a log
//! line; anything else that does not check is an error that names the file.
//! An I/O error is final, because `fdatasync` must not be asked twice: every
//! later publish fails, [`EmbeddedQueue::failed`] resolves, and the process
//! ends. Acks are written but not synced: a lost one is one more delivery.
//! Held by `embedded::tests` and [`super::contract`].
//!
//! Measured against redb 4.6 (4 MiB cache), frames of 16 KiB, on the same disk
//! in one run: 3000-4800 against 2000 frames/s synced one after the other,
//! 7700-11,400 against 4200 with four waiting.

mod checksums;
mod consume;
mod disk;
mod index;
mod lock;
mod log;
mod record;
mod recovery;
mod shared;
#[cfg(feature = "test-util")]
pub mod simulated;
mod threads;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::disk::{Directory, Disk};
use self::index::Index;
use self::log::{Bounds, OpenError, SegmentLog};
use self::shared::{Shared, Waiting};
use super::telemetry::Adapter;
use super::{Backlog, FramePublisher, PublishError, QueueBacklog, QueueError, Synced};
use crate::frame::{FRAME_BYTES_MAX, Frame};

pub use self::consume::{EmbeddedConsumer, EmbeddedSettle};

/// Holds two of the largest frames that a small queue may meet, and no more than a moment's reading.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 640 * 1024..=32 * 1024 * 1024;
const SEGMENTS_WANTED: u64 = 32;
/// Three of the smallest segments, one of them spare.
pub const BYTES_MAX_LEAST: u64 = 2 * 1024 * 1024;
const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Created if missing; locked while the queue is open.
    pub directory: PathBuf,
    /// Bound of the files on disk; lowered to what the disk has free.
    pub bytes_max: u64,
}

/// Clones share the queue. Dropping the last one, consumers included, closes it.
#[derive(Clone, Debug)]
pub struct EmbeddedQueue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    bytes_max: u64,
    /// `None` only while dropping.
    reads: Option<mpsc::UnboundedSender<threads::Read>>,
    /// Empty in a simulation.
    threads: Vec<JoinHandle<()>>,
    /// Freed last.
    _lock: Option<File>,
}

impl EmbeddedQueue {
    /// Locks the directory, reads the log back and starts the threads. Blocks while it reads.
    ///
    /// # Errors
    /// [`QueueError::Misconfigured`]: in use, not writable, too small, or damaged.
    pub fn open(config: &EmbeddedConfig) -> Result<Self, QueueError> {
        let lock = lock::lock(&config.directory)?;
        let disk = Arc::new(Directory::new(config.directory.clone()));
        let salt = lock::read_or_make_salt(&disk)?;
        let bounds = bounds(config, &disk)?;
        Self::start(&disk, salt, bounds, lock).map_err(|error| open_failed(&disk, &error))
    }

    fn start<D: Disk>(disk: &Arc<D>, salt: u64, bounds: Bounds, lock: File) -> Result<Self, OpenError> {
        let (log, recovered) = SegmentLog::open(Arc::clone(disk), salt, bounds)?;
        let shared = Arc::new(Shared::new(Index::from_recovered(recovered)));
        let bytes_max = bounds.bytes_max();
        let (reads, receiver) = mpsc::unbounded_channel();
        let threads = vec![
            threads::spawn_commit(Arc::clone(&shared), log)?,
            threads::spawn_read(Arc::clone(&shared), Arc::clone(disk), salt, receiver)?,
        ];
        let inner = Inner { shared, bytes_max, reads: Some(reads), threads, _lock: Some(lock) };
        Ok(Self { inner: Arc::new(inner) })
    }

    #[must_use]
    pub fn consumer(&self) -> EmbeddedConsumer {
        EmbeddedConsumer::new(Arc::clone(&self.inner))
    }

    /// What waits, without waiting.
    #[must_use]
    pub fn backlog_now(&self) -> Backlog {
        self.inner.shared.lock().index.backlog()
    }

    /// Bytes of frames beyond which publishes are refused, or a little earlier on a full disk.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.inner.bytes_max
    }

    /// Resolves when the disk has failed, with the sentence for the operator. The process must end.
    pub async fn failed(&self) -> String {
        self.inner.shared.failed().await
    }
}

impl Inner {
    /// Dropped unanswered when the reading thread has ended.
    fn read(&self, read: threads::Read) {
        if let Some(reads) = &self.reads {
            drop(reads.send(read));
        }
    }
}

/// Seals the log and waits for the threads; at most one sync.
impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        self.reads = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the embedded queue has panicked");
            }
        }
    }
}

fn bounds(config: &EmbeddedConfig, disk: &Directory) -> Result<Bounds, QueueError> {
    if config.bytes_max < BYTES_MAX_LEAST {
        return Err(QueueError::Misconfigured {
            reason: format!(
                "--embedded-queue-max is {} bytes, which holds no frame safely: set it to {BYTES_MAX_LEAST} or more",
                config.bytes_max
            ),
        });
    }
    let path = &config.directory;
    let free = disk.free_bytes().map_err(|error| lock::cannot("ask for the free space of", path, &error))?;
    let used = disk.segments().and_then(|segments| {
        segments.into_iter().map(|segment| disk.length(segment)).sum::<Result<u64, _>>()
    });
    let used = used.map_err(|error| lock::cannot("read", path, &error))?;
    let room = (free + used).saturating_sub(RESERVE_BYTES);
    if room < config.bytes_max {
        tracing::warn!(
            bytes_max = config.bytes_max,
            room,
            "the disk has less free than the queue may hold: it is full when the disk nearly is"
        );
    }
    let segment_bytes =
        (config.bytes_max / SEGMENTS_WANTED).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end());
    // One file less: the spare counts too.
    let segments_max = usize::try_from(config.bytes_max / segment_bytes).unwrap_or(usize::MAX) - 1;
    // At most 32 MiB, so it fits.
    Ok(Bounds { segment_bytes: segment_bytes as u32, segments_max, reserve_bytes: RESERVE_BYTES })
}

fn open_failed(disk: &Directory, error: &OpenError) -> QueueError {
    match error {
        OpenError::Io(error) => lock::cannot("read the embedded queue in", disk.path(), error),
        OpenError::Damaged { segment, offset } => QueueError::Misconfigured {
            reason: format!(
                "the embedded queue is damaged: {} has changed at byte {offset}, where frames lie that were answered with 2xx; restore the file, or move it away to go on without the frames in it",
                disk.segment_path(*segment).display()
            ),
        },
    }
}

impl FramePublisher for EmbeddedQueue {
    fn frame_bytes_max(&self) -> usize {
        FRAME_BYTES_MAX
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        let started = Instant::now();
        let (reply, answer) = oneshot::channel();
        let published_micros = crate::time::now().timestamp_micros();
        let shared = &self.inner.shared;
        let submitted = shared.submit(Waiting { frame: frame.clone(), published_micros, reply });
        let outcome = match submitted {
            Err(error) => Err(error),
            Ok(()) => match tokio::time::timeout_at(deadline, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(PublishError::Unknown { reason: shared.failure().unwrap_or_default() }),
                Err(_) => Err(PublishError::Unknown { reason: "the disk takes too long".to_owned() }),
            },
        };
        match &outcome {
            Ok(_) => Adapter::Embedded.published(started.elapsed()),
            Err(error) => Adapter::Embedded.publish_failed(error),
        }
        outcome
    }
}

impl QueueBacklog for EmbeddedQueue {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        Ok(self.backlog_now())
    }
}

#[cfg(test)]
mod tests;
