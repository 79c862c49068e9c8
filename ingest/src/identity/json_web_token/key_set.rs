//! A JSON Web Key Set (RFC 7517) and which of its keys may verify a token.
//!
//! Rule of safety: a key serves the algorithms of its `kty` and `crv`, only the
//! one that its `alg` names, and none when `use` or `key_ops` says otherwise. A
//! secret (`oct`) never serves: whoever can read the set could sign. `kid` finds
//! a key in the set and does nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::algorithm::{Family, JwtAlgorithm};
use super::key::VerifyingKey;

/// A token without a `kid` is tried with every key that fits: more would make refusals dear.
const KEYS_MAX: usize = 64;

/// The keys of a set that serve one of the configured algorithms; one at least.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Entry>,
    /// Keys that serve none of them.
    others: usize,
}

#[derive(Debug)]
struct Entry {
    id: Option<String>,
    algorithms: Vec<JwtAlgorithm>,
    key: VerifyingKey,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The members that matter; base64url where they are numbers or points.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private part, which nobody may publish.
    d: Option<IgnoredAny>,
}

impl KeySet {
    /// `algorithms` are the configured ones. The error follows the name of the source.
    pub(super) fn parse(json: &[u8], algorithms: &[JwtAlgorithm]) -> Result<Self, String> {
        let document: Document<'_> = serde_json::from_slice(json)
            .map_err(|_| "is no JSON Web Key Set, an object with a list of `keys`".to_owned())?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("holds {} keys, more than {KEYS_MAX}", document.keys.len()));
        }
        let total = document.keys.len();
        // A key of an unknown kind is ignored (RFC 7517, 5): the next one may be of use.
        let keys: Vec<_> = document.keys.into_iter().filter_map(|jwk| Entry::new(jwk, algorithms)).collect();
        if keys.is_empty() {
            let names: Vec<_> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
            return Err(format!("holds {total} keys, but none that verifies {}", names.join(" or ")));
        }
        Ok(Self { others: total - keys.len(), keys })
    }

    /// The keys that may have signed such a token.
    pub(super) fn find(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
    ) -> impl Iterator<Item = &VerifyingKey> {
        self.keys
            .iter()
            .filter(move |entry| {
                entry.algorithms.contains(&algorithm) && (id.is_none() || entry.id.as_deref() == id)
            })
            .map(|entry| &entry.key)
    }

    /// For the operator.
    pub(super) fn describe(&self) -> String {
        let used = match self.keys.len() {
            1 => "1 key".to_owned(),
            count => format!("{count} keys"),
        };
        match self.others {
            0 => used,
            others => format!("{used} of use and {others} of none"),
        }
    }
}

impl Entry {
    fn new(json: &RawValue, configured: &[JwtAlgorithm]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_str(json.get()).ok()?;
        let is_for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let may_verify =
            jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        if !is_for_signatures || !may_verify || jwk.d.is_some() {
            return None;
        }
        let key = jwk.key()?;
        let mut algorithms = configured.to_vec();
        algorithms.retain(|algorithm| {
            algorithm.family() == key.family()
                && jwk.alg.as_deref().is_none_or(|name| name == algorithm.name())
        });
        (!algorithms.is_empty()).then_some(Self { id: jwk.kid, algorithms, key })
    }
}

impl Jwk {
    fn key(&self) -> Option<VerifyingKey> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => VerifyingKey::rsa(&bytes(&self.n)?, &bytes(&self.e)?).ok(),
            ("EC", Some("P-256")) => self.elliptic(Family::P256),
            ("EC", Some("P-384")) => self.elliptic(Family::P384),
            ("OKP", Some("Ed25519")) => VerifyingKey::ed25519(&bytes(&self.x)?).ok(),
            _ => None,
        }
    }

    fn elliptic(&self, family: Family) -> Option<VerifyingKey> {
        let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
        // Both halves are of full length (RFC 7518, 6.2.1.2), else the point would be another one.
        let point = (x.len() == y.len()).then(|| [&[4], x.as_slice(), y.as_slice()].concat())?;
        VerifyingKey::elliptic(family, &point).ok()
    }
}

fn bytes(member: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(member.as_ref()?).ok()
}
