//! Three nats-servers that know each other only through proxies: one for each direction of each pair.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use crate::free_port;
use crate::nats::NatsServer;
use crate::tcp_proxy::{TcpProxy, Weather};

const NODES: usize = 3;

#[derive(Debug)]
pub struct NatsCluster {
    pub nodes: Vec<NatsServer>,
    /// `routes[from][to]`; a route that `from` opens carries both directions.
    routes: Vec<Vec<Option<TcpProxy>>>,
}

impl NatsCluster {
    /// Not started yet; JetStream on disk, `sync_interval: always`.
    pub async fn new() -> Self {
        let listeners: Vec<SocketAddr> =
            (0..NODES).map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))).collect();
        let (mut nodes, mut routes) = (Vec::new(), Vec::new());
        for from in 0..NODES {
            let (mut proxies, mut urls) = (Vec::new(), String::new());
            for (to, listener) in listeners.iter().enumerate() {
                if to == from {
                    proxies.push(None);
                    continue;
                }
                let proxy = TcpProxy::start(*listener).await;
                write!(urls, "\"nats://{}\", ", proxy.address()).expect("a text grows");
                proxies.push(Some(proxy));
            }
            // Nobody listens on port 1: what the nodes tell each other opens no way around the proxies.
            nodes.push(NatsServer::node(
                &node_name(from),
                &format!(
                    "cluster {{ name: test, listen: \"{}\", advertise: \"127.0.0.1:1\", routes: [{urls} ] }}",
                    listeners[from]
                ),
            ));
            routes.push(proxies);
        }
        Self { nodes, routes }
    }

    /// Starts all of them and waits until they answer.
    pub async fn start_ready(&mut self) {
        for node in &mut self.nodes {
            node.start();
        }
        for node in &mut self.nodes {
            node.wait_ready().await;
        }
    }

    /// `nats://...,nats://...,nats://...`
    #[must_use]
    pub fn url(&self) -> String {
        self.nodes.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// Which node leads the stream; `None` while nobody does.
    pub async fn leader(&self) -> Option<usize> {
        let urls: Vec<String> = self.nodes.iter().map(NatsServer::url).collect();
        let client = async_nats::connect(urls).await.ok()?;
        let stream = async_nats::jetstream::new(client).get_stream("DJAFFAR").await.ok()?;
        let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
        (0..NODES).find(|node| node_name(*node) == leader)
    }

    /// What the others send to the node does not arrive; what it sends does.
    pub fn deafen(&self, node: usize) {
        self.weather(node, Weather::RequestsFrozen, Weather::AnswersFrozen);
    }

    /// All of it arrives again, in time.
    pub fn heal(&self, node: usize) {
        self.weather(node, Weather::Fair, Weather::Fair);
    }

    fn weather(&self, node: usize, to_it: Weather, from_it: Weather) {
        for other in (0..NODES).filter(|other| *other != node) {
            for (proxy, weather) in [(&self.routes[other][node], to_it), (&self.routes[node][other], from_it)]
            {
                if let Some(proxy) = proxy {
                    proxy.set(weather);
                }
            }
        }
    }
}

fn node_name(node: usize) -> String {
    format!("node-{node}")
}
