//! The accept loop around `warp::service`; public and admin listener share it.
//!
//! `warp::serve` has no timeouts and no limits, and its graceful stop waits
//! for ever. HTTP/1.1 only: a proxy in front cannot be desynchronised by an
//! upgrade to anything else.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use shared::lifecycle::Shutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{Id, JoinSet};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::connection::{self, Progress};
pub use super::connections::Connections;
use super::reply;

/// Connections that wait to be accepted; beyond it the kernel lets clients try again.
const BACKLOG: u32 = 4096;
/// Pause when the process has no file descriptor left, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a handler needs of a request besides its method and body, as an extension of it: warp lends no
/// headers, and cloning them is dear. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The other end of the connection.
    pub(super) peer: IpAddr,
    pub(super) headers: Arc<HeaderMap>,
}

/// What answers the requests of a listener.
#[derive(Clone)]
pub struct Routes {
    pub(super) filter: BoxedFilter<(Response,)>,
    pub(super) headers: HeadersIn,
}

/// Where the filters find a request's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadersIn {
    /// As warp has them.
    Request,
    /// In the [`Head`] alone: warp's own filters of headers see none.
    Head,
}

impl Routes {
    pub(super) fn with_head(filter: BoxedFilter<(Response,)>) -> Self {
        Self { filter, headers: HeadersIn::Head }
    }
}

impl From<BoxedFilter<(Response,)>> for Routes {
    fn from(filter: BoxedFilter<(Response,)>) -> Self {
        Self { filter, headers: HeadersIn::Request }
    }
}

#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// From a request's first byte to the end of its headers.
    pub header_timeout: Duration,
    /// Between requests. Longer than a proxy's own (60 s in nginx and in most clouds), or the
    /// proxy would send requests into a connection that is being closed.
    pub idle_timeout: Duration,
    /// For a client to read the answers that it has asked for.
    pub write_timeout: Duration,
    pub headers_max: usize,
    /// Request line and headers.
    pub header_bytes_max: usize,
    /// For the requests in flight when asked to stop.
    pub drain_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            headers_max: 64,
            header_bytes_max: 16 * 1024,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Binds a listener that a restarted process can bind again at once.
///
/// # Errors
/// As the system says: address in use, no permission and the like.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `routes` until asked to stop; then closes idle connections and finishes what is in flight.
pub async fn serve(
    listener: TcpListener,
    routes: impl Into<Routes>,
    limits: ConnectionLimits,
    connections: Connections,
    shutdown: Shutdown,
) {
    let mut open = Open {
        routes: routes.into(),
        limits: Arc::new(limits),
        connections,
        tasks: JoinSet::new(),
        progress: HashMap::new(),
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => open.start(stream, peer),
                Err(error) => pause_after(&error).await,
            },
            Some(ended) = open.tasks.join_next_with_id() => open.forget(ended),
            () = shutdown.requested() => break,
        }
    }
    open.start_waiting(listener);
    open.drain().await;
}

async fn pause_after(error: &io::Error) {
    // The client went away between connecting and being accepted: nothing to wait for.
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "cannot accept connections");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Says why, as far as one write goes; the end of the connection says it too.
fn refuse(stream: TcpStream) {
    // The runtime has not looked at so new a socket yet and would not even try to write.
    let refused = stream.into_std().and_then(|mut stream| stream.write(reply::TOO_MANY_CONNECTIONS));
    if let Err(error) = refused {
        tracing::trace!(%error, "a refused connection has gone already");
    }
}

/// The open connections and what each new one is given.
struct Open {
    routes: Routes,
    limits: Arc<ConnectionLimits>,
    connections: Connections,
    tasks: JoinSet<()>,
    progress: HashMap<Id, Arc<Progress>>,
}

impl Open {
    /// Whoever has connected already is still served: closing the listener would reset them.
    ///
    /// Asked of the system itself, because the runtime may not have heard of the last ones.
    fn start_waiting(&mut self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            match stream {
                Ok(stream) => self.start(stream, peer),
                Err(error) => tracing::trace!(%error, "the connection has gone already"),
            }
        }
    }

    fn start(&mut self, stream: TcpStream, peer: SocketAddr) {
        let Some(slot) = self.connections.admit(peer.ip()) else {
            refuse(stream);
            return;
        };
        // Without it, an answer can wait 40 ms for the client's delayed ack.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::trace!(%error, "the connection has gone already");
            return;
        }
        let progress = Arc::new(Progress::default());
        let connection = connection::run(
            stream,
            peer.ip().to_canonical(),
            self.routes.clone(),
            Arc::clone(&self.limits),
            Arc::clone(&progress),
            slot,
        );
        let task = self.tasks.spawn(connection);
        self.progress.insert(task.id(), progress);
    }

    fn forget(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                // A panic while answering costs its own connection only.
                tracing::error!(%error, "a connection has died");
                error.id()
            }
        };
        self.progress.remove(&id);
    }

    async fn drain(mut self) {
        for progress in self.progress.values() {
            progress.drain();
        }
        let finished = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection has died");
                }
            }
        };
        let drain_timeout = self.limits.drain_timeout;
        if tokio::time::timeout(drain_timeout, finished).await.is_err() {
            let unfinished = self.tasks.len();
            tracing::warn!(unfinished, "requests did not finish within {drain_timeout:?} and are cut off");
        }
    }
}
