//! What the operator decides about JSON Web Tokens. Contradictions stop the start.

use std::sync::Arc;
use std::time::Duration;

use shared::secret::Secret;

use super::algorithm::{Family, JwtAlgorithm};
use super::key::VerifyingKey;
use super::key_set::KeySet;
use super::key_source::{KeySetPlace, SET_BYTES_MAX};
use super::pem;
use crate::identity::InvalidIdentityConfig;

/// Clocks of machines that tell the time by NTP differ by less.
pub const LEEWAY_DEFAULT: Duration = Duration::from_secs(10);
const LEEWAY_MAX: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// What may sign; the token's header only picks one of them.
    pub algorithms: Vec<JwtAlgorithm>,
    pub keys: JwtKeys,
    /// A token must be from one of them; any, if there are none.
    pub issuers: Vec<String>,
    /// A token must be for one of them; if there are none, it must name none.
    pub audiences: Vec<String>,
    /// How far the issuer's clock may differ from ours.
    pub leeway: Duration,
    /// The claim that holds the user's id.
    pub user_claim: String,
    /// The word before the token.
    pub scheme: String,
    pub preset: Option<JwtPreset>,
}

/// Tokens of a well-known kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtPreset {
    /// Access tokens of djangorestframework-simplejwt.
    SimpleJwt,
}

#[derive(Clone, Debug)]
pub enum JwtKeys {
    Given(GivenKeys),
    Set(KeySetPlace),
}

/// A secret or public keys, from the settings.
#[derive(Clone, Debug)]
pub struct GivenKeys(pub(super) Arc<Vec<VerifyingKey>>);

impl JwtPreset {
    #[must_use]
    pub fn algorithms(self) -> Vec<JwtAlgorithm> {
        match self {
            Self::SimpleJwt => vec![JwtAlgorithm::Hs256],
        }
    }

    #[must_use]
    pub fn user_claim(self) -> &'static str {
        match self {
            Self::SimpleJwt => "user_id",
        }
    }

    pub(super) fn required(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Self::SimpleJwt => &[("token_type", Some("access")), ("jti", None)],
        }
    }

    pub(super) fn password_claim(self) -> &'static str {
        match self {
            Self::SimpleJwt => "hash_password",
        }
    }
}

impl GivenKeys {
    /// The value of `setting`: PEM with public keys, or else a secret.
    ///
    /// # Errors
    /// Neither can be used; one sentence with the setting and the remedy.
    pub fn parse(setting: &str, text: &Secret) -> Result<Self, InvalidIdentityConfig> {
        let text = text.expose();
        if pem::is_pem(text) {
            let keys = pem::public_keys(text);
            return keys
                .map(|keys| Self(Arc::new(keys)))
                .map_err(|error| refusal(format!("{setting} {error}")));
        }
        // A public key that was taken for a secret would let everybody sign.
        if ["ssh-", "ecdsa-sha2-", "{", "<RSA"].iter().any(|start| text.trim_start().starts_with(start)) {
            return Err(refusal(format!(
                "{setting} looks like a public key that is no PEM; write it as PEM, or name a JSON Web Key Set in \
                 --jwt-jwks"
            )));
        }
        let key = VerifyingKey::secret(text.as_bytes()).map_err(|error| {
            refusal(format!("{setting} {error}; `openssl rand -hex 32` makes a secret that is long enough"))
        })?;
        Ok(Self(Arc::new(vec![key])))
    }
}

impl JwtConfig {
    /// # Errors
    /// The first setting that is refused, as a sentence for the operator.
    pub fn check(&self) -> Result<(), InvalidIdentityConfig> {
        if self.algorithms.is_empty() {
            return Err(refusal(
                "--jwt-algorithms names none; name what the issuer signs with, such as `RS256`: a token's own word \
                 does not count",
            ));
        }
        self.check_keys()?;
        if self.leeway > LEEWAY_MAX {
            return Err(refusal(format!(
                "--jwt-leeway is more than {} s, so that tokens would live on after their end; set the clocks right",
                LEEWAY_MAX.as_secs()
            )));
        }
        if self.user_claim.is_empty() {
            return Err(refusal(
                "--jwt-user-claim is empty; name the claim that holds the user's id, such as `sub`",
            ));
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if self.scheme.is_empty() || !self.scheme.bytes().all(letter) {
            return Err(refusal("--jwt-scheme must be one word, such as `Bearer`"));
        }
        if [&self.issuers, &self.audiences].iter().any(|names| names.iter().any(String::is_empty)) {
            return Err(refusal("--jwt-issuer or --jwt-audience holds an empty name; remove it"));
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), InvalidIdentityConfig> {
        match &self.keys {
            JwtKeys::Given(GivenKeys(keys)) => self.check_given(keys),
            JwtKeys::Set(place) => {
                if self.algorithms.iter().any(|algorithm| algorithm.family() == Family::Secret) {
                    return Err(refusal(
                        "--jwt-algorithms names an HS algorithm beside --jwt-jwks: everybody may read those keys, \
                         so that everybody could sign; remove one of them",
                    ));
                }
                match place {
                    KeySetPlace::File(path) => self.check_file(path),
                    KeySetPlace::Url(_) => Ok(()),
                }
            }
        }
    }

    /// Each algorithm has a key, and each key an algorithm.
    fn check_given(&self, keys: &[VerifyingKey]) -> Result<(), InvalidIdentityConfig> {
        for algorithm in &self.algorithms {
            if !keys.iter().any(|key| key.family() == algorithm.family()) {
                return Err(refusal(match algorithm.family() {
                    Family::Secret => format!(
                        "--jwt-algorithms names {algorithm}, but --jwt-key is a public key: whoever knows it could \
                         sign; remove {algorithm}, or give the secret that the issuer shares with nobody else"
                    ),
                    _ => format!(
                        "--jwt-algorithms names {algorithm}, for which --jwt-key holds no public key; add the key or \
                         remove {algorithm}"
                    ),
                }));
            }
        }
        let has_algorithm =
            |key: &VerifyingKey| self.algorithms.iter().any(|algorithm| algorithm.family() == key.family());
        if keys.iter().all(has_algorithm) {
            return Ok(());
        }
        Err(refusal(
            "--jwt-key holds a key that none of --jwt-algorithms uses; remove it, or name its algorithm",
        ))
    }

    /// A file is there before the start, or never.
    fn check_file(&self, path: &std::path::Path) -> Result<(), InvalidIdentityConfig> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string());
        let set = bytes.and_then(|bytes| {
            if bytes.len() > SET_BYTES_MAX {
                return Err(format!("is larger than {SET_BYTES_MAX} bytes"));
            }
            KeySet::parse(&bytes, &self.algorithms)
        });
        set.map(|_| ()).map_err(|reason| {
            refusal(format!(
                "--jwt-jwks {}: {reason}; name a file with the issuer's public keys",
                path.display()
            ))
        })
    }
}

fn refusal(sentence: impl Into<String>) -> InvalidIdentityConfig {
    InvalidIdentityConfig::new(sentence)
}
