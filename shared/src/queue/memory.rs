//! The queue of unit tests: same port, same contract, no disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{
    Backlog, Delivery, FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle, Synced,
};
use crate::frame::{FRAME_BYTES_MAX, Frame};

/// Clones share the frames.
#[derive(Clone, Debug)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bytes_max: u64,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Held>,
    next_ticket: u64,
    refusal: Option<PublishError>,
}

#[derive(Debug)]
struct Held {
    ticket: u64,
    bytes: Bytes,
    activities: u32,
    published: DateTime<Utc>,
    deliveries: u64,
    available: Available,
}

#[derive(Clone, Copy, Debug)]
enum Available {
    From(Instant),
    Delivered,
}

impl MemoryQueue {
    /// `bytes_max` bounds the bytes of all frames together.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        let shared = Shared { bytes_max, state: Mutex::default(), arrived: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    #[must_use]
    pub fn consumer(&self) -> MemoryConsumer {
        MemoryConsumer { shared: Arc::clone(&self.shared) }
    }

    /// Every later publish fails like this; `None` heals.
    pub fn refuse(&self, refusal: Option<PublishError>) {
        self.shared.lock().refusal = refusal;
    }

    /// What a new process would see: whatever was delivered and not acked is there again.
    pub fn reopen(&self) {
        for held in &mut self.shared.lock().frames {
            held.available = Available::From(Instant::now());
        }
        self.shared.arrived.notify_waiters();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_back(&self, ticket: u64, from: Instant) {
        if let Some(held) = self.lock().frames.iter_mut().find(|held| held.ticket == ticket) {
            held.available = Available::From(from);
        }
        self.arrived.notify_waiters();
    }
}

impl State {
    fn take(&mut self, now: Instant) -> Result<&Held, Option<Instant>> {
        let due = |held: &Held| match held.available {
            Available::From(from) => Some(from),
            Available::Delivered => None,
        };
        let next = self.frames.iter().filter_map(due).min();
        let position = self.frames.iter().position(|held| due(held).is_some_and(|from| from <= now));
        let held = position.and_then(|position| self.frames.get_mut(position)).ok_or(next)?;
        held.available = Available::Delivered;
        held.deliveries += 1;
        Ok(held)
    }
}

impl FramePublisher for MemoryQueue {
    fn frame_bytes_max(&self) -> usize {
        FRAME_BYTES_MAX
    }

    async fn publish(&self, frame: &Frame, _deadline: Instant) -> Result<Synced, PublishError> {
        let mut state = self.shared.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        let held: u64 = state.frames.iter().map(|held| held.bytes.len() as u64).sum();
        if held + frame.bytes.len() as u64 > self.shared.bytes_max {
            return Err(PublishError::Full { reason: format!("it holds {held} bytes") });
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.frames.push_back(Held {
            ticket,
            bytes: frame.bytes.clone(),
            activities: frame.count,
            published: crate::time::now(),
            deliveries: 0,
            available: Available::From(Instant::now()),
        });
        drop(state);
        self.shared.arrived.notify_waiters();
        Ok(Synced { duplicate: false })
    }
}

impl QueueBacklog for MemoryQueue {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        let state = self.shared.lock();
        Ok(Backlog {
            frames: state.frames.len() as u64,
            activities: Some(state.frames.iter().map(|held| u64::from(held.activities)).sum()),
            bytes: state.frames.iter().map(|held| held.bytes.len() as u64).sum(),
            oldest: state.frames.iter().map(|held| held.published).min(),
        })
    }
}

#[derive(Debug)]
pub struct MemoryConsumer {
    shared: Arc<Shared>,
}

impl FrameConsumer for MemoryConsumer {
    type Settle = MemorySettle;

    async fn next(&mut self) -> Result<Delivery<MemorySettle>, QueueError> {
        loop {
            let arrived = self.shared.arrived.notified();
            tokio::pin!(arrived);
            // Registered before looking, so that no arrival is missed in between.
            arrived.as_mut().enable();
            let wait_until = match self.shared.lock().take(Instant::now()) {
                Ok(held) => {
                    let settle = MemorySettle { shared: Some(Arc::clone(&self.shared)), ticket: held.ticket };
                    return Ok(Delivery { bytes: held.bytes.clone(), count: held.deliveries, settle });
                }
                Err(next) => next,
            };
            match wait_until {
                None => arrived.await,
                Some(instant) => tokio::select! {
                    () = arrived => {}
                    () = tokio::time::sleep_until(instant) => {}
                },
            }
        }
    }
}

/// Dropped unsettled, it hands the frame back.
#[derive(Debug)]
pub struct MemorySettle {
    /// `None` once settled.
    shared: Option<Arc<Shared>>,
    ticket: u64,
}

impl Settle for MemorySettle {
    async fn ack(mut self) -> Result<(), QueueError> {
        if let Some(shared) = self.shared.take() {
            shared.lock().frames.retain(|held| held.ticket != self.ticket);
        }
        Ok(())
    }

    async fn retry_after(mut self, delay: Duration) -> Result<(), QueueError> {
        if let Some(shared) = self.shared.take() {
            shared.hand_back(self.ticket, Instant::now() + delay);
        }
        Ok(())
    }

    async fn extend(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

impl Drop for MemorySettle {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.hand_back(self.ticket, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryConsumer, MemoryQueue};
    use crate::queue::contract::Fixture;

    struct Memory(MemoryQueue);

    impl Fixture for Memory {
        type Queue = MemoryQueue;
        type Consumer = MemoryConsumer;

        async fn open(bytes_max: u64) -> (Self, MemoryQueue) {
            let queue = MemoryQueue::new(bytes_max);
            (Self(queue.clone()), queue)
        }

        async fn consumer(&self, queue: &MemoryQueue) -> MemoryConsumer {
            queue.consumer()
        }

        async fn reopen(&mut self, _queue: MemoryQueue) -> MemoryQueue {
            self.0.reopen();
            self.0.clone()
        }
    }

    crate::queue_contract!(Memory);
}
