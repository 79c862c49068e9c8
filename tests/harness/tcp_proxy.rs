//! A TCP proxy that cuts, freezes and half-opens connections on request.

use std::net::SocketAddr;

use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the bytes of all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Nothing moves; connections stay open. What waits is sent on when the weather is fair again.
    Frozen,
    /// What the server answers is swallowed for good.
    AnswersLost,
    /// What the client sends is swallowed for good.
    RequestsLost,
    /// Every connection is reset, also every new one.
    Cut,
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
    let cut = tokio::select! {
        () = pump(&mut from_client, &mut to_server, Direction::ToServer, requests) => false,
        () = pump(&mut from_server, &mut to_client, Direction::ToClient, answers) => false,
        _ = forecast.wait_for(|weather| *weather == Weather::Cut) => true,
    };
    if cut {
        // A cut is a reset, not a polite end.
        to_client.as_ref().set_zero_linger().ok();
        to_server.as_ref().set_zero_linger().ok();
    }
}

async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    direction: Direction,
    mut forecast: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let Ok(weather) = forecast.wait_for(|weather| *weather != Weather::Frozen).await.map(|now| *now)
        else {
            return;
        };
        let lost = matches!(
            (weather, direction),
            (Weather::AnswersLost, Direction::ToClient) | (Weather::RequestsLost, Direction::ToServer)
        );
        if !lost && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

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
        for lossy in [Weather::AnswersLost, Weather::RequestsLost] {
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
}
