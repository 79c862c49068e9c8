//! Pulls frames from the durable consumer that all writers share.
//!
//! Whatever goes wrong with a pull, it is dropped and built anew; what it had
//! taken in is kept. A lost pull costs time, never a frame.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{AckKind, ErrorCode, Message};
use futures_util::FutureExt;
use tokio::time::timeout;

use super::pull::Pull;
use super::{Inner, Link, Session};
use crate::queue::telemetry::Adapter;
use crate::queue::{Delivery, FrameConsumer, QueueError, Settle};

pub(super) const CONSUMER: &str = "djaffar-writer";
const ACK_PENDING_MAX: i64 = 8192;
/// How long `next` waits for a connection before it says that there is none.
const LINK_TIMEOUT: Duration = Duration::from_secs(5);
const REBUILD_PAUSE: Duration = Duration::from_millis(250);
/// An ack waits for room in the client's channel; that is full only while the server is away.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

pub struct JetStreamConsumer {
    inner: Arc<Inner>,
    pull: Option<SessionPull>,
    /// Taken in by a pull that has ended since.
    ready: VecDeque<Message>,
}

struct SessionPull {
    generation: u64,
    pull: Pull,
}

impl std::fmt::Debug for JetStreamConsumer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JetStreamConsumer").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

impl JetStreamConsumer {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, pull: None, ready: VecDeque::new() }
    }

    /// Drops the pull, but keeps what it has taken in.
    fn abandon(&mut self, why: &str) {
        if let Some(SessionPull { mut pull, .. }) = self.pull.take() {
            tracing::debug!(why, "pull abandoned");
            self.ready.extend(pull.taken_in());
        }
    }

    async fn session(&self) -> Result<Arc<Session>, QueueError> {
        let mut link = self.inner.link.subscribe();
        let up = timeout(LINK_TIMEOUT, link.wait_for(|link| matches!(link, Link::Up(_)))).await;
        if let Ok(Ok(link)) = up
            && let Link::Up(session) = &*link
        {
            return Ok(Arc::clone(session));
        }
        let reason = match &*self.inner.link.borrow() {
            Link::Up(_) => "the connection is new".to_owned(),
            Link::Down { reason } => reason.clone(),
        };
        Err(QueueError::Unavailable { reason })
    }

    async fn build(&self, session: &Session) -> Result<SessionPull, QueueError> {
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            description: Some("Shared by all djaffar writers".to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.inner.config.ack_wait,
            max_deliver: -1,
            max_ack_pending: ACK_PENDING_MAX,
            ..pull::Config::default()
        };
        let stream = &self.inner.config.stream;
        let connection = &session.connection;
        let consumer = connection.context.create_consumer_on_stream(config, stream).await;
        consumer.map_err(|error| classify(&error, &self.inner))?;
        let pull = Pull::new(connection.client.clone(), connection.context.clone(), stream, CONSUMER).await;
        let pull = pull.map_err(|error| QueueError::Unavailable { reason: format!("no pull: {error}") })?;
        Ok(SessionPull { generation: session.generation, pull })
    }

    async fn ensure_pull(&mut self) -> Result<&mut Pull, QueueError> {
        let session = self.session().await?;
        if self.pull.as_ref().is_some_and(|pull| pull.generation != session.generation) {
            self.abandon("a new connection");
        }
        let pull = match self.pull.take() {
            Some(pull) => pull,
            None => match self.build(&session).await {
                Ok(pull) => pull,
                Err(error) => {
                    tokio::time::sleep(REBUILD_PAUSE).await;
                    return Err(error);
                }
            },
        };
        Ok(&mut self.pull.insert(pull).pull)
    }
}

impl Drop for JetStreamConsumer {
    /// Hands back what was taken in and not delivered: others need not wait for `ack_wait`.
    fn drop(&mut self) {
        self.abandon("the consumer ends");
        for message in self.ready.drain(..) {
            // Waits only when the client's channel is full, and then `ack_wait` has to do.
            drop(message.ack_with(AckKind::Nak(None)).now_or_never());
        }
    }
}

fn classify(error: &async_nats::jetstream::stream::ConsumerError, inner: &Inner) -> QueueError {
    let stream = &inner.config.stream;
    match error.kind() {
        ConsumerErrorKind::JetStream(error) => match error.error_code() {
            ErrorCode::CONSUMER_WQ_MULTIPLE_UNFILTERED | ErrorCode::CONSUMER_WQ_CONSUMER_NOT_UNIQUE => {
                QueueError::Misconfigured {
                    reason: format!(
                        "the stream {stream} has another consumer, which would take frames away: delete it with `nats consumer rm {stream}`"
                    ),
                }
            }
            ErrorCode::STREAM_NOT_FOUND => {
                inner.suspect.notify_one();
                QueueError::Unavailable { reason: format!("the stream {stream} is missing") }
            }
            _ => QueueError::Unavailable { reason: format!("no consumer: {error}") },
        },
        _ => QueueError::Unavailable { reason: format!("no consumer: {error}") },
    }
}

fn deliver(message: Message) -> Delivery<JetStreamSettle> {
    let count = message.info().map_or(1, |info| u64::try_from(info.delivered).unwrap_or(1));
    Adapter::JetStream.delivered(count);
    let (message, acker) = message.split();
    Delivery { bytes: message.payload, count, settle: JetStreamSettle { acker } }
}

impl FrameConsumer for JetStreamConsumer {
    type Settle = JetStreamSettle;

    async fn next(&mut self) -> Result<Delivery<JetStreamSettle>, QueueError> {
        let inner = Arc::clone(&self.inner);
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(deliver(message));
            }
            let mut link = inner.link.subscribe();
            link.mark_unchanged();
            let pull = self.ensure_pull().await?;
            let next = tokio::select! {
                biased;
                message = pull.next() => message,
                _ = link.changed() => {
                    self.abandon("the connection has changed");
                    continue;
                }
            };
            match next {
                Ok(message) => return Ok(deliver(message)),
                Err(error) => self.abandon(&error),
            }
            tokio::time::sleep(REBUILD_PAUSE).await;
        }
    }

    async fn remaining(&mut self) -> Option<Delivery<JetStreamSettle>> {
        if let (true, Some(SessionPull { generation, pull })) = (self.ready.is_empty(), &mut self.pull) {
            let mut link = self.inner.link.subscribe();
            let lost =
                link.wait_for(|link| !matches!(link, Link::Up(session) if session.generation == *generation));
            let remaining = tokio::select! {
                biased;
                remaining = pull.remaining() => remaining,
                _ = lost => Err("the connection has changed".to_owned()),
            };
            match remaining {
                Ok(message) => return message.map(deliver),
                Err(error) => self.abandon(&error),
            }
        }
        self.ready.pop_front().map(deliver)
    }
}

/// The right to settle one frame; unsettled, it comes again after `ack_wait`.
pub struct JetStreamSettle {
    acker: Acker,
}

impl std::fmt::Debug for JetStreamSettle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JetStreamSettle").finish_non_exhaustive()
    }
}

impl JetStreamSettle {
    async fn say(&self, kind: AckKind) -> Result<(), QueueError> {
        match timeout(SETTLE_TIMEOUT, self.acker.ack_with(kind)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(QueueError::Unavailable { reason: error.to_string() }),
            Err(_) => Err(QueueError::Unavailable { reason: "the server takes no acks".to_owned() }),
        }
    }
}

impl Settle for JetStreamSettle {
    async fn ack(self) -> Result<(), QueueError> {
        self.say(AckKind::Ack).await
    }

    async fn retry_after(self, delay: Duration) -> Result<(), QueueError> {
        self.say(AckKind::Nak(Some(delay))).await
    }

    async fn extend(&self) -> Result<(), QueueError> {
        self.say(AckKind::Progress).await
    }
}
