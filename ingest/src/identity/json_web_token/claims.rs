//! What a token whose signature is right must say (RFC 7519, RFC 8725). A pure
//! function of the claims and the time.
//!
//! Rule of safety: `exp` is required; a claim that is there is believed only in
//! the type that the RFC gives it. With configured issuers or audiences the token
//! must name one of them; a token that names an audience is refused when none is
//! configured, for then it is meant for somebody else (RFC 7519, 4.1.3). Held by
//! the tests beside this file.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::event::UserId;

use super::compact::Members;
use super::refusal::Refusal;

#[derive(Clone, Debug)]
pub(super) struct ClaimRules {
    pub(super) issuers: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) leeway_seconds: i64,
    pub(super) user_claim: String,
    /// Claims that must hold this text, or anything at all.
    pub(super) required: &'static [(&'static str, Option<&'static str>)],
    /// The claim with a digest of the user's password, which ends with the password.
    pub(super) password_claim: Option<&'static str>,
}

/// Claims that are as they must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) user: UserId,
    /// Seconds since 1970 from which on the token counts no more, leeway included.
    pub(super) ends: i64,
    pub(super) password_digest: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl ClaimRules {
    pub(super) fn check(&self, claims: &[u8], now: DateTime<Utc>) -> Result<Accepted, Refusal> {
        let claims: Members<'_> = serde_json::from_slice(claims).map_err(|_| Refusal::Malformed)?;
        let ends = self.check_times(&claims, now.timestamp())?;
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        for (name, required) in self.required {
            let is_right = match required {
                None => claims.contains(name),
                Some(value) => claims.read::<String>(name).flatten().is_some_and(|found| found == *value),
            };
            if !is_right {
                return Err(Refusal::Claim);
            }
        }
        let password_digest = match self.password_claim.and_then(|claim| claims.read::<String>(claim)) {
            None => None,
            Some(digest) => Some(digest.ok_or(Refusal::Claim)?),
        };
        Ok(Accepted { user: user(&claims, &self.user_claim)?, ends, password_digest })
    }

    /// Seconds since 1970 from which on the token counts no more.
    fn check_times(&self, claims: &Members<'_>, now: i64) -> Result<i64, Refusal> {
        let ends = date(claims, "exp")?.ok_or(Refusal::NoExpiry)?.saturating_add(self.leeway_seconds);
        if ends <= now {
            return Err(Refusal::Expired);
        }
        for begin in ["nbf", "iat"] {
            if date(claims, begin)?.is_some_and(|begin| begin > now.saturating_add(self.leeway_seconds)) {
                return Err(Refusal::NotYet);
            }
        }
        Ok(ends)
    }

    fn check_issuer(&self, claims: &Members<'_>) -> Result<(), Refusal> {
        if self.issuers.is_empty() {
            return Ok(());
        }
        let issuer: Option<String> = claims.read("iss").flatten();
        issuer.filter(|issuer| self.issuers.contains(issuer)).map(|_| ()).ok_or(Refusal::Issuer)
    }

    fn check_audience(&self, claims: &Members<'_>) -> Result<(), Refusal> {
        let named = match claims.read("aud") {
            None if self.audiences.is_empty() => return Ok(()),
            None | Some(None) => return Err(Refusal::Audience),
            Some(Some(OneOrMany::One(audience))) => vec![audience],
            Some(Some(OneOrMany::Many(audiences))) => audiences,
        };
        if named.iter().any(|audience| self.audiences.contains(audience)) {
            Ok(())
        } else {
            Err(Refusal::Audience)
        }
    }
}

/// RFC 7519's NumericDate, in whole seconds.
fn date(claims: &Members<'_>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.read::<f64>(name) {
        None => Ok(None),
        #[expect(clippy::cast_possible_truncation, reason = "saturates: no token lives that long")]
        Some(Some(seconds)) => Ok(Some(seconds.floor() as i64)),
        Some(None) => Err(Refusal::Malformed),
    }
}

/// A text, or a whole number as its digits.
fn user(claims: &Members<'_>, claim: &str) -> Result<UserId, Refusal> {
    let text = claims
        .read::<String>(claim)
        .flatten()
        .or_else(|| claims.read::<i64>(claim).flatten().map(|number| number.to_string()))
        .or_else(|| claims.read::<u64>(claim).flatten().map(|number| number.to_string()));
    text.and_then(|text| UserId::new(text).ok()).ok_or(Refusal::User)
}
