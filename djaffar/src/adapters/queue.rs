//! The embedded queue and JetStream behind one enum.

use std::path::PathBuf;
use std::time::Duration;

use shared::frame::Frame;
use shared::lifecycle::{Shutdown, TaskError, TaskResult};
use shared::queue::embedded::{EmbeddedConfig, EmbeddedConsumer, EmbeddedQueue, EmbeddedSettle};
use shared::queue::{
    Backlog, Delivery, FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle, Synced,
};
use tokio::time::Instant;

use crate::settings::queue::QueueSettings;

#[derive(Clone)]
pub(crate) enum AnyQueue {
    Embedded(EmbeddedQueue),
}

pub(crate) enum AnyConsumer {
    Embedded(EmbeddedConsumer),
}

pub(crate) enum AnySettle {
    Embedded(EmbeddedSettle),
}

impl AnyQueue {
    pub(crate) fn embedded(settings: &QueueSettings, directory: PathBuf) -> Result<Self, QueueError> {
        let config = EmbeddedConfig { directory, bytes_max: settings.embedded_queue_max.0 };
        EmbeddedQueue::open(&config).map(Self::Embedded)
    }

    pub(crate) async fn nats(
        _: &QueueSettings,
        _: &shared::secret::Secret,
        _: &shared::readiness::Readiness,
    ) -> Result<Self, QueueError> {
        Err(QueueError::Misconfigured { reason: "queue: this build has no NATS".to_owned() })
    }

    pub(crate) async fn look_at(_: &QueueSettings, _: &shared::secret::Secret) -> Result<Self, QueueError> {
        Err(QueueError::Misconfigured { reason: "queue: this build has no NATS".to_owned() })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
        }
    }

    pub(crate) fn consumer(&self) -> AnyConsumer {
        match self {
            Self::Embedded(queue) => AnyConsumer::Embedded(queue.consumer()),
        }
    }

    /// Ends with an error when the queue cannot go on in this process.
    pub(crate) async fn watch(self, shutdown: Shutdown) -> TaskResult {
        match self {
            Self::Embedded(queue) => tokio::select! {
                reason = queue.failed() => Err(TaskError::Failed(reason)),
                () = shutdown.requested() => Ok(()),
            },
        }
    }
}

impl FramePublisher for AnyQueue {
    fn frame_bytes_max(&self) -> usize {
        match self {
            Self::Embedded(queue) => queue.frame_bytes_max(),
        }
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        match self {
            Self::Embedded(queue) => queue.publish(frame, deadline).await,
        }
    }
}

impl QueueBacklog for AnyQueue {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        match self {
            Self::Embedded(queue) => queue.backlog().await,
        }
    }
}

impl FrameConsumer for AnyConsumer {
    type Settle = AnySettle;

    async fn next(&mut self) -> Result<Delivery<AnySettle>, QueueError> {
        match self {
            Self::Embedded(consumer) => Ok(wrap(consumer.next().await?, AnySettle::Embedded)),
        }
    }
}

fn wrap<S>(delivery: Delivery<S>, into: fn(S) -> AnySettle) -> Delivery<AnySettle> {
    Delivery { bytes: delivery.bytes, count: delivery.count, settle: into(delivery.settle) }
}

impl Settle for AnySettle {
    async fn ack(self) -> Result<(), QueueError> {
        match self {
            Self::Embedded(settle) => settle.ack().await,
        }
    }

    async fn retry_after(self, delay: Duration) -> Result<(), QueueError> {
        match self {
            Self::Embedded(settle) => settle.retry_after(delay).await,
        }
    }

    async fn extend(&self) -> Result<(), QueueError> {
        match self {
            Self::Embedded(settle) => settle.extend().await,
        }
    }
}
