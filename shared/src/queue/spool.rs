//! An embedded queue before another one, for when that one is away.
//!
//! A frame goes to the queue behind if that is known to answer; else, and if
//! it has not answered in a fraction of the frame's time, the spool syncs it
//! under the same id. [`SpooledQueue::drain`] publishes what is spooled, in any
//! order; a frame leaves the spool only after the ack of the queue behind, so
//! it is in one of them at any moment, and at times in both: the primary key
//! absorbs that. The first frame of a silence waits; those behind it are
//! spooled at once, until the drain gets an answer. What is decided is
//! [`decision`]'s, which is pure. Held by `spool::tests`, [`super::contract`] and
//! `tests/end_to_end/spool.rs`.

pub mod decision;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use self::decision::{Behind, Drained, Fate, Route};
use super::embedded::{EmbeddedConsumer, EmbeddedQueue, EmbeddedSettle};
use super::{
    Backlog, Delivery, FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle, Synced,
    telemetry,
};
use crate::frame::{self, Frame, FrameId};
use crate::lifecycle::{Shutdown, TaskError, TaskResult};
use crate::readiness::Condition;

/// Longest wait for the ack of a frame that leaves the spool.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A queue that may be known to be away.
pub trait Reachability: FramePublisher {
    fn is_reachable(&self) -> bool;

    /// Resolves when the queue is known to be away. Cancel safe.
    fn away(&self) -> impl Future<Output = ()> + Send;
}

/// Clones share both queues.
#[derive(Clone, Debug)]
pub struct SpooledQueue<P> {
    behind: P,
    spool: EmbeddedQueue,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// The last publish got no answer.
    was_silent: AtomicBool,
    /// The spool has refused a frame and taken none since.
    is_full: AtomicBool,
    condition: Condition,
}

impl<P: Reachability> SpooledQueue<P> {
    /// Nothing is drained without [`Self::drain`]. The condition is green while frames can be taken.
    #[must_use]
    pub fn new(behind: P, spool: EmbeddedQueue, condition: Condition) -> Self {
        let state = State { was_silent: AtomicBool::new(false), is_full: AtomicBool::new(false), condition };
        let queue = Self { behind, spool, state: Arc::new(state) };
        queue.tell();
        queue
    }

    /// The queue that frames go to in the end.
    pub fn behind(&self) -> &P {
        &self.behind
    }

    /// What waits in the spool.
    #[must_use]
    pub fn spooled(&self) -> Backlog {
        self.spool.backlog_now()
    }

    /// Publishes what is spooled until `shutdown`; then goes on for at most `farewell` while it succeeds.
    ///
    /// # Errors
    /// The disk of the spool has failed: the process must end.
    pub async fn drain(&self, shutdown: &Shutdown, farewell: Duration) -> TaskResult {
        let found = self.spooled();
        if found.frames > 0 {
            tracing::info!(frames = found.frames, bytes = found.bytes, "an earlier process has left a spool");
        }
        let mut consumer = self.spool.consumer();
        tokio::select! {
            biased;
            ended = self.drain_from(&mut consumer) => return ended,
            reason = self.spool.failed() => return Err(TaskError::Failed(reason)),
            never = self.look() => match never {},
            () = shutdown.requested() => {}
        }
        // What is left after it is told by whoever ends the process.
        match timeout(farewell, self.drain_all(&mut consumer)).await {
            Ok(Err(error @ QueueError::Failed { .. })) => Err(TaskError::Failed(error.to_string())),
            _ => Ok(()),
        }
    }

    async fn drain_from(&self, consumer: &mut EmbeddedConsumer) -> TaskResult {
        let mut failures = 0;
        loop {
            let delivery = consumer.next().await.map_err(|error| TaskError::Failed(error.to_string()))?;
            match self.hand_on(delivery, failures + 1).await {
                Ok(()) => failures = 0,
                Err(Kept { pause, .. }) => {
                    failures += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Publishes what is spooled until nothing is.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]: the queue behind has not taken a frame; [`QueueError::Failed`]: the
    /// disk of the spool has failed.
    pub async fn empty(&self) -> Result<(), QueueError> {
        self.drain_all(&mut self.spool.consumer()).await
    }

    async fn drain_all(&self, consumer: &mut EmbeddedConsumer) -> Result<(), QueueError> {
        while self.spooled().frames > 0 {
            if !self.behind.is_reachable() {
                return Err(QueueError::Unavailable { reason: "it is away".to_owned() });
            }
            let delivery = consumer.next().await?;
            let handed_on = self.hand_on(delivery, 1).await;
            handed_on.map_err(|Kept { error, .. }| QueueError::Unavailable { reason: error.to_string() })?;
        }
        Ok(())
    }

    /// The frame leaves the spool only if the queue behind has it.
    async fn hand_on(&self, delivery: Delivery<EmbeddedSettle>, attempt: u32) -> Result<(), Kept> {
        let frame = spooled_frame(delivery.bytes);
        let outcome = self.behind.publish(&frame, Instant::now() + DRAIN_TIMEOUT).await;
        match decision::drained(outcome, attempt) {
            Drained::Forget => {
                // The embedded queue settles without an answer.
                delivery.settle.ack().await.ok();
                telemetry::drained();
                self.state.is_full.store(false, Ordering::Relaxed);
                self.note_answer();
                Ok(())
            }
            Drained::Keep { pause, error } => {
                if let PublishError::Full { reason } = &error {
                    tracing::warn!(frame = %frame.id, reason, "a spooled frame is not taken yet");
                    self.note_answer();
                }
                delivery.settle.retry_after(pause).await.ok();
                Err(Kept { pause, error })
            }
        }
    }

    /// Keeps gauges and condition up to date.
    async fn look(&self) -> Infallible {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            telemetry::spool_holds(&self.spooled());
            self.tell();
        }
    }

    fn sight(&self) -> Behind {
        let was_silent = self.state.was_silent.load(Ordering::Relaxed);
        let is_spooled = was_silent && self.spooled().frames > 0;
        decision::behind(self.behind.is_reachable(), was_silent, is_spooled)
    }

    fn tell(&self) {
        match decision::objection(self.sight(), self.state.is_full.load(Ordering::Relaxed)) {
            Some(reason) => self.state.condition.red(reason),
            None => self.state.condition.green(),
        }
    }

    fn note_answer(&self) {
        if self.state.was_silent.swap(false, Ordering::Relaxed) {
            tracing::info!("spool: the queue behind it answers");
            self.tell();
        }
    }

    /// `None` when the spool must take the frame.
    async fn ask_behind(&self, frame: &Frame, until: Instant) -> Option<Result<Synced, PublishError>> {
        let outcome = tokio::select! {
            biased;
            outcome = self.behind.publish(frame, until) => outcome,
            () = self.behind.away() => Err(PublishError::Unknown { reason: "the queue is away".to_owned() }),
        };
        match decision::fate(outcome) {
            Fate::Known(outcome) => {
                self.note_answer();
                Some(outcome)
            }
            Fate::Spool => {
                if !self.state.was_silent.swap(true, Ordering::Relaxed) {
                    tracing::warn!(frame = %frame.id, "spool: no answer from the queue behind it");
                }
                None
            }
        }
    }

    async fn spool(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        let outcome = self.spool.publish(frame, deadline).await;
        let is_full = matches!(&outcome, Err(PublishError::Full { .. }));
        if self.state.is_full.swap(is_full, Ordering::Relaxed) != is_full {
            self.tell();
        }
        if outcome.is_ok() {
            telemetry::spooled();
        }
        outcome
    }
}

/// A frame that stays in the spool.
struct Kept {
    pause: Duration,
    error: PublishError,
}

/// Its id is in its bytes. A frame of a newer build, after a downgrade, goes out under another one.
fn spooled_frame(bytes: Bytes) -> Frame {
    frame::read(bytes.clone()).unwrap_or_else(|error| {
        tracing::warn!(%error, "a spooled frame is handed on under a new id");
        Frame { id: FrameId::generate(), count: 0, bytes }
    })
}

impl<P: Reachability> FramePublisher for SpooledQueue<P> {
    fn frame_bytes_max(&self) -> usize {
        self.behind.frame_bytes_max().min(self.spool.frame_bytes_max())
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        let now = Instant::now();
        let route = decision::route(self.sight(), deadline.duration_since(now));
        if let Route::Behind { patience } = route
            && let Some(outcome) = self.ask_behind(frame, now + patience).await
        {
            return outcome;
        }
        decision::unanswered(route, self.spool(frame, deadline).await)
    }
}

impl<P: QueueBacklog> QueueBacklog for SpooledQueue<P> {
    /// Of the queue behind; [`SpooledQueue::spooled`] tells the rest.
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        self.behind.backlog().await
    }
}

#[cfg(test)]
mod tests;
