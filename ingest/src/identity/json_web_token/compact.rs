//! A token's three parts (RFC 7515, 7.1), before anybody has verified anything.
//!
//! Rule of safety: each token has one spelling and one meaning. Base64url is
//! canonical and without padding, no member of header or claims comes twice, and
//! what the header does not understand (`crit`) or offers as a key (`jku`, `x5u`,
//! `jwk`, `x5c`) is refused or ignored. Held by the tests beside this file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::algorithm::JwtAlgorithm;

/// The parts, decoded; the claims are still only bytes.
pub(super) struct CompactToken<'a> {
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key_id: Option<String>,
    /// What is signed.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
    pub(super) claims: Vec<u8>,
}

impl<'a> CompactToken<'a> {
    /// `None` for anything that no key needs to be asked about.
    pub(super) fn parse(token: &'a str, algorithms: &[JwtAlgorithm]) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Members<'_> = serde_json::from_slice(&header).ok()?;
        if header.contains("crit") {
            return None;
        }
        let name: Cow<'_, str> = header.text("alg")??;
        let algorithm = *algorithms.iter().find(|algorithm| algorithm.name() == name)?;
        Some(Self {
            algorithm,
            key_id: header.text("kid")?.map(Cow::into_owned),
            message: message.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            claims: URL_SAFE_NO_PAD.decode(claims).ok()?,
        })
    }
}

/// The members of a JSON object, each once; what they hold is not yet read.
pub(super) struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Members<'a> {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The member's value; `None` without one, `Some(None)` when it is of another type.
    pub(super) fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<Option<T>> {
        self.0.get(name).map(|value| serde_json::from_str(value.get()).ok())
    }

    /// `Some(None)` without the member, `None` when it is no string.
    fn text(&self, name: &str) -> Option<Option<Cow<'a, str>>> {
        match self.read::<Text<'a>>(name) {
            None => Some(None),
            Some(text) => text.map(|Text(text)| Some(text)),
        }
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member comes twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}
