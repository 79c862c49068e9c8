//! Public keys as PEM: what `openssl pkey -pubout` writes, one after another.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use spki::der::asn1::UintRef;
use spki::der::{Decode, Reader, SliceReader};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::algorithm::Family;
use super::key::{InvalidKey, VerifyingKey};

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What is wrong with a PEM; follows the name of the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPem {
    #[error("holds a private key, which has no business here; `openssl pkey -pubout` writes the public one")]
    Private,
    #[error("holds a certificate; `openssl x509 -pubkey -noout` writes its public key")]
    Certificate,
    #[error("holds a PEM block of another kind than `PUBLIC KEY` or `RSA PUBLIC KEY`")]
    OtherKind,
    #[error("holds a PEM block that is cut off or is not base64 of a public key")]
    Broken,
    #[error("holds a key that {0}")]
    Key(#[from] InvalidKey),
}

pub(super) fn is_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

/// All keys of the text, one at least.
pub(super) fn public_keys(text: &str) -> Result<Vec<VerifyingKey>, InvalidPem> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let (label, body) = begun.split_once(DASHES).ok_or(InvalidPem::Broken)?;
        let end = format!("{DASHES}END {label}{DASHES}");
        let (body, after) = body.split_once(&end).ok_or(InvalidPem::Broken)?;
        let base64: String = body.split_ascii_whitespace().collect();
        let parse = match label {
            "PUBLIC KEY" => subject_public_key,
            "RSA PUBLIC KEY" => rsa_public_key,
            "CERTIFICATE" => return Err(InvalidPem::Certificate),
            label if label.contains("PRIVATE") => return Err(InvalidPem::Private),
            _ => return Err(InvalidPem::OtherKind),
        };
        keys.push(parse(&STANDARD.decode(base64).map_err(|_| InvalidPem::Broken)?)?);
        rest = after;
    }
    if keys.is_empty() { Err(InvalidPem::Broken) } else { Ok(keys) }
}

/// X.509's `SubjectPublicKeyInfo`.
fn subject_public_key(der: &[u8]) -> Result<VerifyingKey, InvalidPem> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| InvalidPem::Broken)?;
    let key = info.subject_public_key.as_bytes().ok_or(InvalidPem::Broken)?;
    if info.algorithm.oid == RSA {
        return rsa_public_key(key);
    }
    if info.algorithm.oid == ED25519 {
        return Ok(VerifyingKey::ed25519(key)?);
    }
    let curve = info.algorithm.parameters_oid().ok().filter(|_| info.algorithm.oid == ELLIPTIC);
    let family = match curve {
        Some(P256) => Family::P256,
        Some(P384) => Family::P384,
        _ => return Err(InvalidKey::Unsupported.into()),
    };
    Ok(VerifyingKey::elliptic(family, key)?)
}

/// PKCS #1's `RSAPublicKey`.
fn rsa_public_key(der: &[u8]) -> Result<VerifyingKey, InvalidPem> {
    let numbers = SliceReader::new(der).and_then(|mut reader| {
        let numbers = reader.sequence(|inner| Ok((UintRef::decode(inner)?, UintRef::decode(inner)?)))?;
        reader.finish(numbers)
    });
    let (modulus, exponent) = numbers.map_err(|_| InvalidPem::Broken)?;
    Ok(VerifyingKey::rsa(modulus.as_bytes(), exponent.as_bytes())?)
}
