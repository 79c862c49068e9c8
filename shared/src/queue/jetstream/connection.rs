//! The connection: one client at a time, used only while its stream is verified.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, stream::Info};
use async_nats::{ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::watch;

use super::{JetStreamConfig, stream};
use crate::queue::QueueError;

/// One attempt to connect, and one question to the server.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// A silent partition is seen after three of them.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(1);

/// A connected client. Reconnects by itself; `connected` says when it is not.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) client: async_nats::Client,
    pub(super) context: jetstream::Context,
    pub(super) connected: watch::Receiver<Connected>,
}

/// How often the connection was made, and whether it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Connected {
    pub(super) times: u64,
    pub(super) now: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("connected", &*self.connected.borrow())
            .finish_non_exhaustive()
    }
}

pub(super) async fn connect(config: &JetStreamConfig) -> Result<Connection, QueueError> {
    let (sender, connected) = watch::channel(Connected { times: 1, now: true });
    let sender = Arc::new(sender);
    let options = ConnectOptions::new()
        .name("djaffar")
        .connection_timeout(ATTEMPT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .request_timeout(Some(ATTEMPT_TIMEOUT))
        .reconnect_delay_callback(|attempts| {
            let doubled = Duration::from_millis(20).saturating_mul(1 << attempts.min(10));
            if attempts <= 1 { Duration::ZERO } else { doubled.min(RECONNECT_DELAY_MAX) }
        })
        .event_callback(move |event| {
            note(&sender, &event);
            std::future::ready(())
        });
    let servers: Vec<&str> = config.servers.split(',').map(str::trim).collect();
    let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, options.connect(servers));
    let client = match attempt.await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(classify(&error)),
        Err(_) => return Err(QueueError::Unavailable { reason: unreachable("no answer") }),
    };
    let context = ContextBuilder::new().timeout(ATTEMPT_TIMEOUT).build(client.clone());
    Ok(Connection { client, context, connected })
}

fn note(connected: &watch::Sender<Connected>, event: &Event) {
    match event {
        // The first connection counts as the one that `connect` has made.
        Event::Connected => connected.send_modify(|connected| {
            if !connected.now {
                connected.times += 1;
                connected.now = true;
            }
        }),
        Event::Disconnected | Event::Closed => connected.send_modify(|connected| connected.now = false),
        Event::SlowConsumer(_) => tracing::warn!("nats: a slow consumer; its frames are delivered again"),
        Event::ServerError(error) => tracing::warn!(%error, "nats: server error"),
        Event::ClientError(error) => tracing::warn!(%error, "nats: client error"),
        Event::LameDuckMode | Event::Draining => tracing::info!(%event, "nats"),
    }
}

fn unreachable(why: &str) -> String {
    format!("nats-server is unreachable ({why})")
}

fn classify(error: &async_nats::ConnectError) -> QueueError {
    match error.kind() {
        ConnectErrorKind::ServerParse => QueueError::Misconfigured {
            reason: "--queue is no list of NATS servers: write nats://host:4222[,nats://...]".to_owned(),
        },
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => QueueError::Misconfigured {
            reason: "nats-server refuses the credentials in --queue: write nats://user:password@host:4222 with ones that it knows".to_owned(),
        },
        ConnectErrorKind::Tls => QueueError::Misconfigured {
            reason: format!("no TLS with the nats-server of --queue ({error}): check its certificate and the scheme (tls:// or nats://)"),
        },
        _ => QueueError::Unavailable { reason: unreachable(&error.to_string()) },
    }
}

/// Asks the server who it is and what the stream is like; makes a missing stream.
pub(super) async fn verify(connection: &Connection, config: &JetStreamConfig) -> Result<Info, QueueError> {
    let server = connection.client.server_info();
    stream::judge_server(&server.version, server.max_payload)
        .map_err(|reason| QueueError::Misconfigured { reason })?;
    stream::ensure(&connection.context, config).await
}
