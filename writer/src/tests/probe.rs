//! A queue that checks each ack against the database and counts the rest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::event::EventId;
use shared::frame::{Decoded, decode};
use shared::queue::memory::{MemoryConsumer, MemorySettle};
use shared::queue::{Delivery, FrameConsumer, QueueError, Settle};

use crate::store::memory::MemoryDatabase;

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) acks: AtomicU64,
    pub(super) extends: AtomicU64,
    /// Ids that were acked before they were in the database.
    pub(super) early: Mutex<Vec<EventId>>,
}

pub(super) struct ProbedConsumer {
    pub(super) inner: MemoryConsumer,
    pub(super) database: MemoryDatabase,
    pub(super) counts: Arc<Counts>,
    /// Added to the count of each delivery.
    pub(super) redeliveries: u64,
    /// The next pulls fail like this.
    pub(super) errors: Vec<QueueError>,
}

pub(super) struct ProbedSettle {
    inner: MemorySettle,
    ids: Vec<EventId>,
    database: MemoryDatabase,
    counts: Arc<Counts>,
}

impl FrameConsumer for ProbedConsumer {
    type Settle = ProbedSettle;

    async fn next(&mut self) -> Result<Delivery<ProbedSettle>, QueueError> {
        if let Some(error) = self.errors.pop() {
            return Err(error);
        }
        let Delivery { bytes, count, settle } = self.inner.next().await?;
        let entries = decode(bytes.clone()).map(|frame| frame.activities).unwrap_or_default();
        let ids = entries.into_iter().filter_map(|entry| match entry.decoded {
            Decoded::Activity(activity) => Some(activity.id),
            Decoded::Invalid(_) => None,
        });
        let settle = ProbedSettle {
            inner: settle,
            ids: ids.collect(),
            database: self.database.clone(),
            counts: Arc::clone(&self.counts),
        };
        Ok(Delivery { bytes, count: count + self.redeliveries, settle })
    }
}

impl Settle for ProbedSettle {
    async fn ack(self) -> Result<(), QueueError> {
        self.counts.acks.fetch_add(1, Ordering::Relaxed);
        let stored: std::collections::HashSet<EventId> =
            self.database.activities().into_iter().map(|activity| activity.id).collect();
        let early = self.ids.iter().filter(|id| !stored.contains(id));
        self.counts.early.lock().expect("no panic").extend(early);
        self.inner.ack().await
    }

    async fn retry_after(self, delay: Duration) -> Result<(), QueueError> {
        self.inner.retry_after(delay).await
    }

    async fn extend(&self) -> Result<(), QueueError> {
        self.counts.extends.fetch_add(1, Ordering::Relaxed);
        self.inner.extend().await
    }
}
