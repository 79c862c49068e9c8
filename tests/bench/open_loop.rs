//! Log requests at a fixed rate, whether or not the server keeps up.
//!
//! A latency counts from the moment when the request was due: whoever waits for
//! the answers before would leave out what a slow moment costs those behind it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;

const HEAD_END: &[u8] = b"\r\n\r\n";
const HEAD_BYTES_MAX: usize = 4096;
const ANSWER_LIMIT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

#[derive(Clone, Debug)]
pub(crate) struct OpenLoop {
    pub(crate) target: SocketAddr,
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
    /// Beyond so many requests in flight the next ones wait, and their clocks run.
    pub(crate) connections: usize,
    pub(crate) request: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// When the request in flight was due.
    due: Option<Instant>,
    head: Vec<u8>,
}

impl OpenLoop {
    /// Latencies in microseconds, sorted. Blocks its thread.
    ///
    /// # Panics
    /// An answer is no 204, or the server ends a connection.
    pub(crate) fn run(&self) -> Vec<f64> {
        // Else the kernel may wake this thread 50 µs late, to spare power.
        set_current_timer_slack(NonZeroU64::new(1)).expect("a thread may ask for precision");
        let connect = |_| {
            let stream = TcpStream::connect(self.target).expect("the server accepts");
            stream.set_nodelay(true).expect("a socket");
            stream.set_nonblocking(true).expect("a socket");
            Connection { stream, due: None, head: Vec::new() }
        };
        let mut connections: Vec<Connection> = (0..self.connections).map(connect).collect();
        let mut idle: Vec<usize> = (0..self.connections).collect();
        let mut waiting = VecDeque::new();
        let mut latencies = Vec::new();
        let begun = Instant::now();
        let total = (self.rate * self.duration.as_secs_f64()) as u64;
        let due = |number: u64| begun + Duration::from_secs_f64(number as f64 / self.rate);
        let mut next = 0;
        while (latencies.len() as u64) < total {
            while next < total && due(next) <= Instant::now() {
                waiting.push_back(due(next));
                next += 1;
            }
            while !waiting.is_empty()
                && let Some(index) = idle.pop()
            {
                connections[index].send(&self.request, waiting.pop_front());
            }
            let until = (next < total).then(|| due(next).saturating_duration_since(Instant::now()));
            for index in ready(&connections, until) {
                if let Some(due) = connections[index].receive() {
                    latencies.push(due.elapsed().as_secs_f64() * 1e6);
                    idle.push(index);
                }
            }
        }
        latencies.sort_by(f64::total_cmp);
        latencies
    }
}

impl Connection {
    /// So few bytes always fit into an idle socket.
    fn send(&mut self, request: &[u8], due: Option<Instant>) {
        self.stream.write_all(request).expect("the server takes the request");
        self.due = due;
    }

    /// When the request was due that is answered now.
    fn receive(&mut self) -> Option<Instant> {
        let mut bytes = [0; HEAD_BYTES_MAX];
        match self.stream.read(&mut bytes) {
            Ok(0) => panic!("the server has ended the connection"),
            Ok(count) => self.head.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        }
        if !self.head.ends_with(HEAD_END) {
            return None;
        }
        let is_accepted = self.head.starts_with(b"HTTP/1.1 204 ");
        assert!(is_accepted, "{}", String::from_utf8_lossy(&self.head));
        self.head.clear();
        self.due.take()
    }
}

/// Indices of the connections that have something to say; waits for one, but no longer than that.
fn ready(connections: &[Connection], limit: Option<Duration>) -> Vec<usize> {
    let timeout = limit.map_or(ANSWER_LIMIT, |limit| Timespec {
        tv_sec: 0,
        tv_nsec: limit.as_nanos().min(999_999_999) as _,
    });
    let busy: Vec<usize> = (0..connections.len()).filter(|index| connections[*index].due.is_some()).collect();
    let mut sockets: Vec<PollFd> =
        busy.iter().map(|index| PollFd::new(&connections[*index].stream, PollFlags::IN)).collect();
    let count = poll(&mut sockets, Some(&timeout)).expect("sockets can be polled");
    assert!(count > 0 || limit.is_some(), "no answer within {ANSWER_LIMIT:?}");
    let spoken = busy.iter().zip(&sockets).filter(|(_, socket)| !socket.revents().is_empty());
    spoken.map(|(index, _)| *index).collect()
}
