//! The two halves of Djaffar as they run in a process: the real assembler and the real writer.

use std::sync::Arc;
use std::time::Duration;

use ingest::IngestTelemetry;
use ingest::assemble::{Assembler, Assembly};
use shared::frame::Frame;
use shared::lifecycle::{OwnedTask, Shutdown, TaskResult, spawn_owned};
use shared::queue::{FrameConsumer, FramePublisher, PublishError, QueueBacklog, Synced};
use shared::readiness::Readiness;
use tokio::time::Instant;
use writer::WriterTelemetry;

use crate::clients::Entrance;
use crate::database::Database;
use crate::deliveries::Deliveries;
use crate::trace::Event;
use crate::world::{Life, World};

/// As `--request-timeout`.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// As in `ingest::run`: what is not synced by then is promised to nobody.
pub(crate) const UNPROMISED_FRAMES: Duration = Duration::from_millis(500);
/// Every wait within a stop has its limit, and this is beyond them all.
pub(crate) const STOP_TIME_MAX: Duration = Duration::from_secs(60);

/// Tells what became of each frame, and limits its size to the seed's.
struct Publisher<P> {
    inner: P,
    world: World,
    life: Life,
}

impl<P: FramePublisher> FramePublisher for Publisher<P> {
    fn frame_bytes_max(&self) -> usize {
        self.world.plan().frame_bytes_max
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        self.life.goes_on().await;
        let result = self.inner.publish(frame, deadline).await;
        if matches!(result, Err(PublishError::Full { .. })) {
            self.world.refused(frame.id);
        }
        let outcome = match &result {
            Ok(Synced { duplicate: false }) => "synced",
            Ok(Synced { duplicate: true }) => "synced before",
            Err(PublishError::Full { .. }) => "full",
            Err(PublishError::Unknown { .. }) => "unknown",
        };
        self.life.tell(&Event::Published { activities: frame.count, bytes: frame.bytes.len(), outcome });
        result
    }
}

pub(crate) struct RunningIngest {
    pub(crate) assembler: OwnedTask<()>,
    pub(crate) stop: Shutdown,
}

pub(crate) fn start_ingest(
    world: &World,
    life: &Life,
    entrance: &Entrance,
    publisher: impl FramePublisher,
) -> RunningIngest {
    let plan = world.plan();
    let assembly = Assembly::default();
    let publisher = Publisher { inner: publisher, world: world.clone(), life: life.clone() };
    let assembler = Assembler {
        assembly: assembly.clone(),
        publisher: Arc::new(publisher),
        frames_in_flight: plan.frames_in_flight,
        publish_timeout: PUBLISH_TIMEOUT,
        telemetry: IngestTelemetry::new(),
    };
    let stop = Shutdown::new();
    let assembler = spawn_owned(assembler.run(stop.clone()));
    entrance.open(Some(assembly));
    RunningIngest { assembler, stop }
}

pub(crate) struct RunningWriter {
    pub(crate) writer: OwnedTask<TaskResult>,
    pub(crate) stop: Shutdown,
    pub(crate) readiness: Readiness,
}

pub(crate) fn start_writer(
    world: &World,
    life: &Life,
    database: &Database,
    consumer: impl FrameConsumer,
    backlog: impl QueueBacklog,
) -> RunningWriter {
    let consumer = Deliveries::new(consumer, world, life);
    let stores: Vec<_> = (0..world.plan().lanes).map(|_| database.connect(life)).collect();
    let config = world.plan().writer.clone();
    let (stop, readiness) = (Shutdown::new(), Readiness::default());
    let (asked, told) = (stop.clone(), readiness.clone());
    let writer = spawn_owned(async move {
        writer::run(consumer, backlog, stores, config, WriterTelemetry::new(), &told, asked).await
    });
    RunningWriter { writer, stop, readiness }
}

/// How a life has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Died,
    Stopped,
    StoppedForGood,
}

impl End {
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::Died => "failed",
            Self::Stopped | Self::StoppedForGood => "stopped",
        }
    }
}

/// When somebody stops the process as one should; perhaps never.
pub(crate) async fn stop_in_order(world: &World) {
    if !world.plan().stops_in_order || world.is_calm() {
        return std::future::pending().await;
    }
    world.sleep(100..30_000).await;
    if world.is_calm() {
        std::future::pending().await
    }
}
