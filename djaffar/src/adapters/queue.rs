//! The embedded queue and JetStream behind one enum.

use std::path::PathBuf;
use std::time::Duration;

use shared::frame::Frame;
use shared::lifecycle::{Shutdown, TaskError, TaskResult};
use shared::queue::embedded::{EmbeddedConfig, EmbeddedConsumer, EmbeddedQueue, EmbeddedSettle};
use shared::queue::jetstream::{JetStreamConfig, JetStreamConsumer, JetStreamQueue, JetStreamSettle};
use shared::queue::{
    Backlog, Delivery, FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle, Synced,
};
use shared::readiness::Readiness;
use shared::secret::Secret;
use tokio::time::Instant;

use crate::settings::queue::QueueSettings;

#[derive(Clone)]
pub(crate) enum AnyQueue {
    Embedded(EmbeddedQueue),
    JetStream(JetStreamQueue),
}

#[expect(clippy::large_enum_variant, reason = "few of them live at a time")]
pub(crate) enum AnyConsumer {
    Embedded(EmbeddedConsumer),
    JetStream(JetStreamConsumer),
}

#[expect(clippy::large_enum_variant, reason = "few of them live at a time")]
pub(crate) enum AnySettle {
    Embedded(EmbeddedSettle),
    JetStream(JetStreamSettle),
}

impl AnyQueue {
    pub(crate) fn embedded(settings: &QueueSettings, directory: PathBuf) -> Result<Self, QueueError> {
        let config = EmbeddedConfig { directory, bytes_max: settings.embedded_queue_max.0 };
        EmbeddedQueue::open(&config).map(Self::Embedded)
    }

    /// Goes on without the servers when they are merely away: [`AnyQueue::watch`] waits for them.
    pub(crate) async fn nats(
        settings: &QueueSettings,
        servers: &Secret,
        readiness: &Readiness,
    ) -> Result<Self, QueueError> {
        let config = JetStreamConfig {
            servers: servers.expose().to_owned(),
            stream: settings.stream.clone(),
            replicas: settings.stream_replicas,
            bytes_max: settings.stream_bytes_max.0,
            ..JetStreamConfig::default()
        };
        JetStreamQueue::open(config, readiness.condition("nats")).await.map(Self::JetStream)
    }

    /// For a command that only reads the backlog.
    pub(crate) async fn look_at(settings: &QueueSettings, servers: &Secret) -> Result<Self, QueueError> {
        Self::nats(settings, servers, &Readiness::default()).await
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::JetStream(_) => "nats",
        }
    }

    pub(crate) fn consumer(&self) -> AnyConsumer {
        match self {
            Self::Embedded(queue) => AnyConsumer::Embedded(queue.consumer()),
            Self::JetStream(queue) => AnyConsumer::JetStream(queue.consumer()),
        }
    }

    /// Ends with an error when the queue cannot go on in this process.
    pub(crate) async fn watch(self, shutdown: Shutdown) -> TaskResult {
        match self {
            Self::Embedded(queue) => tokio::select! {
                reason = queue.failed() => Err(TaskError::Failed(reason)),
                () = shutdown.requested() => Ok(()),
            },
            Self::JetStream(queue) => {
                let outcome = queue.clone().watch(shutdown).await;
                queue.flush().await;
                outcome
            }
        }
    }
}

impl FramePublisher for AnyQueue {
    fn frame_bytes_max(&self) -> usize {
        match self {
            Self::Embedded(queue) => queue.frame_bytes_max(),
            Self::JetStream(queue) => queue.frame_bytes_max(),
        }
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        match self {
            Self::Embedded(queue) => queue.publish(frame, deadline).await,
            Self::JetStream(queue) => queue.publish(frame, deadline).await,
        }
    }
}

impl QueueBacklog for AnyQueue {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        match self {
            Self::Embedded(queue) => queue.backlog().await,
            Self::JetStream(queue) => queue.backlog().await,
        }
    }
}

impl FrameConsumer for AnyConsumer {
    type Settle = AnySettle;

    async fn next(&mut self) -> Result<Delivery<AnySettle>, QueueError> {
        match self {
            Self::Embedded(consumer) => Ok(wrap(consumer.next().await?, AnySettle::Embedded)),
            Self::JetStream(consumer) => Ok(wrap(consumer.next().await?, AnySettle::JetStream)),
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
            Self::JetStream(settle) => settle.ack().await,
        }
    }

    async fn retry_after(self, delay: Duration) -> Result<(), QueueError> {
        match self {
            Self::Embedded(settle) => settle.retry_after(delay).await,
            Self::JetStream(settle) => settle.retry_after(delay).await,
        }
    }

    async fn extend(&self) -> Result<(), QueueError> {
        match self {
            Self::Embedded(settle) => settle.extend().await,
            Self::JetStream(settle) => settle.extend().await,
        }
    }
}
