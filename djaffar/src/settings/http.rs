//! The public listener and what it believes.

use std::net::SocketAddr;

use chrono_tz::Tz;
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use ingest::config::{BasePath, DebugFrom};
use ingest::http::client_address::TrustedProxies;
use ingest::identity::{AllowedOrigins, InvalidOrigin};
use ingest::privacy::{IpPrivacy, PrivacyConfig, PrivacySignal};

use super::duration::Span;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpSettings {
    /// Address of the public listener
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Prefix of the public routes; another one escapes ad blockers
    #[arg(long, value_name = "PATH", default_value = "/djaffar")]
    pub(crate) base_path: BasePath,
    /// Proxies whose forwarded headers are believed: addresses or networks such as 10.0.0.0/8, divided by commas
    #[arg(long, value_name = "CIDR,...")]
    pub(crate) trusted_proxies: Option<TrustedProxies>,
    /// The one header that the trusted proxies set; the other is ignored
    #[arg(long, value_name = "HEADER", default_value = "x-forwarded-for")]
    pub(crate) forwarded_header: ForwardedHeader,
    /// Other origins whose pages may log with cookies, such as https://shop.example, divided by commas
    #[arg(long, value_name = "ORIGIN,...", value_delimiter = ',', value_parser = origin)]
    pub(crate) allowed_origins: Vec<String>,
    /// Addresses or networks that may use the debug header, divided by commas
    #[arg(long, value_name = "CIDR,...")]
    pub(crate) debug_from: Option<DebugFrom>,
    /// How much of an IP address is stored: `truncate` keeps the network, IPv4 /24 and IPv6 /48
    #[arg(long, value_name = "HOW", default_value = "full")]
    ip_privacy: IpPrivacyName,
    /// Store nothing of who it is when the browser sends `Sec-GPC: 1`, Global Privacy Control
    #[arg(
        long, value_name = "true|false", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set,
        value_parser = BoolishValueParser::new()
    )]
    respect_gpc: bool,
    /// Store nothing of who it is when the browser sends `DNT: 1`, Do Not Track
    #[arg(
        long, value_name = "true|false", default_value = "false", default_missing_value = "true",
        num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set,
        value_parser = BoolishValueParser::new()
    )]
    respect_dnt: bool,
    /// Time zone of dates without an offset, such as Europe/Berlin; replicas must agree
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = time_zone)]
    pub(crate) time_zone: Tz,
    /// Longest wait for an answer; beyond it 503
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub(crate) request_timeout: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IpPrivacyName {
    Full,
    Truncate,
    None,
}

impl HttpSettings {
    pub(crate) fn privacy(&self) -> PrivacyConfig {
        let signals = [(self.respect_gpc, PrivacySignal::Gpc), (self.respect_dnt, PrivacySignal::Dnt)];
        PrivacyConfig {
            ip: match self.ip_privacy {
                IpPrivacyName::Full => IpPrivacy::Full,
                IpPrivacyName::Truncate => IpPrivacy::Truncate,
                IpPrivacyName::None => IpPrivacy::None,
            },
            respected: signals.into_iter().filter_map(|(is_set, signal)| is_set.then_some(signal)).collect(),
        }
    }
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

/// One of a list; judged as the list is.
fn origin(text: &str) -> Result<String, InvalidOrigin> {
    text.parse::<AllowedOrigins>().map(|_| text.trim().to_ascii_lowercase())
}

pub(crate) fn time_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "a time zone is an IANA name, such as UTC or Europe/Berlin".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        assert_eq!(origin("HTTPS://Shop.Example:8443").unwrap(), "https://shop.example:8443");
        for wrong in ["*", "null", "shop.example", "https://shop.example/a", "https://*.a"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
