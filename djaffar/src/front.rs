//! From the settings of the public listener to what ingest takes.

use std::time::Duration;

use ingest::IngestConfig;
use ingest::config::RateLimits;
use ingest::http::client_address;
use ingest::http::serve::ConnectionLimits;
use ingest::identity::{self, SessionConfig};
use ingest::intake::IntakeConfig;
use shared::secret::Secret;

use crate::cli::FrontArguments;
use crate::failure::Failure;
use crate::settings::http::ForwardedHeader;
use crate::settings::session::SameSite;

/// A configuration that ingest has found sound; `key` is made only when none is given.
pub(crate) fn configure(
    arguments: &FrontArguments,
    stop_timeout: Duration,
    key: impl FnOnce() -> Result<Secret, Failure>,
) -> Result<IngestConfig, Failure> {
    let FrontArguments { http, session, limits, identity } = arguments;
    session.check_cookie(&http.allowed_origins)?;
    let fallbacks = session.fallbacks()?;
    let secret_key = session.key()?.map_or_else(key, Ok)?;
    let sessions = SessionConfig {
        secret_key,
        fallbacks,
        cookie_name: session.session_cookie_name.clone(),
        domain: session.session_cookie_domain.clone(),
        same_site: match session.session_cookie_samesite {
            SameSite::Lax => identity::SameSite::Lax,
            SameSite::Strict => identity::SameSite::Strict,
            SameSite::None => identity::SameSite::None,
        },
        age: session.session_age.0,
        expire_at_browser_close: session.session_expire_at_browser_close,
    };
    let intake = IntakeConfig { time_zone: http.time_zone, referer_characters_max: limits.referer_max };
    let config = IngestConfig {
        base_path: http.base_path.clone(),
        trusted_proxies: http.trusted_proxies.clone().unwrap_or_default(),
        forwarded_header: match http.forwarded_header {
            ForwardedHeader::XForwardedFor => client_address::ForwardedHeader::XForwardedFor,
            ForwardedHeader::Forwarded => client_address::ForwardedHeader::Forwarded,
        },
        allowed_origins: http
            .allowed_origins
            .join(",")
            .parse()
            .map_err(|error: identity::InvalidOrigin| Failure::misconfigured(error.to_string()))?,
        privacy: http.privacy(),
        debug_from: http.debug_from.clone().unwrap_or_default(),
        request_timeout: http.request_timeout.0,
        stop_timeout,
        body_timeout: limits.body_timeout.0,
        intake_bytes_max: limits.intake_bytes_max.bytes(),
        frames_in_flight: limits.frames_in_flight,
        identity: crate::identity::configure(identity)?,
        connections_max: limits.connections_max,
        connections_per_peer_max: limits.connections_per_peer_max,
        connection_limits: ConnectionLimits {
            header_timeout: limits.header_timeout.0,
            idle_timeout: limits.idle_timeout.0,
            write_timeout: limits.write_timeout.0,
            ..ConnectionLimits::default()
        },
        rate_limits: RateLimits {
            per_ip: limits.rate_limit_per_ip.0,
            per_session: limits.rate_limit_per_session.0,
        },
        ..IngestConfig::new(intake, sessions)
    };
    config.check().map_err(|error| Failure::misconfigured(error.to_string()))?;
    Ok(config)
}

/// Replicas cannot each make a key of their own.
pub(crate) fn key_missing() -> Failure {
    Failure::misconfigured(
        "secret-key is needed by `djaffar ingest`: all replicas share one key, give it as secret-key or \
         secret-key-file",
    )
}
