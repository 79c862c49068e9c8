//! The browser session: a first-party cookie that only we can make.
//!
//! Rule of safety: a session id that comes from a client counts only with our
//! signature over it and over its issue time; anything else gets a new
//! session. Held by the tests beside this file. Replicas agree by sharing the
//! key; to rotate it, every replica first learns the new key as a fallback.

mod cookie_header;
mod signature;
#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue};
use shared::event::SessionId;
use shared::secret::Secret;
use uuid::{NoContext, Timestamp, Uuid};

use self::signature::{Claim, SigningKey};
use crate::http::client_address::Https;

/// A shorter key could be guessed from one cookie.
pub const SECRET_KEY_CHARACTERS_MIN: usize = 32;
/// How far a replica's clock may be ahead of ours, in seconds.
const CLOCK_SKEW_SECONDS_MAX: u64 = 60;
const AGE_SECONDS_MAX: u64 = u32::MAX as u64;
/// Browsers drop a cookie whose name and value are longer than 4096 bytes together.
const NAME_BYTES_MAX: usize = 256;
const DOMAIN_BYTES_MAX: usize = 253;

#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Signs; 32 characters or more, any text.
    pub secret_key: Secret,
    /// Verify only, for rotation; each as long as the key itself.
    pub fallbacks: Vec<Secret>,
    pub cookie_name: String,
    pub domain: Option<String>,
    pub same_site: SameSite,
    /// From its issue, in whole seconds.
    pub age: Duration,
    /// Without `Max-Age`; the cookie still expires by its issue time.
    pub expire_at_browser_close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    /// Always `Secure`.
    None,
}

impl SameSite {
    fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// A setting that cannot work: one sentence with the setting's name and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSessionConfig(String);

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
        check_key("--secret-key", &config.secret_key)?;
        for fallback in &config.fallbacks {
            check_key("each of --secret-key-fallbacks", fallback)?;
        }
        check_name(&config.cookie_name)?;
        check_domain(config)?;
        let age_seconds = config.age.as_secs();
        if !(1..=AGE_SECONDS_MAX).contains(&age_seconds) {
            return Err(refusal(format!(
                "--session-age must be 1 to {AGE_SECONDS_MAX} seconds, not {age_seconds}"
            )));
        }
        let keys = std::iter::once(&config.secret_key).chain(&config.fallbacks);
        let prefixed = has_prefix(config, "__Secure-") || has_prefix(config, "__Host-");
        let always = prefixed || config.same_site == SameSite::None;
        Ok(Self {
            keys: keys.map(|key| SigningKey::new(key.expose())).collect(),
            cookie_name: config.cookie_name.clone(),
            age_seconds,
            attributes: attributes(config, age_seconds),
            secure: if always { Secure::Always } else { Secure::OnHttps },
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

fn attributes(config: &SessionConfig, age_seconds: u64) -> String {
    let mut attributes = String::new();
    if !config.expire_at_browser_close {
        attributes += &format!("; Max-Age={age_seconds}");
    }
    if let Some(domain) = &config.domain {
        attributes += &format!("; Domain={domain}");
    }
    attributes + "; Path=/; HttpOnly; SameSite=" + config.same_site.as_str()
}

fn refusal(sentence: impl Into<String>) -> InvalidSessionConfig {
    InvalidSessionConfig(sentence.into())
}

fn check_key(setting: &str, key: &Secret) -> Result<(), InvalidSessionConfig> {
    let characters = key.expose().chars().count();
    if characters < SECRET_KEY_CHARACTERS_MIN {
        return Err(refusal(format!(
            "{setting} must have {SECRET_KEY_CHARACTERS_MIN} characters or more, not {characters}; \
             `openssl rand -hex 32` makes one"
        )));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), InvalidSessionConfig> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(token) {
        return Err(refusal(format!(
            "--session-cookie-name must be 1 to {NAME_BYTES_MAX} letters, digits, `-` or `_`"
        )));
    }
    Ok(())
}

/// Browsers hold a cookie of such a name to its promises, in any case.
fn has_prefix(config: &SessionConfig, prefix: &str) -> bool {
    config.cookie_name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn check_domain(config: &SessionConfig) -> Result<(), InvalidSessionConfig> {
    let Some(domain) = &config.domain else { return Ok(()) };
    if has_prefix(config, "__Host-") {
        return Err(refusal(
            "--session-cookie-domain contradicts --session-cookie-name: browsers refuse a `__Host-` cookie \
             that has a domain; leave one of them out",
        ));
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let labels = domain.strip_prefix('.').unwrap_or(domain).split('.');
    let sound = labels.clone().all(|label| !label.is_empty() && label.bytes().all(letter));
    if !sound || domain.len() > DOMAIN_BYTES_MAX {
        return Err(refusal(
            "--session-cookie-domain must be a domain name such as `example.com`, without scheme, port or path",
        ));
    }
    Ok(())
}
