//! Django's signatures (`django.core.signing`, `django.utils.crypto.salted_hmac`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use shared::secret::Secret;
use subtle::ConstantTimeEq;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// HMAC-SHA256 under a key that salt and `SECRET_KEY` make; the first signs, all verify.
#[derive(Clone)]
pub(super) struct Signer(Vec<Hmac<Sha256>>);

impl Signer {
    pub(super) fn new(salt: &str, secret_key: &Secret, fallbacks: &[Secret]) -> Self {
        let key = |secret: &Secret| {
            let digest = Sha256::new().chain_update(salt).chain_update(secret.expose()).finalize();
            Hmac::<Sha256>::new_from_slice(&digest).expect("HMAC takes a key of any length")
        };
        Self(std::iter::once(secret_key).chain(fallbacks).map(key).collect())
    }

    /// What was signed, of `<signed>:<signature>`.
    pub(super) fn unsign<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (signed, signature) = text.rsplit_once(':')?;
        self.0
            .iter()
            .any(|key| {
                let expected = URL_SAFE_NO_PAD.encode(mac(key, signed.as_bytes()));
                bool::from(expected.as_bytes().ct_eq(signature.as_bytes()))
            })
            .then_some(signed)
    }

    /// Whether `digest` is the hex of the message's HMAC.
    pub(super) fn verifies_hex(&self, message: &[u8], digest: &str) -> bool {
        self.0.iter().any(|key| {
            let expected = HEXLOWER.encode(&mac(key, message));
            bool::from(expected.as_bytes().ct_eq(digest.as_bytes()))
        })
    }

    /// `<payload>:<time>:<signature>`.
    pub(super) fn sign_with_time(&self, payload: &[u8], now: DateTime<Utc>) -> String {
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let signed = format!("{}:{}", URL_SAFE_NO_PAD.encode(payload), base62(seconds));
        format!("{signed}:{}", self.signature(&signed))
    }

    pub(super) fn signature(&self, signed: &str) -> String {
        let signature = self.0.first().map(|key| URL_SAFE_NO_PAD.encode(mac(key, signed.as_bytes())));
        signature.unwrap_or_default()
    }
}

fn mac(key: &Hmac<Sha256>, message: &[u8]) -> [u8; 32] {
    let mut state = key.clone();
    state.update(message);
    state.finalize().into_bytes().into()
}

fn base62(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(char::from(BASE62[(number % 62) as usize]));
        number /= 62;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_base_62() {
        for (number, text) in [(0, "0"), (61, "z"), (62, "10"), (1_700_000_000, "1r31eq")] {
            assert_eq!(base62(number), text);
        }
    }

    #[test]
    fn what_is_signed_verifies_under_every_key() {
        let (one, two) = (Secret::new("one"), Secret::new("two"));
        let old = Signer::new("salt", &one, &[]).sign_with_time(b"{}", DateTime::UNIX_EPOCH);
        assert!(old.starts_with("e30:0:"));
        assert_eq!(Signer::new("salt", &two, std::slice::from_ref(&one)).unsign(&old), Some("e30:0"));
        assert_eq!(Signer::new("salt", &two, &[]).unsign(&old), None);
        assert_eq!(Signer::new("other", &one, &[]).unsign(&old), None);
    }
}
