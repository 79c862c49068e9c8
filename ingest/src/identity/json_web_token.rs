//! JSON Web Tokens: whose keys have signed them, and what they say.
//!
//! Rule of safety: nothing in a token decides how it is verified. Its `alg` must
//! be a configured one, its `kid` only finds a key among those that are there, and
//! its claims are read after the signature is found right. A verdict is remembered
//! by the token's SHA-256 and never beyond the token's own end. Held by the tests
//! beside this file, among them tokens of the real PyJWT and simplejwt.

mod algorithm;
mod claims;
mod compact;
mod config;
mod key;
mod key_set;
mod key_source;
mod pem;
mod refusal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use data_encoding::HEXUPPER;
use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::claims::{Accepted, ClaimRules};
use self::compact::CompactToken;
use self::key::VerifyingKey;
use self::key_set::KeySet;
use self::key_source::{FetchedSet, KeySource};
use self::refusal::Refusal;
use super::accounts::Accounts;
use super::authorization::{TOKEN_BYTES_MAX, TokenVerdict};
use super::look_up::{LookUpConfig, Remember, Remembered, Unreachable};

pub use self::algorithm::JwtAlgorithm;
pub use self::config::{GivenKeys, JwtConfig, JwtKeys, JwtPreset, LEEWAY_DEFAULT};
pub use self::key_source::KeySetPlace;

pub(crate) struct JsonWebTokens {
    config: JwtConfig,
    keys: KeySource,
    rules: ClaimRules,
    /// Django's users, for the preset of a Django package.
    accounts: Option<Arc<Accounts>>,
    known: Remembered<[u8; 32], Known>,
}

/// What is known of a token that some key has been asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    verdict: TokenVerdict,
    /// Seconds since 1970 from which on a good token is none.
    ends: i64,
}

impl Remember for Known {
    fn is_positive(&self) -> bool {
        self.verdict.is_positive()
    }
}

/// The keys that may have signed a token.
enum Candidates {
    Given(Arc<Vec<VerifyingKey>>),
    Set(Arc<KeySet>),
}

impl JsonWebTokens {
    /// From a configuration that [`JwtConfig::check`] has found sound.
    pub(crate) fn new(config: JwtConfig, accounts: Option<Arc<Accounts>>, look_up: &LookUpConfig) -> Self {
        let keys = match &config.keys {
            JwtKeys::Given(GivenKeys(keys)) => KeySource::Given(Arc::clone(keys)),
            JwtKeys::Set(place) => {
                KeySource::Set(FetchedSet::new(place.clone(), look_up.timeout, &config.algorithms))
            }
        };
        let rules = ClaimRules {
            issuers: config.issuers.clone(),
            audiences: config.audiences.clone(),
            leeway_seconds: i64::try_from(config.leeway.as_secs()).unwrap_or(i64::MAX),
            user_claim: config.user_claim.clone(),
            required: config.preset.map_or(&[], JwtPreset::required),
            password_claim: config.preset.map(JwtPreset::password_claim),
        };
        let accounts = accounts.filter(|_| config.preset.is_some());
        Self { keys, rules, accounts, known: Remembered::new("jwt", look_up), config }
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.config.scheme
    }

    pub(crate) fn describe(&self) -> String {
        let names: Vec<_> = self.config.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let kind = match self.config.preset {
            Some(JwtPreset::SimpleJwt) => "access tokens of simplejwt",
            None => "JSON Web Tokens",
        };
        let keys = match &self.config.keys {
            JwtKeys::Given(_) => "the given key".to_owned(),
            JwtKeys::Set(place) => format!("the keys at {place}"),
        };
        format!(
            "{kind} (`Authorization: {} ...`), {} with {keys}, user in `{}`",
            self.scheme(),
            names.join(" or "),
            self.config.user_claim
        )
    }

    pub(crate) async fn probe(&self) -> Result<String, Unreachable> {
        if let Some(accounts) = &self.accounts {
            accounts.probe().await?;
        }
        let keys = match &self.keys {
            KeySource::Given(keys) if keys.len() == 1 => "1 key".to_owned(),
            KeySource::Given(keys) => format!("{} keys", keys.len()),
            KeySource::Set(set) => set.probe().await?,
        };
        let users = if self.accounts.is_some() { "; users must be active" } else { "" };
        let open = match &self.config.keys {
            JwtKeys::Set(KeySetPlace::Url(url)) if url.scheme_str() == Some("http") => {
                "; they come over plain http: whoever can change them on their way can name any user"
            }
            _ => "",
        };
        Ok(format!("{keys}{users}{open}"))
    }

    pub(crate) async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<TokenVerdict, Unreachable> {
        if token.len() > TOKEN_BYTES_MAX {
            return Ok(self.refused(Refusal::Malformed));
        }
        let digest = Sha256::digest(token).into();
        let known = match self.known.remembered(&digest).await {
            Some(known) => known,
            None => {
                let Some(token) = CompactToken::parse(token, &self.config.algorithms) else {
                    return Ok(self.refused(Refusal::Malformed));
                };
                // Not remembered: the key of a token that is refused for its sake may be published soon.
                let Some(candidates) = self.candidates(&token, now).await? else {
                    return Ok(self.refused(Refusal::Signature));
                };
                self.known.get(&digest, || self.judge(token, candidates, now)).await?
            }
        };
        let is_over = known.is_positive() && known.ends <= now.timestamp();
        Ok(if is_over { self.refused(Refusal::Expired) } else { known.verdict })
    }

    async fn candidates(
        &self,
        token: &CompactToken<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<Candidates>, Unreachable> {
        match &self.keys {
            KeySource::Given(keys) => Ok(Some(Candidates::Given(Arc::clone(keys)))),
            KeySource::Set(set) => {
                let set = set.find(token.algorithm, token.key_id.as_deref(), now).await?;
                Ok(set.map(Candidates::Set))
            }
        }
    }

    async fn judge(
        &self,
        token: CompactToken<'_>,
        candidates: Candidates,
        now: DateTime<Utc>,
    ) -> Result<Known, Unreachable> {
        if !candidates.have_signed(&token) {
            return Ok(Known { verdict: self.refused(Refusal::Signature), ends: 0 });
        }
        let accepted = match self.rules.check(&token.claims, now) {
            Ok(accepted) => accepted,
            Err(refusal) => return Ok(Known { verdict: self.refused(refusal), ends: 0 }),
        };
        let refusal = match &self.accounts {
            Some(accounts) => refusal_of_account(accounts, &accepted).await?,
            None => None,
        };
        let verdict =
            refusal.map_or(TokenVerdict::Verified(Some(accepted.user)), |refusal| self.refused(refusal));
        Ok(Known { verdict, ends: accepted.ends })
    }

    fn refused(&self, refusal: Refusal) -> TokenVerdict {
        TokenVerdict::Refused(match self.config.preset {
            Some(JwtPreset::SimpleJwt) => refusal.simplejwt_detail(),
            None => refusal.detail(),
        })
    }
}

impl Candidates {
    fn have_signed(&self, token: &CompactToken<'_>) -> bool {
        let verifies = |key: &VerifyingKey| key.verifies(token.algorithm, token.message, &token.signature);
        match self {
            Self::Given(keys) => keys.iter().any(verifies),
            Self::Set(set) => set.find(token.algorithm, token.key_id.as_deref()).any(verifies),
        }
    }
}

/// The site's own view of the user: there, active, and with the password that the token was made under.
async fn refusal_of_account(
    accounts: &Accounts,
    accepted: &Accepted,
) -> Result<Option<Refusal>, Unreachable> {
    let Some(account) = accounts.find(accepted.user.as_str()).await? else {
        return Ok(Some(Refusal::UserUnknown));
    };
    if !account.is_active {
        return Ok(Some(Refusal::UserInactive));
    }
    let Some(digest) = &accepted.password_digest else { return Ok(None) };
    // simplejwt's own digest; it is compared, never relied on.
    let expected = HEXUPPER.encode(&Md5::digest(&account.password));
    let is_same: bool = expected.as_bytes().ct_eq(digest.as_bytes()).into();
    Ok((!is_same).then_some(Refusal::PasswordChanged))
}
