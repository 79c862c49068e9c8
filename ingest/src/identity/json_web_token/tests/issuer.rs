//! Somebody who signs tokens, with the real algorithms.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaEncoding, RsaKeyPair,
};
use ring::{hmac, rand};
use serde_json::{Value, json};
use shared::event::UserId;
use shared::secret::Secret;

use crate::identity::authorization::TokenVerdict;
use crate::identity::json_web_token::{
    GivenKeys, JsonWebTokens, JwtAlgorithm, JwtConfig, JwtKeys, LEEWAY_DEFAULT,
};
use crate::identity::look_up::LookUpConfig;

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn now() -> DateTime<Utc> {
    at(0)
}

/// So many seconds later.
pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(NOW + seconds, 0).expect("a date")
}

pub(super) struct Issuer {
    pub(super) algorithm: JwtAlgorithm,
    key: SigningKey,
}

enum SigningKey {
    Secret(hmac::Key),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Elliptic(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl Issuer {
    pub(super) fn new(algorithm: JwtAlgorithm) -> Self {
        let random = SystemRandom::new();
        let secret = |digest| SigningKey::Secret(hmac::Key::new(digest, SECRET.as_bytes()));
        // Made by `openssl genpkey` for these tests alone: ring makes no RSA keys.
        let rsa = |encoding| {
            let pair = RsaKeyPair::from_pkcs8(include_bytes!("throw_away_rsa.pk8")).expect("a key");
            SigningKey::Rsa(Box::new(pair), encoding)
        };
        let elliptic = |kind| {
            let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
            SigningKey::Elliptic(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("a key"))
        };
        let key = match algorithm {
            JwtAlgorithm::Hs256 => secret(hmac::HMAC_SHA256),
            JwtAlgorithm::Hs384 => secret(hmac::HMAC_SHA384),
            JwtAlgorithm::Hs512 => secret(hmac::HMAC_SHA512),
            JwtAlgorithm::Rs256 => rsa(&signature::RSA_PKCS1_SHA256),
            JwtAlgorithm::Rs384 => rsa(&signature::RSA_PKCS1_SHA384),
            JwtAlgorithm::Rs512 => rsa(&signature::RSA_PKCS1_SHA512),
            JwtAlgorithm::Ps256 => rsa(&signature::RSA_PSS_SHA256),
            JwtAlgorithm::Ps384 => rsa(&signature::RSA_PSS_SHA384),
            JwtAlgorithm::Ps512 => rsa(&signature::RSA_PSS_SHA512),
            JwtAlgorithm::Es256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
            JwtAlgorithm::Es384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
            JwtAlgorithm::EdDsa => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
                SigningKey::Edwards(Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key"))
            }
        };
        Self { algorithm, key }
    }

    /// A token of user 7 that lives for a minute, with these claims besides or instead; `null` takes one away.
    pub(super) fn token(&self, changes: Value) -> String {
        self.token_with(json!({}), changes)
    }

    pub(super) fn token_with(&self, header_changes: Value, claim_changes: Value) -> String {
        let header = changed(json!({"alg": self.algorithm.name(), "typ": "JWT"}), header_changes);
        let claims = changed(json!({"sub": "7", "exp": NOW + 60}), claim_changes);
        self.sign(&header.to_string(), &claims.to_string())
    }

    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }

    pub(super) fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match &self.key {
            SigningKey::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
            SigningKey::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).expect("a signature");
                signature
            }
            SigningKey::Elliptic(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            SigningKey::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// What the verifier is given: the secret, or the public key as PEM.
    pub(super) fn public(&self) -> String {
        match &self.key {
            SigningKey::Secret(_) => SECRET.to_owned(),
            SigningKey::Rsa(pair, _) => pem("RSA PUBLIC KEY", pair.public_key().as_ref()),
            SigningKey::Elliptic(pair) => {
                let start: &[u8] = if self.algorithm == JwtAlgorithm::Es256 { P256_INFO } else { P384_INFO };
                pem("PUBLIC KEY", &[start, pair.public_key().as_ref()].concat())
            }
            SigningKey::Edwards(pair) => {
                pem("PUBLIC KEY", &[ED25519_INFO, pair.public_key().as_ref()].concat())
            }
        }
    }

    /// The public key as an entry of a set.
    pub(super) fn jwk(&self, id: &str) -> Value {
        let mut jwk = match &self.key {
            SigningKey::Secret(_) => json!({"kty": "oct", "k": encode(SECRET)}),
            SigningKey::Rsa(pair, _) => {
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": encode(public.n), "e": encode(public.e)})
            }
            SigningKey::Elliptic(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.algorithm == JwtAlgorithm::Es256 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            SigningKey::Edwards(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())})
            }
        };
        jwk["kid"] = json!(id);
        jwk
    }

    pub(super) fn config(&self) -> JwtConfig {
        config(&[self.algorithm], &self.public())
    }

    pub(super) fn verifier(&self) -> JsonWebTokens {
        verifier(self.config())
    }
}

pub(super) fn config(algorithms: &[JwtAlgorithm], key: &str) -> JwtConfig {
    JwtConfig {
        algorithms: algorithms.to_vec(),
        keys: JwtKeys::Given(GivenKeys::parse("--jwt-key", &Secret::new(key)).expect("a key")),
        issuers: vec![],
        audiences: vec![],
        leeway: LEEWAY_DEFAULT,
        user_claim: "sub".to_owned(),
        scheme: "Bearer".to_owned(),
        preset: None,
    }
}

pub(super) fn verifier(config: JwtConfig) -> JsonWebTokens {
    config.check().expect("a sound configuration");
    JsonWebTokens::new(config, None, &patient())
}

/// Deadlines that a busy machine keeps.
pub(super) fn patient() -> LookUpConfig {
    LookUpConfig { timeout: Duration::from_secs(30), ..LookUpConfig::default() }
}

pub(super) fn user(id: &str) -> TokenVerdict {
    TokenVerdict::Verified(UserId::new(id).ok())
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What stands before the point in `SubjectPublicKeyInfo`.
const P256_INFO: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const P384_INFO: &[u8] =
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
const ED25519_INFO: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn changed(mut object: Value, changes: Value) -> Value {
    let members = object.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}
