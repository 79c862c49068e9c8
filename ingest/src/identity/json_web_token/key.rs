//! One key, and whether it has made a signature.
//!
//! Rule of safety: a key answers for the algorithms of its own family and says
//! no to every other: a public key never serves as an HMAC secret.

use std::fmt;

use ring::hmac;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::algorithm::{Family, JwtAlgorithm};

/// What ring verifies: below, a key can be factored; above, each token would cost too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
const RSA_EXPONENT_BYTES_MAX: usize = 4;
/// Shorter secrets can be guessed from one token (RFC 7518, 3.2).
pub(super) const SECRET_BYTES_MIN: usize = 32;

/// Why a text or a JWK is no key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidKey {
    #[error("is a secret of fewer than {SECRET_BYTES_MIN} bytes, which one token is enough to guess")]
    ShortSecret,
    #[error(
        "is an RSA key of fewer than 2048 or more than 8192 bits, or with an odd exponent that nobody uses"
    )]
    Rsa,
    #[error("is no point of its curve, uncompressed")]
    Point,
    #[error("is of a kind that no algorithm here uses")]
    Unsupported,
}

pub(super) struct VerifyingKey(Material);

enum Material {
    /// The secret, as far as each hash function takes it.
    Secret(Box<[hmac::Key; 3]>),
    /// Big-endian, without leading zeros.
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// `04 x y`.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl VerifyingKey {
    pub(super) fn secret(bytes: &[u8]) -> Result<Self, InvalidKey> {
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(InvalidKey::ShortSecret);
        }
        let keys = [hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512];
        Ok(Self(Material::Secret(Box::new(keys.map(|digest| hmac::Key::new(digest, bytes))))))
    }

    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, InvalidKey> {
        let (n, e) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        let is_exponent = is_odd(e) && e != [1] && e.len() <= RSA_EXPONENT_BYTES_MAX;
        if !RSA_BITS.contains(&bits) || !is_odd(n) || !is_exponent {
            return Err(InvalidKey::Rsa);
        }
        Ok(Self(Material::Rsa(RsaPublicKeyComponents { n: n.to_vec(), e: e.to_vec() })))
    }

    /// From an uncompressed point: `04 x y`.
    pub(super) fn elliptic(family: Family, point: &[u8]) -> Result<Self, InvalidKey> {
        let (bytes, material): (usize, fn(Vec<u8>) -> Material) = match family {
            Family::P256 => (65, Material::P256),
            Family::P384 => (97, Material::P384),
            Family::Secret | Family::Rsa | Family::Ed25519 => return Err(InvalidKey::Unsupported),
        };
        if point.len() != bytes || point.first() != Some(&4) {
            return Err(InvalidKey::Point);
        }
        Ok(Self(material(point.to_vec())))
    }

    pub(super) fn ed25519(point: &[u8]) -> Result<Self, InvalidKey> {
        if point.len() != 32 {
            return Err(InvalidKey::Point);
        }
        Ok(Self(Material::Ed25519(point.to_vec())))
    }

    pub(super) fn family(&self) -> Family {
        match &self.0 {
            Material::Secret(_) => Family::Secret,
            Material::Rsa(_) => Family::Rsa,
            Material::P256(_) => Family::P256,
            Material::P384(_) => Family::P384,
            Material::Ed25519(_) => Family::Ed25519,
        }
    }

    pub(super) fn verifies(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let verified = match (&self.0, algorithm) {
            (Material::Secret(keys), JwtAlgorithm::Hs256) => hmac::verify(&keys[0], message, signature),
            (Material::Secret(keys), JwtAlgorithm::Hs384) => hmac::verify(&keys[1], message, signature),
            (Material::Secret(keys), JwtAlgorithm::Hs512) => hmac::verify(&keys[2], message, signature),
            (Material::Rsa(key), algorithm) => match rsa_parameters(algorithm) {
                Some(parameters) => key.verify(parameters, message, signature),
                None => return false,
            },
            (Material::P256(point), JwtAlgorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Material::P384(point), JwtAlgorithm::Es384) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            (Material::Ed25519(point), JwtAlgorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            _ => return false,
        };
        verified.is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({:?}, ***)", self.family())
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn rsa_parameters(algorithm: JwtAlgorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        JwtAlgorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        JwtAlgorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        JwtAlgorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        JwtAlgorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        JwtAlgorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        JwtAlgorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
