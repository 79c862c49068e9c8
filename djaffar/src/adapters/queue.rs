//! The embedded queue and JetStream behind one enum.

use std::path::PathBuf;
use std::time::Duration;

use shared::frame::Frame;
use shared::lifecycle::{Shutdown, TaskError, TaskResult};
use shared::queue::embedded::{EmbeddedConfig, EmbeddedConsumer, EmbeddedQueue, EmbeddedSettle};
use shared::queue::jetstream::{self, JetStreamConfig, JetStreamConsumer, JetStreamQueue, JetStreamSettle};
use shared::queue::spool::SpooledQueue;
use shared::queue::{
    Backlog, Delivery, FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle, Synced,
};
use shared::readiness::{Condition, Readiness};
use tokio::time::Instant;

use crate::settings::queue::{NatsServers, QueueSettings};

/// What a stop has left for the spool after the last request is answered.
const SPOOL_FAREWELL: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) enum AnyQueue {
    Embedded(EmbeddedQueue),
    JetStream(JetStreamQueue),
    /// JetStream, and a spool for when it is away.
    Spooled(SpooledQueue<JetStreamQueue>),
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
        servers: &NatsServers,
        readiness: &Readiness,
    ) -> Result<Self, QueueError> {
        Self::jetstream(settings, servers, readiness.condition("nats")).await.map(Self::JetStream)
    }

    /// Ready while one of them takes frames.
    pub(crate) async fn spooled(
        settings: &QueueSettings,
        servers: &NatsServers,
        spool: EmbeddedQueue,
        readiness: &Readiness,
    ) -> Result<Self, QueueError> {
        // NATS may be away without a word: that is what the spool is for.
        let nats = Self::jetstream(settings, servers, Readiness::default().condition("nats")).await?;
        Ok(Self::Spooled(SpooledQueue::new(nats, spool, readiness.condition("spool"))))
    }

    pub(crate) async fn jetstream(
        settings: &QueueSettings,
        servers: &NatsServers,
        condition: Condition,
    ) -> Result<JetStreamQueue, QueueError> {
        JetStreamQueue::open(config(settings, servers), condition).await
    }

    /// For a command that only reads the backlog, and makes nothing; `None`: there is no such stream yet.
    pub(crate) async fn look_at(
        settings: &QueueSettings,
        servers: &NatsServers,
    ) -> Result<Option<Backlog>, QueueError> {
        jetstream::look_at(&config(settings, servers)).await
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::JetStream(_) | Self::Spooled(_) => "nats",
        }
    }

    pub(crate) fn consumer(&self) -> AnyConsumer {
        match self {
            Self::Embedded(queue) => AnyConsumer::Embedded(queue.consumer()),
            Self::JetStream(queue) => AnyConsumer::JetStream(queue.consumer()),
            Self::Spooled(queue) => AnyConsumer::JetStream(queue.behind().consumer()),
        }
    }

    /// Bytes beyond which it is full; `None` while nobody has told.
    pub(crate) fn bytes_max(&self) -> Option<u64> {
        match self {
            Self::Embedded(queue) => Some(queue.bytes_max()),
            Self::JetStream(queue) => queue.bytes_max(),
            Self::Spooled(queue) => queue.behind().bytes_max(),
        }
    }

    /// What waits in the spool, where there is one.
    pub(crate) fn in_spool(&self) -> Option<Backlog> {
        match self {
            Self::Embedded(_) | Self::JetStream(_) => None,
            Self::Spooled(queue) => Some(queue.spooled()),
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
            Self::Spooled(queue) => {
                let connection = Shutdown::new();
                let drain = async {
                    let drained = queue.drain(&shutdown, SPOOL_FAREWELL).await;
                    connection.request();
                    drained
                };
                tokio::try_join!(queue.behind().clone().watch(connection.clone()), drain).map(drop)
            }
        }
    }
}

fn config(settings: &QueueSettings, servers: &NatsServers) -> JetStreamConfig {
    JetStreamConfig {
        servers: servers.urls.expose().to_owned(),
        access: servers.access.clone(),
        stream: settings.stream.clone(),
        replicas: settings.stream_replicas,
        bytes_max: settings.stream_bytes_max.0,
        ..JetStreamConfig::default()
    }
}

impl FramePublisher for AnyQueue {
    fn frame_bytes_max(&self) -> usize {
        match self {
            Self::Embedded(queue) => queue.frame_bytes_max(),
            Self::JetStream(queue) => queue.frame_bytes_max(),
            Self::Spooled(queue) => queue.frame_bytes_max(),
        }
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        match self {
            Self::Embedded(queue) => queue.publish(frame, deadline).await,
            Self::JetStream(queue) => queue.publish(frame, deadline).await,
            Self::Spooled(queue) => queue.publish(frame, deadline).await,
        }
    }
}

impl QueueBacklog for AnyQueue {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        match self {
            Self::Embedded(queue) => queue.backlog().await,
            Self::JetStream(queue) => queue.backlog().await,
            Self::Spooled(queue) => queue.backlog().await,
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

    async fn remaining(&mut self) -> Option<Delivery<AnySettle>> {
        match self {
            Self::Embedded(consumer) => Some(wrap(consumer.remaining().await?, AnySettle::Embedded)),
            Self::JetStream(consumer) => Some(wrap(consumer.remaining().await?, AnySettle::JetStream)),
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
