//! A consumer between queue and writer: deliveries come out of order and twice, acks are lost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::frame;
use shared::queue::{Delivery, FrameConsumer, QueueError, Settle};
use tokio::time::Instant;

use crate::faults::Fault;
use crate::sabotage::Sabotage;
use crate::trace::Event;
use crate::world::{Life, World, locked};

/// Deliveries that are held back to come out of order.
const HELD_MAX: usize = 4;

pub(crate) struct Deliveries<C: FrameConsumer> {
    inner: C,
    held: VecDeque<Delivery<Receipt<C::Settle>>>,
    /// The first of them comes out then at the latest.
    due: Instant,
    /// Frames that are acked with the next one.
    forgotten: Vec<C::Settle>,
    world: World,
    life: Life,
}

/// The deliveries of a frame share the right to settle it.
pub(crate) struct Receipt<S> {
    settle: Arc<Mutex<Option<S>>>,
    forgotten: Vec<S>,
    world: World,
    life: Life,
}

impl<C: FrameConsumer> Deliveries<C> {
    pub(crate) fn new(inner: C, world: &World, life: &Life) -> Self {
        let (world, life) = (world.clone(), life.clone());
        Self { inner, held: VecDeque::new(), due: Instant::now(), forgotten: Vec::new(), world, life }
    }

    fn hold(&mut self, delivery: Delivery<Receipt<C::Settle>>) {
        if self.held.is_empty() {
            self.due = Instant::now() + self.world.millis(1..500);
        }
        self.held.push_back(delivery);
    }

    fn release(&mut self) -> Option<Delivery<Receipt<C::Settle>>> {
        if self.held.is_empty() {
            return None;
        }
        let position = self.world.between(0..self.held.len() as u64);
        self.held.remove(position as usize)
    }

    fn wrap(&mut self, settle: C::Settle) -> Receipt<C::Settle> {
        Receipt {
            settle: Arc::new(Mutex::new(Some(settle))),
            forgotten: std::mem::take(&mut self.forgotten),
            world: self.world.clone(),
            life: self.life.clone(),
        }
    }

    async fn arrive(&mut self, delivery: Delivery<C::Settle>) -> Option<Delivery<Receipt<C::Settle>>> {
        let Delivery { bytes, count, settle } = delivery;
        self.life.tell(&Event::Delivered { bytes: bytes.len(), count });
        self.world.delivered(frame::read(bytes.clone()).expect("a whole frame").id);
        if self.world.is_sabotaged(Sabotage::BatchForgetsAFrame) && self.world.between(0..8) == 0 {
            self.forgotten.push(settle);
            return None;
        }
        let receipt = self.wrap(settle);
        if self.world.is_sabotaged(Sabotage::AckBeforeCommit) {
            let settle = locked(&receipt.settle).take();
            if let Some(settle) = settle {
                drop(settle.ack().await);
            }
        }
        if self.world.strikes(Fault::DeliveredTwice) {
            let again = Receipt {
                settle: Arc::clone(&receipt.settle),
                forgotten: Vec::new(),
                world: self.world.clone(),
                life: self.life.clone(),
            };
            self.hold(Delivery { bytes: bytes.clone(), count: count + 1, settle: again });
        }
        Some(Delivery { bytes, count, settle: receipt })
    }
}

impl<C: FrameConsumer> FrameConsumer for Deliveries<C> {
    type Settle = Receipt<C::Settle>;

    async fn next(&mut self) -> Result<Delivery<Self::Settle>, QueueError> {
        self.life.goes_on().await;
        if self.world.strikes(Fault::PullFails) {
            return Err(QueueError::Unavailable { reason: "simulated".to_owned() });
        }
        loop {
            let due = if self.held.is_empty() { None } else { Some(self.due) };
            if (self.held.len() > HELD_MAX || due.is_some_and(|due| due <= Instant::now()))
                && let Some(delivery) = self.release()
            {
                return Ok(delivery);
            }
            let delivery = tokio::select! {
                biased;
                delivery = self.inner.next() => delivery?,
                () = sleep_until(due) => continue,
            };
            let Some(delivery) = self.arrive(delivery).await else { continue };
            if !self.world.strikes(Fault::DeliveryReordered) {
                return Ok(delivery);
            }
            self.hold(delivery);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl<S> Receipt<S> {
    fn take(&self) -> Option<S> {
        locked(&self.settle).take()
    }

    fn told(&self, outcome: &'static str) {
        self.life.tell(&Event::Acked { outcome });
    }
}

fn lost() -> QueueError {
    QueueError::Unavailable { reason: "the answer is lost".to_owned() }
}

impl<S: Settle> Settle for Receipt<S> {
    async fn ack(mut self) -> Result<(), QueueError> {
        self.life.goes_on().await;
        if self.world.strikes(Fault::AckSlow) {
            self.world.sleep(0..10_000).await;
        }
        // Dropped, it is delivered again.
        if self.world.strikes(Fault::AckLost) {
            self.told("lost");
            return Err(lost());
        }
        for forgotten in std::mem::take(&mut self.forgotten) {
            forgotten.ack().await?;
        }
        let Some(settle) = self.take() else {
            self.told("again");
            return Ok(());
        };
        self.told("acked");
        self.life.goes_on().await;
        settle.ack().await?;
        if self.world.strikes(Fault::AckUnheard) { Err(lost()) } else { Ok(()) }
    }

    async fn retry_after(self, delay: Duration) -> Result<(), QueueError> {
        self.life.goes_on().await;
        self.life.tell(&Event::HandedBack { delay });
        match self.take() {
            Some(settle) => settle.retry_after(delay).await,
            None => Ok(()),
        }
    }

    async fn extend(&self) -> Result<(), QueueError> {
        // Held by nobody else meanwhile: the queue's own future would need the lock across an await.
        let settle = self.take();
        let Some(settle) = settle else { return Ok(()) };
        let extended = settle.extend().await;
        locked(&self.settle).replace(settle);
        extended
    }
}
