//! Where a request really comes from: its peer, or what trusted proxies say.
//!
//! Rule of safety: a header counts only when the peer is in `--trusted-proxies`.
//! Then the hops are walked from the right, where the nearest proxy wrote, as
//! long as they are trusted proxies themselves; the first that is not is the
//! client. When all are trusted, the leftmost is. A hop on that way that is no
//! address, or more than [`HOPS_MAX`] of them, makes it the peer. Whatever stands
//! further left is the client's own writing and is not looked at. Held by the
//! tests beside this file.

mod hops;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderMap;
use http::header::{HOST, HeaderName};
use ipnet::{IpNet, Ipv4Net};
use shared::event::ClientAddress;

/// No site has so many proxies; a longer chain is a broken or hostile one.
pub const HOPS_MAX: usize = 64;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether the visitor's own connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Https {
    Yes,
    No,
}

/// `--forwarded-header`: the one that is read; the other is ignored, since a proxy that sets
/// one of them lets a client forge the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwardedFor,
    /// RFC 7239's `Forwarded`: `for`, `proto` and `host`.
    Forwarded,
}

impl FromStr for ForwardedHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err("--forwarded-header must be `x-forwarded-for` or `forwarded`".to_owned()),
        }
    }
}

/// `--trusted-proxies`: whose headers are believed; nobody's by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A list with commas of networks (`10.0.0.0/8`) and addresses.
impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let networks = items.map(|item| {
            let network = item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                format!("--trusted-proxies: `{item}` is not a network such as `10.0.0.0/8`, nor an address")
            })
        });
        networks.collect::<Result<Vec<_>, _>>().map(Self::new)
    }
}

/// One customer usually has one IPv4 address, but a whole IPv6 /64.
pub(super) fn one_customer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Addresses are compared as IPv4 where they can be, so networks are written so too.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(v4, prefix)
    {
        return IpNet::V4(v4);
    }
    network
}

/// Reads peer and headers of a request.
#[derive(Clone, Debug, Default)]
pub struct ClientAddresses {
    trusted: TrustedProxies,
    header: ForwardedHeader,
}

impl ClientAddresses {
    #[must_use]
    pub fn new(trusted: TrustedProxies, header: ForwardedHeader) -> Self {
        Self { trusted, header }
    }

    /// Whether the peer is a trusted proxy.
    #[must_use]
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        self.trusted.contains(peer)
    }

    #[must_use]
    pub fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let client = match self.header {
            _ if !self.is_trusted(peer) => None,
            ForwardedHeader::XForwardedFor => {
                let hops = hops::from_the_right(headers, &hops::X_FORWARDED_FOR);
                self.client(hops.map(|hop| std::str::from_utf8(hop).ok().and_then(hops::address)))
            }
            ForwardedHeader::Forwarded => {
                let hops = hops::forwarded(headers);
                self.client(hops.map(|hop| hop.parameter("for").and_then(hops::address)))
            }
        };
        ClientAddress::new(client.unwrap_or(peer))
    }

    /// Whether the visitor came by https, as a trusted proxy says; this listener itself is plain HTTP.
    #[must_use]
    pub fn https(&self, peer: IpAddr, headers: &HeaderMap) -> Https {
        match self.said(peer, headers, &X_FORWARDED_PROTO, "proto") {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Https::Yes,
            _ => Https::No,
        }
    }

    /// The host that the visitor asked for, as a trusted proxy says.
    #[must_use]
    pub fn forwarded_host<'h>(&self, peer: IpAddr, headers: &'h HeaderMap) -> Option<&'h str> {
        self.said(peer, headers, &X_FORWARDED_HOST, "host")
    }

    /// The host that the visitor asked for: what a trusted proxy says, else `Host`.
    #[must_use]
    pub fn host<'h>(&self, peer: IpAddr, headers: &'h HeaderMap) -> Option<&'h str> {
        let host = || std::str::from_utf8(headers.get(HOST)?.as_bytes()).ok();
        self.forwarded_host(peer, headers).or_else(host)
    }

    fn client(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut furthest = None;
        for (walked, hop) in hops.enumerate() {
            let hop = hop.filter(|_| walked < HOPS_MAX)?;
            if !self.trusted.contains(hop) {
                return Some(hop);
            }
            furthest = Some(hop);
        }
        furthest
    }

    /// In an `X-` header the first value, which is the proxy's that the visitor has talked to; in
    /// `Forwarded` that of the element which names the client.
    fn said<'h>(
        &self,
        peer: IpAddr,
        headers: &'h HeaderMap,
        name: &HeaderName,
        parameter: &str,
    ) -> Option<&'h str> {
        match self.header {
            _ if !self.is_trusted(peer) => None,
            ForwardedHeader::XForwardedFor => {
                let value = std::str::from_utf8(headers.get(name)?.as_bytes()).ok()?;
                value.split(',').next().map(str::trim)
            }
            ForwardedHeader::Forwarded => {
                let mut said = None;
                for element in hops::forwarded(headers).take(HOPS_MAX) {
                    said = element.parameter(parameter);
                    let hop = element.parameter("for").and_then(hops::address)?;
                    if !self.trusted.contains(hop) {
                        break;
                    }
                }
                said
            }
        }
    }
}
