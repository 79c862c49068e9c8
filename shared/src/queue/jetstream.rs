//! The queue on NATS JetStream.
//!
//! A stream with file storage, WorkQueue retention and DiscardNew: a frame
//! stays until a writer acks it, and a full stream refuses. A publish is
//! synced when the stream's own ack has come; with `sync_interval: always`
//! that is after fsync. Nothing is published while the stream is not verified:
//! [`JetStreamQueue::watch`] connects, verifies on every connection and from
//! time to time, and makes a missing stream anew, with an alarm. Held by
//! [`super::contract`] and `tests/queue_contract.rs`.

mod access;
mod connection;
mod consume;
mod publish;
mod pull;
mod stranded;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;

use self::connection::{ATTEMPT_TIMEOUT, Connected, Connection};
use super::spool::Reachability;
use super::telemetry::{self, Adapter};
use super::{Backlog, FramePublisher, PublishError, QueueBacklog, QueueError, Synced};
use crate::frame::{FRAME_BYTES_MAX, Frame};
use crate::lifecycle::{Shutdown, TaskError, TaskResult};
use crate::readiness::Condition;

pub use self::access::{Access, ClientCertificate, Login};
pub use self::consume::{JetStreamConsumer, JetStreamSettle};

/// Subject, reply subject and headers of a publish.
const PUBLISH_OVERHEAD_BYTES: usize = 1024;
const VERIFY_INTERVAL: Duration = Duration::from_secs(10);
/// Between two looks that may show the same; a little less than between two verifications.
const LOOK_INTERVAL: Duration = Duration::from_secs(8);
const CONNECT_PAUSE: Duration = Duration::from_millis(500);
/// The client never forgets an unanswered request; beyond so many it is replaced.
const ABANDONED_MAX: usize = 100_000;

#[derive(Clone)]
pub struct JetStreamConfig {
    /// `nats://host:4222[,nats://...]`; may hold credentials, so `Debug` leaves it out.
    pub servers: String,
    pub access: Access,
    pub stream: String,
    pub replicas: u8,
    /// Bound of a stream that is made; lowered to what the server allows.
    pub bytes_max: u64,
    /// After so long an unsettled frame is given to another writer.
    pub ack_wait: Duration,
}

impl Default for JetStreamConfig {
    fn default() -> Self {
        Self {
            servers: "nats://127.0.0.1:4222".to_owned(),
            access: Access::default(),
            stream: "DJAFFAR".to_owned(),
            replicas: 1,
            bytes_max: 1 << 30,
            ack_wait: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for JetStreamConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("JetStreamConfig")
            .field("stream", &self.stream)
            .field("replicas", &self.replicas)
            .field("bytes_max", &self.bytes_max)
            .field("ack_wait", &self.ack_wait)
            .finish_non_exhaustive()
    }
}

/// Clones share the connection.
#[derive(Clone, Debug)]
pub struct JetStreamQueue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: JetStreamConfig,
    condition: Condition,
    link: watch::Sender<Link>,
    /// Held by whoever connects or verifies.
    state: Mutex<State>,
    /// Somebody has seen signs that the stream is not there.
    suspect: Notify,
    /// Publishes of this client that were given up unanswered.
    abandoned: AtomicUsize,
    warned_of_sync: AtomicBool,
    /// Of the stream, when it was last seen; 0: unknown or unbounded.
    bytes_max: AtomicU64,
    /// This process takes frames as well.
    consumes: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    /// When the stream was created, once it has been seen.
    stream_created: Option<DateTime<Utc>>,
    generation: u64,
    /// What the connection was like at the last look.
    seen: Connected,
}

/// Whether frames can go out.
#[derive(Clone, Debug)]
enum Link {
    Up(Arc<Session>),
    Down { reason: String },
}

/// One connection to one verified stream.
#[derive(Debug)]
struct Session {
    generation: u64,
    connection: Connection,
}

impl JetStreamQueue {
    /// Connects and verifies the stream, in one attempt of at most a few seconds.
    ///
    /// A server that is merely away is waited for by [`Self::watch`]; the condition says why.
    ///
    /// # Errors
    /// [`QueueError::Misconfigured`]: a file is not what it should be, or the server answers, but refuses this process,
    /// or with this setup frames could be lost.
    pub async fn open(config: JetStreamConfig, condition: Condition) -> Result<Self, QueueError> {
        telemetry::stream_recreated(0);
        let reason = "not connected yet".to_owned();
        let inner = Arc::new(Inner {
            config,
            condition,
            link: watch::Sender::new(Link::Down { reason }),
            state: Mutex::default(),
            suspect: Notify::new(),
            abandoned: AtomicUsize::new(0),
            warned_of_sync: AtomicBool::new(false),
            bytes_max: AtomicU64::new(0),
            consumes: AtomicBool::new(false),
        });
        inner.config.access.check(&inner.config.servers)?;
        match inner.bring_up().await {
            Err(error @ (QueueError::Misconfigured { .. } | QueueError::Failed { .. })) => Err(error),
            Ok(()) | Err(QueueError::Unavailable { .. }) => Ok(Self { inner }),
        }
    }

    /// Keeps the connection and watches over the stream until `shutdown`. Nothing connects without it.
    ///
    /// # Errors
    /// [`TaskError::Misconfigured`]: the server answers now, and with this setup frames could be lost.
    pub async fn watch(self, shutdown: Shutdown) -> TaskResult {
        let mut seen = None;
        let mut looked = Instant::now();
        loop {
            let pause = match self.inner.bring_up().await {
                Ok(()) => VERIFY_INTERVAL,
                Err(QueueError::Unavailable { .. }) => CONNECT_PAUSE,
                Err(error) => return Err(TaskError::Misconfigured(error.to_string())),
            };
            if self.inner.consumes.load(Ordering::Relaxed) && looked.elapsed() >= LOOK_INTERVAL {
                seen = self.inner.look_for_stranded(seen).await;
                looked = Instant::now();
            }
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = self.inner.disturbed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends what the client still holds, such as the last acks; at most a moment.
    pub async fn flush(&self) {
        let client = match &*self.inner.link.borrow() {
            Link::Up(session) => session.connection.client.clone(),
            Link::Down { .. } => return,
        };
        // What is lost is delivered again.
        tokio::time::timeout(ATTEMPT_TIMEOUT, client.flush()).await.ok();
    }

    /// Bytes beyond which the stream refuses frames; `None` while it has not been seen.
    #[must_use]
    pub fn bytes_max(&self) -> Option<u64> {
        Some(self.inner.bytes_max.load(Ordering::Relaxed)).filter(|bytes_max| *bytes_max > 0)
    }

    #[must_use]
    pub fn consumer(&self) -> JetStreamConsumer {
        self.inner.consumes.store(true, Ordering::Relaxed);
        JetStreamConsumer::new(Arc::clone(&self.inner))
    }
}

impl Inner {
    /// Connects if need be, and verifies. The link is up exactly when the last verification was good.
    async fn bring_up(&self) -> Result<(), QueueError> {
        let mut state = self.state.lock().await;
        let outcome = self.try_bring_up(&mut state).await;
        match &outcome {
            Ok(()) => self.condition.green(),
            Err(error) => self.down(&error.to_string()),
        }
        outcome
    }

    fn down(&self, reason: &str) {
        self.condition.red(reason);
        self.link.send_if_modified(|link| {
            let was_up = matches!(link, Link::Up(_));
            if was_up {
                tracing::warn!(reason, "queue: down");
            }
            *link = Link::Down { reason: reason.to_owned() };
            was_up
        });
    }

    async fn try_bring_up(&self, state: &mut State) -> Result<(), QueueError> {
        if self.abandoned.load(Ordering::Relaxed) > ABANDONED_MAX {
            tracing::info!("replacing the NATS client, which remembers too many unanswered publishes");
            state.connection = None;
        }
        if state.connection.as_ref().is_some_and(|connection| connection.connected.has_changed().is_err()) {
            tracing::warn!("replacing the NATS client, which has closed itself");
            state.connection = None;
        }
        let connection = match &state.connection {
            Some(connection) => connection.clone(),
            None => {
                let connection = connection::connect(&self.config).await;
                let connection = connection.map_err(|error| self.judge_again(state, error))?;
                self.abandoned.store(0, Ordering::Relaxed);
                telemetry::unanswered(0);
                state.generation += 1;
                state.connection.insert(connection).clone()
            }
        };
        let before = *connection.connected.borrow();
        state.seen = before;
        if !before.now {
            return Err(QueueError::Unavailable { reason: connection.why_down() });
        }
        let verified = connection::verify(&connection, &self.config).await;
        let info = match verified {
            // After the first success, a server that has lost JetStream is broken, not misconfigured.
            Err(QueueError::Misconfigured { reason }) if self.is_broken(state, &reason) => {
                return Err(QueueError::Unavailable { reason });
            }
            verified => verified?,
        };
        self.bytes_max.store(info.config.max_bytes.try_into().unwrap_or_default(), Ordering::Relaxed);
        self.note_stream(state, info.created);
        if *connection.connected.borrow() != before {
            return Err(QueueError::Unavailable { reason: "the connection was lost".to_owned() });
        }
        let generation = state.generation + (before.times << 32);
        self.link.send_if_modified(|link| {
            let same = matches!(link, Link::Up(session) if session.generation == generation);
            if !same {
                tracing::info!(stream = self.config.stream, "queue: up");
                *link = Link::Up(Arc::new(Session { generation, connection: connection.clone() }));
            }
            !same
        });
        Ok(())
    }

    /// Who has been let in once is waited for: logins and certificates are renewed while this process runs.
    fn judge_again(&self, state: &State, error: QueueError) -> QueueError {
        match error {
            QueueError::Misconfigured { reason } if state.stream_created.is_some() => {
                QueueError::Unavailable { reason }
            }
            error => error,
        }
    }

    fn is_broken(&self, state: &State, reason: &str) -> bool {
        state.stream_created.is_some() && reason.starts_with(stream::NOT_ENABLED)
    }

    /// Raises the alarm when the stream is not the one that was there before.
    fn note_stream(&self, state: &mut State, created: DateTime<Utc>) {
        if !self.warned_of_sync.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "nats-server does not say whether its sync_interval is `always`: without it, a power loss can take confirmed frames"
            );
        }
        match state.stream_created.replace(created) {
            Some(before) if before != created => {
                tracing::error!(stream = self.config.stream, %before, %created, "the stream was deleted and made anew: frames that waited in it are lost");
                telemetry::stream_recreated(1);
                self.down("the stream was deleted and made anew");
            }
            _ => {}
        }
    }

    /// Resolves when the connection or the stream needs a look.
    async fn disturbed(&self) {
        let (connected, seen) = {
            let state = self.state.lock().await;
            (state.connection.as_ref().map(|connection| connection.connected.clone()), state.seen)
        };
        let changed = async {
            if let Some(mut connected) = connected
                && connected.wait_for(|now| *now != seen).await.is_ok()
            {
                return;
            }
            // Not connected yet, or the client has closed itself: the pause between looks is enough.
            std::future::pending().await
        };
        tokio::select! {
            () = changed => {}
            () = self.suspect.notified() => {}
        }
    }

    /// A publish was given up without an answer.
    fn abandoned(&self) {
        telemetry::unanswered(self.abandoned.fetch_add(1, Ordering::Relaxed) + 1);
    }
}

impl FramePublisher for JetStreamQueue {
    fn frame_bytes_max(&self) -> usize {
        match &*self.inner.link.borrow() {
            Link::Up(session) => {
                let payload_max = session.connection.client.max_payload();
                payload_max.saturating_sub(PUBLISH_OVERHEAD_BYTES).min(FRAME_BYTES_MAX)
            }
            // Any server that may turn out to be there takes it.
            Link::Down { .. } => stream::PAYLOAD_LEAST - PUBLISH_OVERHEAD_BYTES,
        }
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        let started = Instant::now();
        let outcome = publish::publish(&self.inner, frame, deadline).await;
        match &outcome {
            Ok(_) => Adapter::JetStream.published(started.elapsed()),
            Err(error) => Adapter::JetStream.publish_failed(error),
        }
        outcome
    }
}

impl Reachability for JetStreamQueue {
    fn is_reachable(&self) -> bool {
        matches!(&*self.inner.link.borrow(), Link::Up(_))
    }

    async fn away(&self) {
        let mut link = self.inner.link.subscribe();
        // Cannot fail: the sender lives in `self`.
        link.wait_for(|link| matches!(link, Link::Down { .. })).await.ok();
    }
}

/// What waits in the stream, for somebody who only looks; `None`: there is no such stream yet.
///
/// # Errors
/// [`QueueError::Unavailable`]: the servers cannot be asked. [`QueueError::Misconfigured`]: with this setup frames
/// could be lost.
pub async fn look_at(config: &JetStreamConfig) -> Result<Option<Backlog>, QueueError> {
    let connection = connection::connect(config).await?;
    let info = connection::find(&connection, config).await?;
    Ok(info.map(|info| backlog_in(&info.state)))
}

fn backlog_in(state: &async_nats::jetstream::stream::State) -> Backlog {
    Backlog {
        frames: state.messages,
        activities: None,
        bytes: state.bytes,
        oldest: (state.messages > 0).then_some(state.first_timestamp),
    }
}

impl QueueBacklog for JetStreamQueue {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        let link = self.inner.link.borrow().clone();
        let session = match link {
            Link::Up(session) => session,
            Link::Down { reason } => return Err(QueueError::Unavailable { reason }),
        };
        let stream = session.connection.context.get_stream(&self.inner.config.stream).await;
        let stream = stream.map_err(|error| QueueError::Unavailable { reason: error.to_string() })?;
        Ok(backlog_in(&stream.cached_info().state))
    }
}
