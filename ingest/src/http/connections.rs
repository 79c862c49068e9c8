//! How many connections there may be, in total and from one peer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::client_address::{TrustedProxies, one_customer};

/// Caps and counts of one listener. Clones share it.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Register>);

#[derive(Debug)]
struct Register {
    connections_max: usize,
    per_peer_max: usize,
    /// Peers that speak for many clients: proxies.
    shared_peers: TrustedProxies,
    open: AtomicUsize,
    refused: AtomicU64,
    by_peer: Mutex<HashMap<IpAddr, usize>>,
}

/// The right to one connection, given back on drop.
#[derive(Debug)]
pub(super) struct Slot {
    register: Arc<Register>,
    /// `None` for a peer without a cap of its own.
    peer: Option<IpAddr>,
}

impl Connections {
    /// `shared_peers` count in total only.
    #[must_use]
    pub fn new(connections_max: usize, per_peer_max: usize, shared_peers: TrustedProxies) -> Self {
        Self(Arc::new(Register {
            connections_max,
            per_peer_max,
            shared_peers,
            open: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            by_peer: Mutex::default(),
        }))
    }

    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// `None` when a cap is reached.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Slot> {
        let slot = self.try_admit(address.to_canonical());
        if slot.is_none() {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
        }
        slot
    }

    fn try_admit(&self, address: IpAddr) -> Option<Slot> {
        // Only the accept loop admits, so this cannot overshoot.
        if self.open() >= self.0.connections_max {
            return None;
        }
        let shared = self.0.shared_peers.contains(address);
        let peer = (!shared).then(|| one_customer(address));
        if let Some(peer) = peer {
            let mut by_peer = self.0.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
            let held = by_peer.get(&peer).copied().unwrap_or(0);
            if held >= self.0.per_peer_max {
                return None;
            }
            by_peer.insert(peer, held + 1);
        }
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Some(Slot { register: Arc::clone(&self.0), peer })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(peer) = self.peer {
            let mut by_peer = self.register.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
            match by_peer.get_mut(&peer) {
                Some(held) if *held > 1 => *held -= 1,
                _ => {
                    by_peer.remove(&peer);
                }
            }
        }
        self.register.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_peer_cannot_take_every_slot() {
        let connections = Connections::new(4, 2, TrustedProxies::default());
        let first = connections.admit(address("192.0.2.1")).expect("a slot");
        let _second = connections.admit(address("::ffff:192.0.2.1")).expect("a slot");
        assert!(connections.admit(address("192.0.2.1")).is_none());
        let _other = connections.admit(address("192.0.2.2")).expect("a slot");
        drop(first);
        let _again = connections.admit(address("192.0.2.1")).expect("the slot that came back");
        assert_eq!((connections.open(), connections.refused()), (3, 1));
    }

    #[test]
    fn the_total_holds_for_everybody() {
        let connections = Connections::new(2, 1, "10.0.0.0/8".parse().expect("a network"));
        let _slots = [connections.admit(address("10.0.0.1")), connections.admit(address("10.0.0.1"))]
            .map(|slot| slot.expect("a proxy has no cap of its own"));
        assert!(connections.admit(address("10.0.0.1")).is_none());
    }

    #[test]
    fn an_ipv6_customer_is_a_network() {
        let connections = Connections::new(9, 1, TrustedProxies::default());
        let slot = connections.admit(address("2001:db8::1")).expect("a slot");
        assert!(connections.admit(address("2001:db8::2")).is_none());
        assert!(connections.admit(address("2001:db8:0:1::1")).is_some());
        drop(slot);
        assert!(connections.0.by_peer.lock().expect("not poisoned").is_empty());
        assert_eq!(connections.open(), 0);
    }
}
