//! The queue port: frames go in durably, come out at least once.
//!
//! Order means nothing. What was [`Synced`] comes out until it is acked;
//! exactly-once is the store's work (its primary key). Adapters:
//! [`embedded`] (a log on this machine's disk), [`jetstream`] (NATS), and
//! [`spool`], which puts the one before the other. All of them, and the memory
//! queue of the tests, pass the same suite, [`contract`].

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::frame::Frame;

#[cfg(feature = "test-util")]
pub mod contract;
pub mod embedded;
pub mod jetstream;
#[cfg(feature = "test-util")]
pub mod memory;
pub mod spool;
mod telemetry;

/// Proof that the queue has synced a frame to disk (or to a quorum of disks).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The queue had this frame already: an earlier attempt had arrived.
    pub duplicate: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The queue refused the frame because it is full; it does not have it.
    #[error("the queue is full: {reason}")]
    Full { reason: String },
    /// No answer before the deadline: the queue may have the frame or not.
    #[error("the queue has not answered: {reason}")]
    Unknown { reason: String },
}

pub trait FramePublisher: Send + Sync + 'static {
    /// The largest frame that the queue takes, in bytes, as known now.
    fn frame_bytes_max(&self) -> usize;

    /// Publishes until the queue has synced the frame, has refused it, or the deadline has passed.
    ///
    /// Resends the same bytes under the same id as often as it takes. Dropping the
    /// future leaves the outcome unknown.
    fn publish(
        &self,
        frame: &Frame,
        deadline: Instant,
    ) -> impl Future<Output = Result<Synced, PublishError>> + Send;
}

/// A frame that the queue hands out, and the right to settle it.
#[derive(Debug)]
pub struct Delivery<S> {
    pub bytes: Bytes,
    /// 1 for the first delivery. A lower bound: a restarted queue may count anew.
    pub count: u64,
    pub settle: S,
}

/// Settles one delivery. Only `writer::settle` calls these.
pub trait Settle: Send + Sync + 'static {
    /// The frame is stored: the queue may forget it. A lost ack means one more delivery.
    fn ack(self) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Hands the frame back; it is delivered again after `delay` or later.
    fn retry_after(self, delay: Duration) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Asks for more time before the queue delivers the frame to somebody else.
    fn extend(&self) -> impl Future<Output = Result<(), QueueError>> + Send;
}

pub trait FrameConsumer: Send + 'static {
    type Settle: Settle;

    /// The next frame; waits for one. Cancel safe: a frame is either returned or delivered later.
    ///
    /// # Errors
    /// The queue cannot be reached; the caller may call again at once, the adapter paces itself.
    fn next(&mut self) -> impl Future<Output = Result<Delivery<Self::Settle>, QueueError>> + Send;

    /// Instead of `next` when the consumer is to end: a frame that is on its way already, `None` when none is
    /// any more. Where frames are never on their way, that is at once. Cancel safe.
    fn remaining(&mut self) -> impl Future<Output = Option<Delivery<Self::Settle>>> + Send {
        async { None }
    }
}

/// What waits in the queue, delivered or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    pub frames: u64,
    /// `None` where the queue cannot count them.
    pub activities: Option<u64>,
    pub bytes: u64,
    /// When the oldest frame was published.
    pub oldest: Option<DateTime<Utc>>,
}

pub trait QueueBacklog: Send + Sync + 'static {
    fn backlog(&self) -> impl Future<Output = Result<Backlog, QueueError>> + Send;
}

/// Says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Merely away: try again.
    #[error("the queue is unavailable: {reason}")]
    Unavailable { reason: String },
    /// Would lose data or can never work: stop. One sentence names the setting and the remedy.
    #[error("{reason}")]
    Misconfigured { reason: String },
    /// The queue's disk has failed: end this process. A new one reads back what was synced.
    #[error("{reason}")]
    Failed { reason: String },
}
