//! Who has sent too much: by address before the body is read, by session once it is verified.

use std::net::IpAddr;

use http::HeaderMap;
use shared::event::SessionId;

use super::client_address::{ClientAddresses, one_customer};
use super::reply::{LimitedBy, Outcome};
use crate::config::RateLimits;
use crate::rate_limit::{KeyedLimiter, RateLimited};

#[derive(Debug)]
pub(super) struct Limits {
    per_ip: Option<KeyedLimiter>,
    per_session: Option<KeyedLimiter>,
}

impl Limits {
    pub(super) fn new(limits: RateLimits) -> Self {
        Self {
            per_ip: limits.per_ip.map(KeyedLimiter::new),
            per_session: limits.per_session.map(KeyedLimiter::new),
        }
    }

    /// Whether the address may send anything now; costs it nothing.
    pub(super) fn check_address(
        &self,
        addresses: &ClientAddresses,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(), Outcome> {
        self.charge_address(addresses, peer, headers, 0)
    }

    /// A trusted proxy itself is exempt: it speaks for many.
    pub(super) fn charge_address(
        &self,
        addresses: &ClientAddresses,
        peer: IpAddr,
        headers: &HeaderMap,
        activities: usize,
    ) -> Result<(), Outcome> {
        let Some(limiter) = &self.per_ip else { return Ok(()) };
        let address = addresses.resolve(peer, headers).ip();
        if addresses.is_trusted(address) {
            return Ok(());
        }
        limiter.charge(&one_customer(address), activities).map_err(|limited| refused(LimitedBy::Ip, limited))
    }

    /// `session` is one that was there before and is verified, never one that the request begins.
    pub(super) fn charge_session(&self, session: &SessionId, activities: usize) -> Result<(), Outcome> {
        let Some(limiter) = &self.per_session else { return Ok(()) };
        limiter.charge(&session.as_str(), activities).map_err(|limited| refused(LimitedBy::Session, limited))
    }
}

fn refused(by: LimitedBy, limited: RateLimited) -> Outcome {
    Outcome::RateLimited { by, retry_after_seconds: limited.retry_after_seconds() }
}
