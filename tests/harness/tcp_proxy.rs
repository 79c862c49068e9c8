//! A TCP proxy that cuts, freezes and half-opens connections on request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The end of the simple query that commits, in the protocol of Postgres.
const COMMIT: &[u8] = b"COMMIT\0";

/// What happens to the bytes of all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Each piece takes so much longer.
    Slow(Duration),
    /// Nothing moves; connections stay open. What waits is sent on when the weather is fair again.
    Frozen,
    /// The same, only for what the client sends.
    RequestsFrozen,
    /// The same, only for what the server answers.
    AnswersFrozen,
    /// What the server answers is swallowed for good.
    AnswersLost,
    /// What the client sends is swallowed for good.
    RequestsLost,
    /// Half open: connections stay, and everything is swallowed for good.
    Lost,
    /// Postgres gets each COMMIT; its answer is swallowed and the connection reset.
    CommitsUnanswered,
    /// Every connection is reset, also every new one.
    Cut,
}

impl Weather {
    fn holds(self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => matches!(self, Self::Frozen | Self::RequestsFrozen),
            Direction::ToClient => matches!(self, Self::Frozen | Self::AnswersFrozen),
        }
    }

    fn swallows(self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => matches!(self, Self::Lost | Self::RequestsLost),
            Direction::ToClient => matches!(self, Self::Lost | Self::AnswersLost),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

/// Listens on a port of its own until it is dropped.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    _accepting: OwnedTask<()>,
}

impl TcpProxy {
    /// # Panics
    /// No port can be bound.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (weather, forecast) = watch::channel(Weather::Fair);
        Self { address, weather, _accepting: spawn_owned(accept(listener, server, forecast)) }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, forecast: watch::Receiver<Weather>) {
    let mut connections = Vec::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.push(spawn_owned(carry(client, server, forecast.clone())));
    }
}

async fn carry(client: TcpStream, server: SocketAddr, mut forecast: watch::Receiver<Weather>) {
    if *forecast.borrow() == Weather::Cut {
        client.set_zero_linger().ok();
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    server.set_nodelay(true).ok();
    client.set_nodelay(true).ok();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (requests, answers) = (forecast.clone(), forecast.clone());
    let committing = Arc::new(AtomicBool::default());
    let pump = |direction, forecast| Pump { direction, forecast, committing: Arc::clone(&committing) };
    let reset = tokio::select! {
        end = pump(Direction::ToServer, requests).run(&mut from_client, &mut to_server) => end == End::Reset,
        end = pump(Direction::ToClient, answers).run(&mut from_server, &mut to_client) => end == End::Reset,
        _ = forecast.wait_for(|weather| *weather == Weather::Cut) => true,
    };
    if reset {
        // A cut is a reset, not a polite end.
        to_client.as_ref().set_zero_linger().ok();
        to_server.as_ref().set_zero_linger().ok();
    }
}

/// One direction of one connection.
struct Pump {
    direction: Direction,
    forecast: watch::Receiver<Weather>,
    /// A COMMIT has been sent on and not been answered.
    committing: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Polite,
    Reset,
}

impl Pump {
    async fn run(mut self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> End {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(length @ 1..) = from.read(&mut buffer).await else { return End::Polite };
            let bytes = &buffer[..length];
            let direction = self.direction;
            let fair = self.forecast.wait_for(|weather| !weather.holds(direction)).await.map(|now| *now);
            let Ok(weather) = fair else { return End::Polite };
            match weather {
                Weather::Slow(delay) => tokio::time::sleep(delay).await,
                Weather::CommitsUnanswered if direction == Direction::ToServer => {
                    let commits = bytes.windows(COMMIT.len()).any(|window| window == COMMIT);
                    self.committing.store(commits, Ordering::SeqCst);
                }
                Weather::CommitsUnanswered if self.committing.load(Ordering::SeqCst) => return End::Reset,
                _ => {}
            }
            if !weather.swallows(direction) && to.write_all(bytes).await.is_err() {
                return End::Polite;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    async fn echo_server() -> (SocketAddr, OwnedTask<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = spawn_owned(async move {
            let mut connections = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.push(spawn_owned(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await.ok();
                }));
            }
        });
        (address, task)
    }

    async fn echo(stream: &mut TcpStream) -> Option<u8> {
        stream.write_all(b"x").await.ok()?;
        timeout(Duration::from_millis(300), stream.read_u8()).await.ok()?.ok()
    }

    #[tokio::test]
    async fn every_weather_does_what_it_says() {
        let (server, _task) = echo_server().await;
        let proxy = TcpProxy::start(server).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echo(&mut stream).await, Some(b'x'));
        proxy.set(Weather::Frozen);
        assert_eq!(echo(&mut stream).await, None);
        proxy.set(Weather::Fair);
        assert_eq!(stream.read_u8().await.unwrap(), b'x', "what was frozen arrives");
        for one_way in [Weather::AnswersFrozen, Weather::RequestsFrozen] {
            proxy.set(one_way);
            assert_eq!(echo(&mut stream).await, None);
            proxy.set(Weather::Fair);
            assert_eq!(stream.read_u8().await.unwrap(), b'x', "what was frozen arrives");
        }
        proxy.set(Weather::Slow(Duration::from_millis(50)));
        let begun = Instant::now();
        assert_eq!(echo(&mut stream).await, Some(b'x'));
        assert!(begun.elapsed() >= Duration::from_millis(100));
        for lossy in [Weather::AnswersLost, Weather::RequestsLost, Weather::Lost] {
            proxy.set(lossy);
            assert_eq!(echo(&mut stream).await, None);
            proxy.set(Weather::Fair);
            assert_eq!(echo(&mut stream).await, Some(b'x'), "what was lost stays lost");
        }
        proxy.set(Weather::Cut);
        assert!(stream.read_u8().await.is_err(), "the connection is reset");
        let mut another = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(another.read_u8().await.is_err(), "and so is a new one");
    }

    #[tokio::test]
    async fn a_commit_passes_and_its_answer_does_not() {
        let (server, _task) = echo_server().await;
        let proxy = TcpProxy::start(server).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.set(Weather::CommitsUnanswered);
        assert_eq!(echo(&mut stream).await, Some(b'x'));
        stream.write_all(b"Q\0\0\0\x0bCOMMIT\0").await.unwrap();
        assert!(stream.read_u8().await.is_err(), "the connection is reset");
    }
}
