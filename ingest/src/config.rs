//! What the operator decides about ingest. Contradictions stop the start.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use shared::event::REFERER_CHARACTERS_MAX;

use crate::http::client_address::{ForwardedHeader, TrustedProxies};
use crate::http::serve::ConnectionLimits;
use crate::identity::{AllowedOrigins, Chain, IdentityConfig, OriginRule, SameSite, SessionConfig, Sessions};
use crate::intake::IntakeConfig;
use crate::privacy::PrivacyConfig;
use crate::rate_limit::RateLimit;

/// Largest body of one log request, in bytes.
pub const LOG_BYTES_MAX: usize = 64 * 1024;
/// Largest body of one batch, in bytes, before and after decompression.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// More frames at once never paid.
const FRAMES_IN_FLIGHT_MAX: usize = 8;
/// A batch of the largest size, as it came, decompressed and as activities.
const INTAKE_BYTES_MIN: usize = 8 * BATCH_BYTES_MAX;

#[derive(Clone, Debug)]
pub struct IngestConfig {
    pub base_path: BasePath,
    pub intake: IntakeConfig,
    pub sessions: SessionConfig,
    pub trusted_proxies: TrustedProxies,
    pub forwarded_header: ForwardedHeader,
    pub allowed_origins: AllowedOrigins,
    /// Who says which user sends a log request.
    pub identity: IdentityConfig,
    /// Who may use the debug header.
    pub debug_from: DebugFrom,
    pub privacy: PrivacyConfig,
    /// What `GET /` shows, with the base path as `{base}`; nothing where other pages are the site's.
    pub welcome: Option<&'static str>,
    /// Longest wait for the queue; also the longest life of a frame.
    pub request_timeout: Duration,
    /// Longest stop of the process; requests in flight get most of it.
    pub stop_timeout: Duration,
    /// Longest time for a body, from its first byte to its last.
    pub body_timeout: Duration,
    /// Bodies and waiting activities together.
    pub intake_bytes_max: usize,
    pub frames_in_flight: NonZeroUsize,
    pub connections_max: usize,
    /// From one address (one /64 of IPv6); trusted proxies are exempt.
    pub connections_per_peer_max: usize,
    pub connection_limits: ConnectionLimits,
    pub rate_limits: RateLimits,
}

/// How many activities one sender may send; `None` for any number.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimits {
    /// One address, one /64 of IPv6, as trusted proxies name it.
    pub per_ip: Option<RateLimit>,
    /// One session that is verified.
    pub per_session: Option<RateLimit>,
}

/// A setting that cannot work: one sentence with the setting's name and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(String);

impl IngestConfig {
    /// The defaults of everything that has one.
    #[must_use]
    pub fn new(intake: IntakeConfig, sessions: SessionConfig) -> Self {
        Self {
            base_path: BasePath::default(),
            intake,
            sessions,
            trusted_proxies: TrustedProxies::default(),
            forwarded_header: ForwardedHeader::default(),
            allowed_origins: AllowedOrigins::default(),
            identity: IdentityConfig::default(),
            debug_from: DebugFrom::default(),
            privacy: PrivacyConfig::default(),
            welcome: None,
            request_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            intake_bytes_max: 64 * 1024 * 1024,
            frames_in_flight: NonZeroUsize::MIN,
            connections_max: 10_000,
            connections_per_peer_max: 1_000,
            connection_limits: ConnectionLimits::default(),
            rate_limits: RateLimits::default(),
        }
    }

    /// # Errors
    /// The first setting that is refused, as a sentence for the operator.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        self.check_times()?;
        self.check_sizes()?;
        Sessions::new(&self.sessions).map_err(|error| InvalidConfig(error.to_string()))?;
        let identity = self.identity.check(&self.sessions, &self.trusted_proxies);
        identity.map_err(|error| InvalidConfig(error.to_string()))
    }

    /// The authenticators; within a runtime.
    #[must_use]
    pub fn users(&self) -> Chain {
        Chain::new(&self.identity, &OriginRule::new(self.allowed_origins.clone()), &self.sessions)
    }

    fn check_times(&self) -> Result<(), InvalidConfig> {
        let Self { request_timeout, stop_timeout, .. } = self;
        if request_timeout.is_zero() {
            return refuse(
                "--request-timeout must not be zero: every log request would be answered with 503",
            );
        }
        if stop_timeout < request_timeout {
            return refuse(format!(
                "--stop-timeout ({stop_timeout:?}) is shorter than --request-timeout ({request_timeout:?}), so a \
                 stop would cut off requests in flight: raise the one or lower the other"
            ));
        }
        let limits = &self.connection_limits;
        let timeouts = [self.body_timeout, limits.header_timeout, limits.idle_timeout, limits.write_timeout];
        if timeouts.iter().any(Duration::is_zero) {
            return refuse("no connection timeout may be zero: every connection would be closed at once");
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), InvalidConfig> {
        if self.intake_bytes_max < INTAKE_BYTES_MIN {
            return refuse(format!(
                "--intake-bytes-max must be at least {INTAKE_BYTES_MIN} bytes, not {}: a large \
                 batch would never fit, and a few would lock everybody else out",
                self.intake_bytes_max
            ));
        }
        if self.frames_in_flight.get() > FRAMES_IN_FLIGHT_MAX {
            return refuse(format!("--frames-in-flight must be 1 to {FRAMES_IN_FLIGHT_MAX}"));
        }
        if self.intake.referer_characters_max > REFERER_CHARACTERS_MAX {
            return refuse(format!("--referer-max must be at most {REFERER_CHARACTERS_MAX} characters"));
        }
        if self.connections_max == 0 || self.connections_per_peer_max == 0 {
            return refuse("no connection limit may be zero: nobody could connect");
        }
        Ok(())
    }

    /// What works, but perhaps not as meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.allowed_origins.is_empty() && self.sessions.same_site != SameSite::None {
            warnings.push(
                "--allowed-origins is set, but --session-cookie-samesite is not `none`: pages of another site \
                 will log without a session; pages of the same site (another host of one domain) are fine"
                    .to_owned(),
            );
        }
        warnings.extend(self.identity.warnings());
        if self.rate_limits.per_ip.is_some() && self.trusted_proxies.is_empty() {
            warnings.push(
                "--rate-limit-per-ip is set, but --trusted-proxies is not: behind a proxy, all visitors are one \
                 address and share one limit"
                    .to_owned(),
            );
        }
        warnings
    }
}

fn refuse(sentence: impl Into<String>) -> Result<(), InvalidConfig> {
    Err(InvalidConfig(sentence.into()))
}

/// `--base-path`: what stands before the public routes; empty, or `/` and segments without a last slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BasePath {
    fn default() -> Self {
        Self("/djaffar".to_owned())
    }
}

/// Accepts a last slash; `/` alone puts the routes at the root.
impl FromStr for BasePath {
    type Err = InvalidConfig;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let sound = |segment: &str| {
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(unreserved)
        };
        let rooted = text.starts_with('/') && (path.is_empty() || path[1..].split('/').all(sound));
        if !rooted {
            return Err(InvalidConfig(format!(
                "--base-path must be a path such as `/djaffar`, of letters, digits, `-`, `.`, `_` and `~`, not `{text}`"
            )));
        }
        Ok(Self(path.to_owned()))
    }
}

/// `--debug-from`: client addresses that may use the debug header; nobody by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugFrom(Vec<IpNet>);

impl DebugFrom {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A list with commas of addresses and networks.
impl FromStr for DebugFrom {
    type Err = InvalidConfig;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let networks = items.map(|item| {
            item.parse().or_else(|_| item.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                InvalidConfig(format!(
                    "--debug-from: `{item}` is not an address such as `192.0.2.1`, nor a network such as `10.0.0.0/8`"
                ))
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::secret::Secret;

    fn config() -> IngestConfig {
        let intake = IntakeConfig { time_zone: chrono_tz::UTC, referer_characters_max: 2048 };
        IngestConfig::new(
            intake,
            SessionConfig {
                secret_key: Secret::new("0123456789abcdef0123456789abcdef"),
                fallbacks: vec![],
                cookie_name: "djaffar_session".to_owned(),
                domain: None,
                same_site: SameSite::Lax,
                age: Duration::from_secs(1_209_600),
                expire_at_browser_close: false,
            },
        )
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(config().check(), Ok(()));
        assert!(config().warnings().is_empty());
    }

    #[test]
    fn a_refusal_names_the_setting() {
        type Spoil = fn(&mut IngestConfig);
        let cases: [(&str, Spoil); 6] = [
            ("--request-timeout", |config| config.request_timeout = Duration::ZERO),
            ("--stop-timeout", |config| config.stop_timeout = Duration::from_secs(1)),
            ("--intake-bytes-max", |config| config.intake_bytes_max = 1000),
            ("--frames-in-flight", |config| config.frames_in_flight = NonZeroUsize::MIN.saturating_add(8)),
            ("--referer-max", |config| config.intake.referer_characters_max = 65_537),
            ("--secret-key", |config| config.sessions.secret_key = Secret::new("short")),
        ];
        for (setting, spoil) in cases {
            let mut config = config();
            spoil(&mut config);
            let sentence = config.check().expect_err(setting).to_string();
            assert!(sentence.contains(setting), "{sentence}");
        }
    }

    #[test]
    fn other_origins_without_cookies_are_worth_a_warning() {
        let mut config = config();
        config.allowed_origins = "https://shop.example.com".parse().expect("an origin");
        assert_eq!(config.warnings().len(), 1);
        config.sessions.same_site = SameSite::None;
        assert!(config.warnings().is_empty());
    }

    #[test]
    fn a_limit_that_all_share_behind_a_proxy_is_worth_a_warning() {
        let mut config = config();
        config.rate_limits.per_ip = Some("600/min".parse().expect("a rate"));
        assert_eq!(config.warnings().len(), 1);
        config.trusted_proxies = "127.0.0.1".parse().expect("an address");
        assert!(config.warnings().is_empty());
    }

    #[test]
    fn base_paths() {
        for (text, path) in [("/djaffar", "/djaffar"), ("/a/b-c/", "/a/b-c"), ("/", "")] {
            assert_eq!(text.parse::<BasePath>().expect(text).as_str(), path);
        }
        for text in ["", "djaffar", "//", "/a//b", "/a b", "/ä", "/a/../b", "/a?b", "/%41"] {
            assert!(text.parse::<BasePath>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_addresses() {
        let debug_from: DebugFrom = "127.0.0.1, 10.0.0.0/8".parse().expect("a list");
        assert!(debug_from.contains("10.1.2.3".parse().expect("an address")));
        assert!(!debug_from.contains("192.0.2.1".parse().expect("an address")));
        assert!("localhost".parse::<DebugFrom>().is_err());
    }
}
