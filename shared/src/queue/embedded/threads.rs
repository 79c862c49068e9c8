//! The two threads that touch the disk, so that the runtime never waits for it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::consume::EmbeddedSettle;
use super::disk::Disk;
use super::index::Taken;
use super::log::{Appended, SegmentLog, read_frames};
use super::record::ACK_BYTES;
use super::shared::{Settled, Shared, Waiting, Work};
use crate::queue::telemetry;
use crate::queue::{PublishError, Synced};

/// Frames that a consumer wants read. They lie one behind the other.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) taken: Vec<Taken>,
    /// Hands back what nobody waits for any more.
    pub(super) settles: Vec<EmbeddedSettle>,
    pub(super) reply: oneshot::Sender<Vec<(EmbeddedSettle, Bytes)>>,
}

/// Starts the thread that appends, syncs and acks. Ends after [`Shared::close`].
pub(super) fn spawn_commit<D: Disk>(shared: Arc<Shared>, log: SegmentLog<D>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("queue-commit".to_owned()).spawn(move || {
        if let Err(error) = commit(&shared, log) {
            shared.fail(disk_failed(&error));
        }
    })
}

pub(super) fn disk_failed(error: &io::Error) -> String {
    format!(
        "the disk of the embedded queue has failed ({error}): mend the disk under --data-dir and start again; whatever was answered with 2xx is read back from there"
    )
}

fn commit<D: Disk>(shared: &Shared, mut log: SegmentLog<D>) -> io::Result<()> {
    loop {
        match shared.next_work() {
            Work::Close => return log.close(),
            Work::Commit(frames) => commit_once(shared, &mut log, frames)?,
        }
    }
}

/// Records the acks, forgets the segments that nobody needs, and syncs one group into the room they leave.
pub(super) fn commit_once<D: Disk>(
    shared: &Shared,
    log: &mut SegmentLog<D>,
    frames: Vec<Waiting>,
) -> io::Result<()> {
    let Settled { acks, finished } = shared.take_settled(log.active());
    record_acks(log, &acks)?;
    finished.into_iter().try_for_each(|segment| log.release(segment))?;
    commit_frames(shared, log, frames)
}

fn commit_frames<D: Disk>(shared: &Shared, log: &mut SegmentLog<D>, frames: Vec<Waiting>) -> io::Result<()> {
    if frames.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    let records: Vec<_> = frames.iter().map(|waiting| (&waiting.frame, waiting.published_micros)).collect();
    let outcomes = log.append(&records)?;
    telemetry::group_synced(frames.len(), started.elapsed());
    let mut replies = Vec::with_capacity(frames.len());
    let mut state = shared.lock();
    for (waiting, outcome) in frames.into_iter().zip(outcomes) {
        let answer = match outcome {
            Appended::Synced { segment, head } => {
                state.synced(segment, head, waiting.frame.bytes);
                Ok(Synced { duplicate: false })
            }
            Appended::Full { reason } => Err(PublishError::Full { reason }),
        };
        replies.push((waiting.reply, answer));
    }
    drop(state);
    for (reply, answer) in replies {
        // Nobody listens to a publish whose deadline has passed.
        drop(reply.send(answer));
    }
    shared.arrived.notify_waiters();
    Ok(())
}

/// `acks` are sorted by segment.
fn record_acks<D: Disk>(log: &SegmentLog<D>, acks: &[(u64, [u8; ACK_BYTES])]) -> io::Result<()> {
    for of_one_segment in acks.chunk_by(|(first, _), (second, _)| first == second) {
        let bytes: Vec<u8> = of_one_segment.iter().flat_map(|(_, ack)| *ack).collect();
        if let Some((segment, _)) = of_one_segment.first() {
            log.record_acks(*segment, &bytes)?;
        }
    }
    Ok(())
}

/// Starts the thread that reads frames back. Ends when every sender is gone.
pub(super) fn spawn_read<D: Disk>(
    shared: Arc<Shared>,
    disk: Arc<D>,
    salt: u64,
    mut reads: mpsc::UnboundedReceiver<Read>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("queue-read".to_owned()).spawn(move || {
        while let Some(read) = reads.blocking_recv() {
            if let Err(error) = read_once(&*disk, salt, read) {
                shared.fail(disk_failed(&error));
                return;
            }
        }
    })
}

pub(super) fn read_once<D: Disk>(disk: &D, salt: u64, read: Read) -> io::Result<()> {
    let Read { taken, settles, reply } = read;
    let heads: Vec<_> = taken.iter().map(|taken| taken.head).collect();
    let segment = taken.first().map_or(0, |first| first.place.segment);
    let frames = read_frames(disk, salt, segment, &heads)?;
    // A consumer that has stopped waiting hands the frames back by dropping them.
    drop(reply.send(settles.into_iter().zip(frames).collect()));
    Ok(())
}
