//! One connection: HTTP/1.1 in, answers out, and nobody holds it for ever.
//!
//! hyper's header timeout is also its idle timeout, and a client that never
//! reads its answer has none. So each connection looks at itself at every
//! tick: waiting for a client has a limit, whatever the wait is for. A
//! request in flight is bounded by its handler. hyper reads no further request
//! before the last answer has gone, so that answers do not pile up. Held by
//! `tests/bad_input/unread.rs`.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::HeaderValue;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use warp::reply::Response;

use super::connections::Slot;
use super::reply::Outcome;
use super::serve::{ConnectionLimits, Head, HeadersIn, Routes};

/// A read buffer is never larger, so this times the connections is their memory.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// After an answer that the client may not have read, its late bytes are read and dropped
/// for so long: closing on them would reset the connection and destroy the answer.
const LINGER: Duration = Duration::from_secs(1);
/// When stopping, a client that has begun a request gets so long for the rest of its headers, and
/// one whose next request may be on its way gets so long to be told, with its answer, to go elsewhere.
const DRAIN_CLIENT_TIMEOUT: Duration = Duration::from_millis(500);

/// What a connection is doing, shared by its socket, its service and its owner.
#[derive(Debug, Default)]
pub(super) struct Progress {
    begun: AtomicU32,
    answered: AtomicU32,
    /// Bytes have come since the last request began: the next one has begun.
    receiving: AtomicBool,
    /// The last answer may have overtaken its request.
    refused: AtomicBool,
    /// The client does not take what is sent to it.
    unsent: AtomicBool,
    /// How often what was unsent has gone.
    sent: AtomicU32,
    draining: AtomicBool,
    waker: AtomicWaker,
}

impl Progress {
    /// Finish the request in flight, or the next one if it comes soon, then close.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.waker.wake();
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn poll_drain(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.is_draining() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.receiving.store(false, Ordering::Relaxed);
    }

    fn end(&self, response: &Response) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.refused.store(!response.status().is_success(), Ordering::Relaxed);
    }

    fn is_answering(&self) -> bool {
        self.begun.load(Ordering::Relaxed) != self.answered.load(Ordering::Relaxed)
    }

    fn seen(&self) -> Seen {
        let begun = self.begun.load(Ordering::Relaxed);
        if self.unsent.load(Ordering::Relaxed) {
            Seen::Sending { sent: self.sent.load(Ordering::Relaxed) }
        } else if self.is_answering() {
            Seen::Answering
        } else if self.receiving.load(Ordering::Relaxed) {
            Seen::Receiving { begun }
        } else {
            Seen::Idle { begun }
        }
    }
}

/// What a tick sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Answering,
    /// The client does not read. However little it takes at a time, its time runs until it has all.
    Sending {
        sent: u32,
    },
    /// A request has begun, its headers are not complete.
    Receiving {
        begun: u32,
    },
    /// Between requests.
    Idle {
        begun: u32,
    },
}

/// How long the connection has waited for its client.
#[derive(Debug)]
struct Watch {
    last: Seen,
    waited: Duration,
}

impl Watch {
    fn new() -> Self {
        Self { last: Seen::Idle { begun: 0 }, waited: Duration::ZERO }
    }

    /// Whether the client has used up its time, `tick` after the last look.
    fn is_late(&mut self, seen: Seen, tick: Duration, limits: &ConnectionLimits) -> bool {
        self.waited = if seen == self.last { self.waited + tick } else { Duration::ZERO };
        self.last = seen;
        match seen {
            Seen::Answering => false,
            Seen::Sending { .. } => self.waited >= limits.write_timeout,
            Seen::Receiving { .. } => self.waited >= limits.header_timeout,
            Seen::Idle { .. } => self.waited >= limits.idle_timeout,
        }
    }
}

/// Serves one connection until either side ends it.
pub(super) async fn run(
    stream: TcpStream,
    peer: IpAddr,
    routes: Routes,
    limits: Arc<ConnectionLimits>,
    progress: Arc<Progress>,
    _slot: Slot,
) {
    let headers_max = limits.headers_max;
    let Routes { filter, headers: headers_in } = routes;
    let routes = TowerToHyperService::new(warp::service(filter));
    let service = service_fn(|mut request: http::Request<Incoming>| {
        progress.begin();
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        // Counted here because hyper's own limit moves every request's headers to the heap.
        let few = request.headers().len() <= headers_max;
        if headers_in == HeadersIn::Head {
            let headers = Arc::new(std::mem::take(request.headers_mut()));
            request.extensions_mut().insert(Head { peer, headers });
        }
        let answer = few.then(|| routes.call(request));
        let progress = &progress;
        async move {
            let mut response = match answer {
                Some(answer) => answer.await?,
                None => Outcome::HeadersTooLarge.into_response(),
            };
            // When stopping: closing without a word would reset a next request that is on its way.
            // Chunked: hyper hides a Content-Length beside it. A proxy that believed that one would take
            // what follows for the next request: nothing may follow (RFC 9112, 6.1).
            if chunked || progress.is_draining() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            progress.end(&response);
            Ok::<_, Infallible>(response)
        }
    });
    let socket = Socket { stream, progress: &progress, linger: None };
    let mut connection = pin!(
        http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .max_header_size(limits.header_bytes_max)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(socket), service)
    );
    let mut tick = limits.header_timeout.min(limits.idle_timeout).min(limits.write_timeout) / 4;
    let mut next_tick = pin!(tokio::time::sleep(tick));
    let mut watch = Watch::new();
    let mut draining = false;
    loop {
        tokio::select! {
            // Requests that have arrived come before the wish to stop.
            biased;
            result = &mut connection => {
                if let Err(error) = result {
                    tracing::trace!(%error, "connection ended");
                }
                return;
            }
            () = std::future::poll_fn(|context| progress.poll_drain(context)), if !draining => {
                draining = true;
                tick = tick.min(DRAIN_CLIENT_TIMEOUT);
                next_tick.as_mut().reset(Instant::now() + tick);
            }
            () = &mut next_tick => {
                let seen = progress.seen();
                if watch.is_late(seen, tick, &limits) || (draining && !progress.is_answering()) {
                    return;
                }
                next_tick.as_mut().reset(Instant::now() + tick);
            }
        }
    }
}

/// The socket, telling when bytes come, and closing without destroying the last answer.
struct Socket<'a> {
    stream: TcpStream,
    progress: &'a Progress,
    linger: Option<Pin<Box<Sleep>>>,
}

impl Socket<'_> {
    fn note_unsent(&self, written: &Poll<io::Result<usize>>) {
        if written.is_pending() {
            self.progress.unsent.store(true, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Socket<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.progress.receiving.store(true, Ordering::Relaxed);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Socket<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_unsent(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_unsent(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked for only when all has been written.
        if self.progress.unsent.swap(false, Ordering::Relaxed) {
            self.progress.sent.fetch_add(1, Ordering::Relaxed);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            let unread = this.progress.receiving.load(Ordering::Relaxed)
                || this.progress.refused.load(Ordering::Relaxed);
            if !unread {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut dropped = [0; 4096];
        loop {
            if linger.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut dropped);
            let result = ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer));
            if result.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(1);

    fn ticks_until_late(seen: impl Fn(u32) -> Seen) -> Option<u32> {
        let limits = ConnectionLimits {
            header_timeout: TICK * 3,
            idle_timeout: TICK * 10,
            write_timeout: TICK * 5,
            ..ConnectionLimits::default()
        };
        let mut watch = Watch::new();
        (1..100).find(|tick| watch.is_late(seen(*tick), TICK, &limits))
    }

    #[test]
    fn every_wait_for_the_client_ends() {
        assert_eq!(ticks_until_late(|_| Seen::Idle { begun: 0 }), Some(10));
        assert_eq!(ticks_until_late(|_| Seen::Receiving { begun: 0 }), Some(4));
        assert_eq!(ticks_until_late(|_| Seen::Sending { sent: 0 }), Some(6));
        assert_eq!(ticks_until_late(|_| Seen::Answering), None);
    }

    #[test]
    fn a_busy_connection_is_never_late() {
        assert_eq!(ticks_until_late(|tick| Seen::Idle { begun: tick }), None);
        assert_eq!(ticks_until_late(|tick| Seen::Sending { sent: tick / 2 }), None);
        assert_eq!(ticks_until_late(|tick| Seen::Receiving { begun: tick / 2 }), None);
    }

    #[test]
    fn waiting_between_requests_does_not_shorten_the_next() {
        let late = ticks_until_late(|tick| match tick {
            0..9 => Seen::Idle { begun: 1 },
            _ => Seen::Receiving { begun: 1 },
        });
        assert_eq!(late, Some(12));
    }
}
