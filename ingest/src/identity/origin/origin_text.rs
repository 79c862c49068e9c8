//! Origins and hosts as they stand in headers and settings, compared without allocation.

use std::net::Ipv6Addr;

/// Host and port. A port that is the scheme's default is the same as none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

/// `scheme://host[:port]` and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct OriginText<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
}

impl<'a> Authority<'a> {
    /// `host[:port]` or `[IPv6][:port]`; `None` for anything else, user info included.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.rfind(']') {
            Some(end) => text.split_at(end + 1),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        let sound = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
            None => is_host_name(host),
        };
        sound.then_some(Self { host, port })
    }

    /// The same place; `other` may leave out what is `default_port` here.
    fn equals(self, other: Self, default_port: Option<u16>) -> bool {
        let port = |authority: Self| authority.port.or(default_port);
        port(self) == port(other) && same_host(self.host, other.host)
    }
}

impl<'a> OriginText<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let sound =
            scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(letter);
        if !sound {
            return None;
        }
        Some(Self { scheme, authority: Authority::parse(authority)? })
    }

    fn default_port(self) -> Option<u16> {
        match self.scheme {
            scheme if scheme.eq_ignore_ascii_case("https") => Some(443),
            scheme if scheme.eq_ignore_ascii_case("http") => Some(80),
            _ => None,
        }
    }

    pub(super) fn equals(self, other: Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.authority.equals(other.authority, self.default_port())
    }

    /// Whether a page of this origin was served by that host. The scheme does not count,
    /// since a proxy may have ended TLS; a page of another kind was not served at all.
    pub(super) fn is_served_by(self, host: Authority<'_>) -> bool {
        self.default_port().is_some_and(|port| self.authority.equals(host, Some(port)))
    }
}

fn is_host_name(host: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !host.is_empty() && host.bytes().all(letter)
}

fn same_host(one: &str, other: &str) -> bool {
    let ipv6 = |host: &str| host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    match (ipv6(one), ipv6(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.eq_ignore_ascii_case(other),
        _ => false,
    }
}
