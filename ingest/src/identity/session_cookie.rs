//! The browser session: a first-party cookie that only we can make.
//!
//! Rule of safety: a session id that comes from a client counts only with our
//! signature over it and over its issue time; anything else gets a new
//! session. Held by the tests beside this file. Replicas agree by sharing the
//! key; to rotate it, every replica first learns the new key as a fallback.

mod config;
mod signature;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue};
use shared::event::SessionId;
use uuid::{NoContext, Timestamp, Uuid};

pub use self::config::{InvalidSessionConfig, SECRET_KEY_CHARACTERS_MIN, SameSite, SessionConfig};
use self::signature::{Claim, SigningKey};
use super::cookie_header;
use crate::http::client_address::Https;

/// How far a replica's clock may be ahead of ours, in seconds.
const CLOCK_SKEW_SECONDS_MAX: u64 = 60;

/// What came with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedSession {
    /// No cookie of our name.
    Absent,
    /// Forged, expired, from the future or broken: identifies nobody.
    Refused,
    /// Ours and alive: the request is identified by a cookie.
    Verified,
}

#[derive(Clone, Debug)]
pub struct ResolvedSession {
    pub id: SessionId,
    /// `Set-Cookie` of the answer; `None` while the presented cookie is fresh.
    pub set_cookie: Option<HeaderValue>,
    pub presented: PresentedSession,
}

/// Makes and verifies session cookies. Two of these with the same keys agree.
#[derive(Clone)]
pub struct Sessions {
    /// The first signs, all verify.
    keys: Vec<SigningKey>,
    cookie_name: String,
    age_seconds: u64,
    attributes: String,
    secure: Secure,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Secure {
    Always,
    OnHttps,
}

impl Sessions {
    /// # Errors
    /// A setting is refused.
    pub fn new(config: &SessionConfig) -> Result<Self, InvalidSessionConfig> {
        config.check()?;
        let keys = std::iter::once(&config.secret_key).chain(&config.fallbacks);
        Ok(Self {
            keys: keys.map(|key| SigningKey::new(key.expose())).collect(),
            cookie_name: config.cookie_name.clone(),
            age_seconds: config.age.as_secs(),
            attributes: config.attributes(),
            secure: if config.is_always_secure() { Secure::Always } else { Secure::OnHttps },
        })
    }

    /// The session of a request with these headers at `now`; a new one unless a cookie of ours is alive.
    ///
    /// Of several cookies of our name, the first that verifies counts: another path or a parent
    /// domain may have set the others. What this costs is bounded by the limit on header bytes.
    #[must_use]
    pub fn resolve(&self, headers: &HeaderMap, now: DateTime<Utc>, https: Https) -> ResolvedSession {
        let mut presented = PresentedSession::Absent;
        for value in cookie_header::values(headers, &self.cookie_name) {
            let Some((claim, renewal)) = self.verify(value, now) else {
                presented = PresentedSession::Refused;
                continue;
            };
            let set_cookie = match renewal {
                Renewal::Due => Some(self.set_cookie(claim.id, now, https)),
                Renewal::NotYet => None,
            };
            return ResolvedSession {
                id: session_id(claim.id),
                set_cookie,
                presented: PresentedSession::Verified,
            };
        }
        let id = new_id(now);
        ResolvedSession { id: session_id(id), set_cookie: Some(self.set_cookie(id, now, https)), presented }
    }

    fn verify(&self, value: &[u8], now: DateTime<Utc>) -> Option<(Claim, Renewal)> {
        let now = seconds(now);
        let (claim, key) = signature::verify(value, &self.keys)?;
        if claim.issued > now + CLOCK_SKEW_SECONDS_MAX {
            return None;
        }
        let age = now.saturating_sub(claim.issued);
        if age >= self.age_seconds {
            return None;
        }
        let stale = age.saturating_mul(4) >= self.age_seconds;
        Some((claim, if stale || key > 0 { Renewal::Due } else { Renewal::NotYet }))
    }

    fn set_cookie(&self, id: Uuid, now: DateTime<Utc>, https: Https) -> HeaderValue {
        let length = self.cookie_name.len() + 1 + signature::VALUE_BYTES + self.attributes.len();
        let mut cookie = String::with_capacity(length + "; Secure".len());
        cookie.push_str(&self.cookie_name);
        cookie.push('=');
        if let Some(key) = self.keys.first() {
            key.write(&Claim { id, issued: seconds(now) }, &mut cookie);
        }
        cookie.push_str(&self.attributes);
        if self.secure == Secure::Always || https == Https::Yes {
            cookie.push_str("; Secure");
        }
        let mut value =
            HeaderValue::try_from(cookie).expect("name and domain were checked, the rest is ASCII");
        value.set_sensitive(true);
        value
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    /// A quarter of its age has passed, or a fallback has signed it.
    Due,
    NotYet,
}

/// Seconds since 1970, not negative and below 2^40.
fn seconds(now: DateTime<Utc>) -> u64 {
    u64::try_from(now.timestamp()).unwrap_or(0).min((1 << 40) - 1)
}

/// Time first, so that index inserts stay local; 74 random bits after it.
fn new_id(now: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds(now), now.timestamp_subsec_nanos().min(999_999_999)))
}

fn session_id(id: Uuid) -> SessionId {
    SessionId::new(id.as_simple().to_string()).expect("32 hex digits are a session id")
}
