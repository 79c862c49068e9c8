//! The public listener and what it believes.

use std::net::SocketAddr;

use chrono_tz::Tz;
use clap::{Args, ValueEnum};
use ipnet::IpNet;

use ingest::identity::{AllowedOrigins, InvalidOrigin};

use super::duration::Span;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpSettings {
    /// Address of the public listener
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Prefix of the public routes; another one escapes ad blockers
    #[arg(long, value_name = "PATH", default_value = "/djaffar", value_parser = base_path)]
    pub(crate) base_path: String,
    /// Proxies whose forwarded headers are believed: addresses or networks such as 10.0.0.0/8, divided by commas
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',', value_parser = network)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The one header that the trusted proxies set; the other is ignored
    #[arg(long, value_name = "HEADER", default_value = "x-forwarded-for")]
    pub(crate) forwarded_header: ForwardedHeader,
    /// Other origins whose pages may log with cookies, such as https://shop.example, divided by commas
    #[arg(long, value_name = "ORIGIN,...", value_delimiter = ',', value_parser = origin)]
    pub(crate) allowed_origins: Vec<String>,
    /// Addresses or networks that may use the debug header, divided by commas
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',', value_parser = network)]
    pub(crate) debug_from: Vec<IpNet>,
    /// Time zone of dates without an offset, such as Europe/Berlin; replicas must agree
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = time_zone)]
    pub(crate) time_zone: Tz,
    /// Longest wait for an answer; beyond it 503
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub(crate) request_timeout: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ForwardedHeader {
    #[value(name = "x-forwarded-for")]
    XForwardedFor,
    Forwarded,
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address is IP:PORT, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

fn base_path(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let path = text.trim_end_matches('/');
    let whole = path.is_empty() || (path.starts_with('/') && !path.contains("//"));
    if whole && path.bytes().all(allowed) && !text.is_empty() {
        return Ok(path.to_owned());
    }
    Err("a base path begins with / and holds letters, digits, and - _ . ~, such as /djaffar".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "a network is an IP address or a CIDR, such as 192.0.2.1 or 10.0.0.0/8".to_owned())
}

/// One of a list; judged as the list is.
fn origin(text: &str) -> Result<String, InvalidOrigin> {
    text.parse::<AllowedOrigins>().map(|_| text.trim().to_ascii_lowercase())
}

fn time_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "a time zone is an IANA name, such as UTC or Europe/Berlin".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_may_be_single_addresses() {
        assert_eq!(network("192.0.2.1").unwrap().to_string(), "192.0.2.1/32");
        assert_eq!(network(" 10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert!(network("10.0.0.0/33").is_err());
        assert!(network("localhost").is_err());
    }

    #[test]
    fn origins_are_exact() {
        assert_eq!(origin("HTTPS://Shop.Example:8443").unwrap(), "https://shop.example:8443");
        for wrong in ["*", "null", "shop.example", "https://shop.example/a", "https://*.a"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn base_paths() {
        assert_eq!(base_path("/djaffar/").unwrap(), "/djaffar");
        assert_eq!(base_path("/").unwrap(), "");
        for wrong in ["", "djaffar", "/a//b", "/a b", "/a?b", "/%61"] {
            assert!(base_path(wrong).is_err(), "{wrong}");
        }
    }
}
