//! Pulls frames and decodes them, while the lanes commit.
//!
//! What is pulled and not settled is bounded in bytes; nothing is pulled while
//! the schema is wrong. A frame of a newer version stays in the queue, with an
//! alarm. A corrupt one becomes one dead letter with all its bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use shared::chance;
use shared::frame::{BODY_BYTES_MAX, Decoded, DecodedFrame, FrameError, decode};
use shared::lifecycle::{TaskError, TaskResult};
use shared::queue::{Delivery, FrameConsumer, QueueBacklog, QueueError};
use shared::store::{DeadLetter, Origin, StoredActivity};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::batch::Arrival;
use crate::config::StopMode;
use crate::health::QueueHealth;
use crate::retry::transient_delay;
use crate::settle::{self, Ticket};
use crate::stop::Stop;
use crate::telemetry::WriterTelemetry;

/// A newer frame comes again after so long: by then a newer writer may run.
const NEWER_DELAY: Duration = Duration::from_secs(30);
/// How often a draining writer asks whether the queue is empty.
const DRAINED_POLL: Duration = Duration::from_millis(50);

pub(crate) struct Consume<C: FrameConsumer, B> {
    pub(crate) consumer: C,
    pub(crate) backlog: Arc<B>,
    pub(crate) arrivals: mpsc::Sender<Arrival<Ticket<C::Settle>>>,
    /// Bytes of frames that may still be pulled.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) paused: watch::Receiver<bool>,
    pub(crate) health: QueueHealth,
    pub(crate) telemetry: WriterTelemetry,
    pub(crate) stop: Stop,
}

struct NobodyGathers;

type Pulled<S> = (Delivery<S>, OwnedSemaphorePermit);

impl<C: FrameConsumer, B: QueueBacklog> Consume<C, B> {
    /// Pulls until the stop, or until the queue is empty after it, and receives what is on its way then:
    /// nobody else would be given it before the queue's `ack_wait` has passed.
    ///
    /// # Errors
    /// The queue says that it can never work, or its disk has failed.
    pub(crate) async fn run(mut self) -> TaskResult {
        self.pull_all().await?;
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.expired() => {}
            () = self.receive_remaining() => {}
        }
        Ok(())
    }

    async fn pull_all(&mut self) -> TaskResult {
        let backlog = Arc::clone(&self.backlog);
        let stop = self.stop.clone();
        let mut failures = 0;
        loop {
            let pulled = tokio::select! {
                biased;
                () = pulling_ends(&stop, &*backlog) => return Ok(()),
                pulled = self.pull() => pulled,
            };
            let pause = match pulled {
                Ok((delivery, room)) => {
                    failures = 0;
                    self.health.available();
                    if self.receive(delivery, room).await.is_err() {
                        return Ok(());
                    }
                    continue;
                }
                Err(QueueError::Misconfigured { reason }) => return Err(TaskError::Misconfigured(reason)),
                Err(QueueError::Failed { reason }) => return Err(TaskError::Failed(reason)),
                Err(QueueError::Unavailable { reason }) => {
                    failures += 1;
                    tracing::warn!(%reason, "no frames can be had");
                    self.health.unavailable(reason);
                    transient_delay(failures, chance::fraction())
                }
            };
            tokio::select! {
                biased;
                () = pulling_ends(&stop, &*backlog) => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn receive_remaining(&mut self) {
        while !*self.paused.borrow() {
            let Ok(room) = take_room(Arc::clone(&self.room)).await else { return };
            let Some(delivery) = self.consumer.remaining().await else { return };
            if self.receive(delivery, room).await.is_err() {
                return;
            }
        }
    }

    /// Cancel safe.
    async fn pull(&mut self) -> Result<Pulled<C::Settle>, QueueError> {
        let (room, delivery) = loop {
            // Neither wait can fail: the health that sends lives as long as the lanes.
            drop(self.paused.wait_for(|paused| !paused).await);
            let room = take_room(Arc::clone(&self.room)).await?;
            tokio::select! {
                biased;
                _ = self.paused.wait_for(|paused| *paused) => {}
                delivery = self.consumer.next() => break (room, delivery?),
            }
        };
        Ok((delivery, room))
    }

    /// Fails when nobody gathers any more.
    async fn receive(
        &mut self,
        delivery: Delivery<C::Settle>,
        room: OwnedSemaphorePermit,
    ) -> Result<(), NobodyGathers> {
        let Delivery { bytes, count, settle } = delivery;
        let ticket = Ticket { settle, room };
        let now = shared::time::now();
        let (activities, dead_letters) = match decode(bytes.clone()) {
            Ok(frame) => {
                self.telemetry.frame_decoded();
                sorted_out(frame, now)
            }
            Err(FrameError::Corrupt { reason }) => {
                tracing::error!(%reason, "a corrupt frame becomes a dead letter");
                self.telemetry.frame_corrupt();
                (Vec::new(), vec![corrupt(bytes, reason, now)])
            }
            Err(error @ FrameError::Newer { .. }) => {
                tracing::error!(%error, "a frame is left in the queue");
                self.telemetry.frame_newer();
                self.health.newer(error.to_string());
                settle::retried_later(vec![ticket], NEWER_DELAY, &self.telemetry).await;
                return Ok(());
            }
        };
        let mut arrival = Arrival { ticket, deliveries: count, activities, dead_letters };
        let excess = arrival.ticket.room.num_permits().saturating_sub(arrival.bytes());
        drop(arrival.ticket.room.split(excess));
        self.arrivals.send(arrival).await.map_err(|_| NobodyGathers)
    }
}

/// Room for any frame, inflated; what it does not need is given back once its size is known.
async fn take_room(room: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, QueueError> {
    let closed = |_| QueueError::Failed { reason: "the room for frames is closed".to_owned() };
    room.acquire_many_owned(BODY_BYTES_MAX as u32).await.map_err(closed)
}

/// Resolves when no more frames may be pulled.
async fn pulling_ends<B: QueueBacklog>(stop: &Stop, backlog: &B) {
    stop.requested().await;
    if stop.mode() == StopMode::Pulled {
        return;
    }
    let drained = async {
        loop {
            tokio::time::sleep(DRAINED_POLL).await;
            if backlog.backlog().await.is_ok_and(|backlog| backlog.frames == 0) {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = drained => {}
        () = stop.expired() => {}
    }
}

fn sorted_out(frame: DecodedFrame, now: DateTime<Utc>) -> (Vec<StoredActivity>, Vec<DeadLetter>) {
    let frame_id = Some(frame.id);
    let mut activities = Vec::with_capacity(frame.activities.len());
    let mut dead_letters = Vec::new();
    for (index, entry) in (0..).zip(frame.activities) {
        let origin = Origin { frame_id, index };
        match entry.decoded {
            Decoded::Activity(activity) => {
                activities.push(StoredActivity { activity, raw: entry.raw, origin });
            }
            Decoded::Invalid(reason) => {
                tracing::error!(%frame.id, index, %reason, "an invalid activity becomes a dead letter");
                let bytes = entry.raw.to_bytes();
                dead_letters.push(DeadLetter { bytes, reason, sqlstate: None, origin, first_seen: now });
            }
        }
    }
    (activities, dead_letters)
}

fn corrupt(bytes: Bytes, reason: String, first_seen: DateTime<Utc>) -> DeadLetter {
    DeadLetter { bytes, reason, sqlstate: None, origin: Origin { frame_id: None, index: 0 }, first_seen }
}
