//! A queue as JetStream is one, seen through a bad network: unknown outcomes, late arrivals, `ack_wait`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use shared::frame::{Frame, FrameId};
use shared::lifecycle::{OwnedTask, spawn_owned};
use shared::queue::{
    Backlog, Delivery, FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle, Synced,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::faults::Fault;
use crate::trace::Event;
use crate::world::{World, locked};

const ACK_WAIT: Duration = Duration::from_secs(30);
/// How long a publisher waits for an answer before it sends the same frame again.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// The broker and the way to it. Clones share it.
#[derive(Clone)]
pub(crate) struct Broker(Arc<Shared>);

struct Shared {
    world: World,
    stream: Mutex<Stream>,
    arrived: Notify,
    late: Mutex<Vec<OwnedTask<()>>>,
}

#[derive(Default)]
struct Stream {
    messages: BTreeMap<u64, Message>,
    last: u64,
    bytes_max: usize,
    /// Ids of the window of duplicates.
    ids: BTreeSet<FrameId>,
}

struct Message {
    frame: Frame,
    deliveries: u64,
    /// When it is delivered, or delivered again.
    due: Instant,
}

impl Stream {
    fn bytes(&self) -> usize {
        self.messages.values().map(|message| message.frame.bytes.len()).sum()
    }

    fn store(&mut self, frame: &Frame) -> Result<Synced, PublishError> {
        if self.ids.contains(&frame.id) {
            return Ok(Synced { duplicate: true });
        }
        if self.bytes() + frame.bytes.len() > self.bytes_max {
            return Err(PublishError::Full { reason: "maximum bytes exceeded".to_owned() });
        }
        self.last += 1;
        let message = Message { frame: frame.clone(), deliveries: 0, due: Instant::now() };
        self.messages.insert(self.last, message);
        self.ids.insert(frame.id);
        Ok(Synced { duplicate: false })
    }

    fn deliver(&mut self, now: Instant) -> Result<(u64, Bytes, u64), Option<Instant>> {
        let due = self.messages.values().map(|message| message.due).min();
        let message = self.messages.iter_mut().find(|(_, message)| message.due <= now).ok_or(due)?;
        let (sequence, message) = message;
        message.due = now + ACK_WAIT;
        message.deliveries += 1;
        Ok((*sequence, message.frame.bytes.clone(), message.deliveries))
    }
}

impl Broker {
    pub(crate) fn new(world: &World) -> Self {
        let stream = Stream { bytes_max: world.plan().stream_bytes_max, ..Stream::default() };
        Self(Arc::new(Shared {
            world: world.clone(),
            stream: Mutex::new(stream),
            arrived: Notify::new(),
            late: Mutex::default(),
        }))
    }

    pub(crate) fn world(&self) -> &World {
        &self.0.world
    }

    /// Waits until nothing is on its way any more.
    pub(crate) async fn settle(&self) {
        let late = std::mem::take(&mut *locked(&self.0.late));
        for arrival in late {
            arrival.join().await.expect("an arrival does not panic");
        }
    }

    fn store(&self, frame: &Frame) -> Result<Synced, PublishError> {
        let stored = locked(&self.0.stream).store(frame);
        self.0.arrived.notify_waiters();
        stored
    }

    /// The client gives up, the bytes are in some buffer and arrive.
    fn store_late(&self, frame: &Frame) {
        let (broker, frame) = (self.clone(), frame.clone());
        let arrival = spawn_owned(async move {
            broker.0.world.sleep(0..60_000).await;
            let outcome = if broker.store(&frame).is_ok() { "late" } else { "too late" };
            broker.0.world.tell(&Event::Published {
                activities: frame.count,
                bytes: frame.bytes.len(),
                outcome,
            });
        });
        locked(&self.0.late).push(arrival);
    }

    /// Sends again until there is an answer.
    async fn insist(&self, frame: &Frame) -> Result<Synced, PublishError> {
        let world = &self.0.world;
        let mut refusal_is_clear = true;
        loop {
            world.sleep(0..5).await;
            if world.broker_is_away() {
                world.sleep(50..200).await;
                continue;
            }
            if world.strikes(Fault::PublishLate) {
                self.store_late(frame);
            } else if !world.strikes(Fault::PublishLost) {
                let stored = self.store(frame);
                if !world.strikes(Fault::PublishUnheard) {
                    return match stored {
                        Err(PublishError::Full { reason }) if !refusal_is_clear => {
                            Err(PublishError::Unknown { reason })
                        }
                        stored => stored,
                    };
                }
            }
            refusal_is_clear = false;
            tokio::time::sleep(ANSWER_TIME_MAX).await;
        }
    }
}

impl FramePublisher for Broker {
    fn frame_bytes_max(&self) -> usize {
        self.0.world.plan().frame_bytes_max
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        let unknown = |_| Err(PublishError::Unknown { reason: "no answer".to_owned() });
        timeout_at(deadline, self.insist(frame)).await.unwrap_or_else(unknown)
    }
}

fn away() -> QueueError {
    QueueError::Unavailable { reason: "the broker is away".to_owned() }
}

impl QueueBacklog for Broker {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        if self.0.world.broker_is_away() {
            return Err(away());
        }
        let stream = locked(&self.0.stream);
        Ok(Backlog {
            frames: stream.messages.len() as u64,
            activities: None,
            bytes: stream.bytes() as u64,
            oldest: None,
        })
    }
}

impl FrameConsumer for Broker {
    type Settle = BrokerSettle;

    async fn next(&mut self) -> Result<Delivery<BrokerSettle>, QueueError> {
        loop {
            if self.0.world.broker_is_away() {
                self.0.world.sleep(100..1000).await;
                return Err(away());
            }
            let arrived = self.0.arrived.notified();
            let delivered = locked(&self.0.stream).deliver(Instant::now());
            let due = match delivered {
                Ok((sequence, bytes, count)) => {
                    let settle = BrokerSettle { broker: self.clone(), sequence };
                    return Ok(Delivery { bytes, count, settle });
                }
                Err(due) => due,
            };
            match due {
                None => arrived.await,
                Some(due) => tokio::select! {
                    biased;
                    () = arrived => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }
}

/// Names a message; whoever has it may settle it, however late.
pub(crate) struct BrokerSettle {
    broker: Broker,
    sequence: u64,
}

impl BrokerSettle {
    fn change(&self, change: impl FnOnce(&mut Stream)) -> Result<(), QueueError> {
        if self.broker.0.world.broker_is_away() {
            return Err(away());
        }
        change(&mut locked(&self.broker.0.stream));
        self.broker.0.arrived.notify_waiters();
        Ok(())
    }

    fn due(&self, due: Instant) -> Result<(), QueueError> {
        self.change(|stream| {
            if let Some(message) = stream.messages.get_mut(&self.sequence) {
                message.due = due;
            }
        })
    }
}

impl Settle for BrokerSettle {
    async fn ack(self) -> Result<(), QueueError> {
        // A broker that restarts knows only the ids that are still in the stream.
        let restarted = self.broker.0.world.between(0..2) == 0;
        self.change(|stream| {
            let message = stream.messages.remove(&self.sequence);
            if let Some(message) = message.filter(|_| restarted) {
                stream.ids.remove(&message.frame.id);
            }
        })
    }

    async fn retry_after(self, delay: Duration) -> Result<(), QueueError> {
        self.due(Instant::now() + delay)
    }

    async fn extend(&self) -> Result<(), QueueError> {
        self.due(Instant::now() + ACK_WAIT)
    }
}
