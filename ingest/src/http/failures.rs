//! Tells the operator of requests that failed on our side, so that an answer can be found in the log.
//!
//! Such an answer (5xx) carries `X-Request-Id`: what a trusted proxy has called the request, or else
//! a new one; the line of the log names the same. Nothing of it is made for any other request. An
//! outage fails every request, so that lines are few and say how many went without one.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;
use warp::reply::Response;

use super::client_address::ClientAddresses;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer than any proxy's.
const REQUEST_ID_BYTES_MAX: usize = 128;
const LINES_A_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

#[derive(Debug)]
pub(super) struct Failures {
    lines: DefaultDirectRateLimiter,
    untold: AtomicU64,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self { lines: RateLimiter::direct(Quota::per_second(LINES_A_SECOND)), untold: AtomicU64::default() }
    }

    /// Names the request in its answer and, unless there are too many, in the log.
    pub(super) fn tell(&self, reason: &'static str, id: HeaderValue, response: &mut Response) {
        if self.lines.check().is_ok() {
            let status = response.status().as_u16();
            let untold = self.untold.swap(0, Ordering::Relaxed);
            let request_id = id.to_str().unwrap_or_default();
            tracing::warn!(request_id, status, reason, untold, "a request has failed");
        } else {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
}

/// What a trusted proxy calls the request, else a new name.
pub(super) fn request_id(addresses: &ClientAddresses, peer: IpAddr, headers: &HeaderMap) -> HeaderValue {
    let named = headers.get(X_REQUEST_ID).filter(|id| is_sound(id.as_bytes()) && addresses.is_trusted(peer));
    named.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(Uuid::new_v4().simple().to_string()).expect("digits are visible ASCII")
    })
}

/// Nothing that could forge a line or a header, and no sentence: a client may have chosen it.
fn is_sound(id: &[u8]) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(peer: &str, named: &str) -> String {
        let trusted = "192.0.2.1".parse().expect("an address");
        let addresses =
            ClientAddresses::new(trusted, crate::http::client_address::ForwardedHeader::default());
        let headers =
            HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(named).expect("a header's value"))]);
        let id = request_id(&addresses, peer.parse().expect("an address"), &headers);
        id.to_str().expect("visible ASCII").to_owned()
    }

    #[test]
    fn only_a_sound_name_from_a_trusted_proxy_counts() {
        for named in ["7f3a-1", "Root=1-67891233-abcdef012345678912345678", &"x".repeat(128)] {
            assert_eq!(id("192.0.2.1", named), named);
            assert_ne!(id("192.0.2.2", named), named);
        }
        for named in ["", "two words", "a\"b", "\u{e4}", "<script>", &"x".repeat(129)] {
            let made = id("192.0.2.1", named);
            assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{named}: {made}");
        }
        assert_ne!(id("192.0.2.2", ""), id("192.0.2.2", ""));
    }
}
