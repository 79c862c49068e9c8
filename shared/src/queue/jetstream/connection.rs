//! The connection: one client at a time, used only while its stream is verified.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, stream::Info};
use async_nats::{ClientError, ConnectErrorKind, Event, ServerError};
use tokio::sync::watch;

use super::access::{Access, Login};
use super::{JetStreamConfig, stream};
use crate::queue::QueueError;
use crate::tls::TlsFault;

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
    complaint: Complaint,
}

/// What client or server have last complained of, since the connection was made.
#[derive(Clone, Default)]
struct Complaint(Arc<Mutex<Option<String>>>);

impl Complaint {
    fn replace(&self, complaint: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), complaint)
    }

    /// A line where it is another one: the client tries once a second.
    fn note(&self, complaint: String) {
        let before = self.replace(Some(complaint.clone()));
        if before.as_ref() != Some(&complaint) {
            tracing::warn!(complaint, "nats: trouble with the server");
        }
    }

    fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Connection {
    /// Why it is not there.
    pub(super) fn why_down(&self) -> String {
        match self.complaint.last() {
            Some(complaint) if complaint == ConnectErrorKind::AuthorizationViolation.to_string() => {
                format!(
                    "nats-server refuses the login of this process ({complaint}): see whether its user is still there, and its password, key or credentials file still right"
                )
            }
            Some(complaint) => unreachable(&complaint),
            None => "nats-server is unreachable".to_owned(),
        }
    }

    /// What the server forbids is otherwise a question without an answer.
    fn explain(&self, error: QueueError) -> QueueError {
        match (error, self.complaint.last()) {
            (QueueError::Unavailable { reason }, Some(complaint)) if is_forbidden(&complaint) => {
                QueueError::Unavailable {
                    reason: format!(
                        "{reason}; nats-server says: {complaint}: allow it, deploy/nats-accounts.conf has what each process needs"
                    ),
                }
            }
            (error, _) => error,
        }
    }
}

fn is_forbidden(complaint: &str) -> bool {
    complaint.to_ascii_lowercase().contains("permissions violation")
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
    let complaint = Complaint::default();
    let (options, servers) = config.access.options(&config.servers)?;
    let options = options
        .name("djaffar")
        .connection_timeout(ATTEMPT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .request_timeout(Some(ATTEMPT_TIMEOUT))
        .reconnect_delay_callback(|attempts| {
            let doubled = Duration::from_millis(20).saturating_mul(1 << attempts.min(10));
            if attempts <= 1 { Duration::ZERO } else { doubled.min(RECONNECT_DELAY_MAX) }
        })
        .event_callback({
            let complaint = complaint.clone();
            move |event| {
                note(&sender, &complaint, &event);
                std::future::ready(())
            }
        });
    let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, options.connect(servers));
    let client = match attempt.await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(classify(&error, config)),
        Err(_) => return Err(QueueError::Unavailable { reason: unreachable(silence(config)) }),
    };
    let context = ContextBuilder::new().timeout(ATTEMPT_TIMEOUT).build(client.clone());
    Ok(Connection { client, context, connected, complaint })
}

fn note(connected: &watch::Sender<Connected>, complaint: &Complaint, event: &Event) {
    match event {
        Event::Connected => {
            complaint.replace(None);
            // The first connection counts as the one that `connect` has made.
            connected.send_modify(|connected| {
                if !connected.now {
                    connected.times += 1;
                    connected.now = true;
                }
            });
        }
        Event::Disconnected | Event::Closed => connected.send_modify(|connected| connected.now = false),
        Event::SlowConsumer(_) => tracing::warn!("nats: a slow consumer; its frames are delivered again"),
        Event::ServerError(error) => complaint.note(error.to_string()),
        Event::ClientError(ClientError::Other(error)) => complaint.note(error.clone()),
        Event::ClientError(error) => complaint.note(error.to_string()),
        Event::LameDuckMode | Event::Draining => tracing::info!(%event, "nats"),
    }
}

fn unreachable(why: &str) -> String {
    format!("nats-server is unreachable ({why})")
}

/// With `handshake_first` both sides wait for the other's first word.
fn silence(config: &JetStreamConfig) -> &'static str {
    if config.access.wants_tls(&config.servers) && !config.access.tls_first {
        "no answer; one with handshake_first needs --queue-tls-first"
    } else {
        "no answer"
    }
}

fn classify(error: &async_nats::ConnectError, config: &JetStreamConfig) -> QueueError {
    let misconfigured = |reason| QueueError::Misconfigured { reason };
    if let Some(fault) = TlsFault::find(error) {
        return misconfigured(format!(
            "no TLS with the nats-server of --queue, {fault}: {}",
            tls_remedy(&fault, &config.access)
        ));
    }
    match error.kind() {
        ConnectErrorKind::ServerParse => misconfigured(
            "--queue is no list of NATS servers: write nats://host:4222[,nats://...]".to_owned(),
        ),
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            misconfigured(format!("nats-server refuses the login: {}", login_remedy(&config.access)))
        }
        ConnectErrorKind::Tls => misconfigured(format!(
            "no TLS with the nats-server of --queue ({error}): see the files of --queue-ca-file, --queue-certificate-file and --queue-key-file"
        )),
        ConnectErrorKind::TimedOut => QueueError::Unavailable { reason: unreachable(silence(config)) },
        ConnectErrorKind::Io if is_mute(error) => {
            QueueError::Unavailable { reason: unreachable(silence(config)) }
        }
        _ => QueueError::Unavailable { reason: unreachable(&error.to_string()) },
    }
}

/// The server has closed the connection without a word; anything else is an error of the socket, or what it said.
fn is_mute(error: &async_nats::ConnectError) -> bool {
    error.source().is_some_and(|source| !source.is::<io::Error>() && !source.is::<ServerError>())
}

fn tls_remedy(fault: &TlsFault, access: &Access) -> &'static str {
    match fault {
        TlsFault::Untrusted(_) if access.ca_file.is_some() => {
            "name the file of the authority that signed it with --queue-ca-file"
        }
        TlsFault::Untrusted(_) => {
            "name the file of the authority that signed it with --queue-ca-file; without it the certificates of the system count"
        }
        TlsFault::WrongName(_) => {
            "write a name of the certificate in --queue, or give the server one for this name"
        }
        TlsFault::OutOfDate(_) => "give the server a new one, and see whether this machine's clock is right",
        TlsFault::NotTls if access.tls_first => {
            "leave --queue-tls-first out, or set handshake_first in the server's tls { }"
        }
        TlsFault::NotTls => "write nats:// and leave --queue-ca-file out, or give the server a tls { }",
        TlsFault::WantsCertificate => "name one with --queue-certificate-file and --queue-key-file",
        TlsFault::Refused(_) => {
            "see whether the server believes the certificate of --queue-certificate-file, and its log"
        }
    }
}

fn login_remedy(access: &Access) -> &'static str {
    match access.login {
        Login::InUrl => {
            "write nats://user:password@host:4222 in --queue with ones that it knows, or use --queue-user, --queue-token, --queue-nkey-seed or --queue-credentials-file"
        }
        Login::User { .. } => "see whether --queue-user and --queue-password are those of its configuration",
        Login::Token(_) => "see whether --queue-token is that of its configuration",
        Login::Nkey(_) => "see whether the public key of --queue-nkey-seed is among its users",
        Login::CredentialsFile(_) => {
            "see whether the JWT of --queue-credentials-file has expired, and whether the server knows its account"
        }
    }
}

/// Asks the server who it is and what the stream is like; makes a missing stream.
pub(super) async fn verify(connection: &Connection, config: &JetStreamConfig) -> Result<Info, QueueError> {
    judge_server(connection)?;
    let info = stream::ensure(&connection.context, config).await;
    let info = info.map_err(|error| connection.explain(error))?;
    // What was forbidden before explains no later silence.
    connection.complaint.replace(None);
    Ok(info)
}

/// The same for somebody who only looks: a missing stream is `None`.
pub(super) async fn find(
    connection: &Connection,
    config: &JetStreamConfig,
) -> Result<Option<Info>, QueueError> {
    judge_server(connection)?;
    stream::find(&connection.context, config).await.map_err(|error| connection.explain(error))
}

fn judge_server(connection: &Connection) -> Result<(), QueueError> {
    let server = connection.client.server_info();
    stream::judge_server(&server.version, server.max_payload)
        .map_err(|reason| QueueError::Misconfigured { reason })
}
