//! The whole writer on a queue and a store in memory, in paused time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::event::{Activity, EventId};
use shared::frame::{Compression, FRAME_BYTES_MAX, Frame, FrameBuilder, FrameId};
use shared::lifecycle::{OwnedTask, Shutdown, TaskResult, spawn_owned};
use shared::queue::memory::MemoryQueue;
use shared::queue::{FrameConsumer, FramePublisher, QueueBacklog};
use shared::readiness::Readiness;
use tokio::time::Instant;

use self::probe::{Counts, ProbedConsumer};
use crate::store::contract::activity;
use crate::store::memory::MemoryDatabase;
use crate::{WriterConfig, WriterTelemetry, run};

mod failures;
mod frames;
mod probe;
mod stopping;

/// A writer's surroundings.
struct World {
    queue: MemoryQueue,
    database: MemoryDatabase,
    readiness: Readiness,
    telemetry: WriterTelemetry,
    shutdown: Shutdown,
    config: WriterConfig,
}

impl World {
    fn new() -> Self {
        Self {
            queue: MemoryQueue::new(u64::MAX),
            database: MemoryDatabase::default(),
            readiness: Readiness::default(),
            telemetry: WriterTelemetry::new(),
            shutdown: Shutdown::new(),
            config: WriterConfig::default(),
        }
    }

    fn start(&self, lanes: usize) -> OwnedTask<TaskResult> {
        self.start_on(self.queue.consumer(), lanes)
    }

    fn start_on(&self, consumer: impl FrameConsumer, lanes: usize) -> OwnedTask<TaskResult> {
        let (queue, config) = (self.queue.clone(), self.config.clone());
        let (telemetry, readiness) = (self.telemetry.clone(), self.readiness.clone());
        let shutdown = self.shutdown.clone();
        let stores: Vec<_> = (0..lanes).map(|_| self.database.open("writer")).collect();
        spawn_owned(
            async move { run(consumer, queue, stores, config, telemetry, &readiness, shutdown).await },
        )
    }

    fn probed(&self, counts: &Arc<Counts>) -> ProbedConsumer {
        ProbedConsumer {
            inner: self.queue.consumer(),
            database: self.database.clone(),
            counts: Arc::clone(counts),
            redeliveries: 0,
            errors: Vec::new(),
        }
    }

    async fn stop(&self, writer: OwnedTask<TaskResult>) {
        self.shutdown.request();
        writer.join().await.expect("no panic").expect("a clean stop");
    }

    async fn publish(&self, frame: Frame) {
        self.queue.publish(&frame, Instant::now()).await.expect("room in the queue");
    }

    /// Publishes the activities of these numbers, so many in a frame.
    async fn publish_numbers(&self, numbers: std::ops::Range<u32>, frame_size: usize) {
        let numbers: Vec<u32> = numbers.collect();
        for chunk in numbers.chunks(frame_size) {
            self.publish(frame(chunk.iter().copied().map(activity))).await;
        }
    }

    async fn queued(&self) -> u64 {
        self.queue.backlog().await.expect("a memory queue").frames
    }

    /// Waits until the writer has acked everything.
    async fn drained(&self) {
        eventually("the queue is empty", async || self.queued().await == 0).await;
    }

    async fn red(&self, name: &str) {
        eventually("red", async || self.reason(name).is_some()).await;
    }

    async fn ready(&self) {
        eventually("ready", async || self.readiness.reasons().is_empty()).await;
    }

    fn reason(&self, name: &str) -> Option<String> {
        self.readiness.reasons().into_iter().find(|(red, _)| *red == name).map(|(_, reason)| reason)
    }

    fn stored(&self) -> BTreeSet<EventId> {
        self.database.activities().into_iter().map(|activity| activity.id).collect()
    }

    /// Exactly these numbers are stored, and what the database says was delivered adds up.
    fn assert_stored(&self, numbers: impl IntoIterator<Item = u32>) {
        let expected: BTreeSet<EventId> = numbers.into_iter().map(|number| activity(number).id).collect();
        let stored = self.stored();
        assert_eq!(stored.len(), expected.len());
        assert_eq!(stored, expected);
        for (_, totals) in self.database.accounting() {
            assert!(totals.closes(), "{totals:?}");
        }
    }
}

pub(crate) fn frame(activities: impl IntoIterator<Item = Activity>) -> Frame {
    let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
    for activity in activities {
        let encoded = (&activity).into();
        assert!(builder.has_room_for(&encoded));
        builder.push(&encoded);
    }
    builder.finish(FrameId::generate(), Compression::None)
}

fn raw_frame(bytes: &'static [u8]) -> Frame {
    Frame { id: FrameId::generate(), count: 1, bytes: Bytes::from_static(bytes) }
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(3600);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within an hour: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
