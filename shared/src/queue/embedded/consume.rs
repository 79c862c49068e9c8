//! Hands frames out and settles them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Inner;
use super::index::{Place, Taken};
use super::shared::{Batch, Shared};
use super::threads::Read;
use crate::queue::telemetry::Adapter;
use crate::queue::{Delivery, FrameConsumer, QueueError, Settle};

/// What one read from the disk brings, at most; bounds what a backlog holds in memory.
const READ_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug)]
pub struct EmbeddedConsumer {
    queue: Arc<Inner>,
    /// Read ahead, not delivered yet.
    ready: VecDeque<(EmbeddedSettle, Bytes)>,
}

impl EmbeddedConsumer {
    pub(super) fn new(queue: Arc<Inner>) -> Self {
        Self { queue, ready: VecDeque::new() }
    }

    /// Reads what was taken. Cancelled, or after a failure, everything is handed back.
    async fn read(&mut self, taken: Vec<Taken>) -> Result<(), QueueError> {
        let shared = &self.queue.shared;
        let settles = taken.iter().map(|taken| EmbeddedSettle::new(shared, *taken)).collect();
        let (reply, frames) = oneshot::channel();
        self.queue.read(Read { taken, settles, reply });
        match frames.await {
            Ok(frames) => {
                self.ready.extend(frames);
                Ok(())
            }
            Err(_) => Err(QueueError::Failed { reason: shared.failed().await }),
        }
    }
}

impl FrameConsumer for EmbeddedConsumer {
    type Settle = EmbeddedSettle;

    async fn next(&mut self) -> Result<Delivery<EmbeddedSettle>, QueueError> {
        loop {
            if let Some((settle, bytes)) = self.ready.pop_front() {
                return Ok(settle.deliver(bytes));
            }
            let queue = Arc::clone(&self.queue);
            let arrived = queue.shared.arrived.notified();
            tokio::pin!(arrived);
            // Registered before looking, so that no arrival is missed in between.
            arrived.as_mut().enable();
            match queue.shared.take(Instant::now(), READ_BYTES_MAX)? {
                Batch::Cached(taken, bytes) => {
                    return Ok(EmbeddedSettle::new(&queue.shared, taken).deliver(bytes));
                }
                Batch::OnDisk(taken) => self.read(taken).await?,
                Batch::Wait(None) => arrived.await,
                Batch::Wait(Some(due)) => tokio::select! {
                    biased;
                    () = arrived => {}
                    () = tokio::time::sleep_until(due) => {}
                },
            }
        }
    }
}

/// The right to settle one frame. Dropped unsettled, it hands the frame back.
#[derive(Debug)]
pub struct EmbeddedSettle {
    shared: Arc<Shared>,
    place: Place,
    count: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ReadAhead,
    Delivered,
    Settled,
}

impl EmbeddedSettle {
    fn new(shared: &Arc<Shared>, taken: Taken) -> Self {
        Self { shared: Arc::clone(shared), place: taken.place, count: taken.count, stage: Stage::ReadAhead }
    }

    fn deliver(mut self, bytes: Bytes) -> Delivery<Self> {
        self.stage = Stage::Delivered;
        Adapter::Embedded.delivered(self.count);
        Delivery { bytes, count: self.count, settle: self }
    }
}

impl Settle for EmbeddedSettle {
    async fn ack(mut self) -> Result<(), QueueError> {
        self.stage = Stage::Settled;
        self.shared.ack(self.place);
        Ok(())
    }

    async fn retry_after(mut self, delay: Duration) -> Result<(), QueueError> {
        self.stage = Stage::Settled;
        self.shared.hand_back(self.place, Instant::now() + delay);
        Ok(())
    }

    /// Nobody else is ever given the frame, so there is always time.
    async fn extend(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

impl Drop for EmbeddedSettle {
    fn drop(&mut self) {
        match self.stage {
            Stage::ReadAhead => self.shared.untake(self.place),
            Stage::Delivered => self.shared.hand_back(self.place, Instant::now()),
            Stage::Settled => {}
        }
    }
}
