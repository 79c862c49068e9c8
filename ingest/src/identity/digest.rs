//! Whose activities wait in a browser's queue, told without telling who.
//!
//! A queue can outlive a log-out. Every 2xx answer carries the digest of its
//! sender, the client notes it beside what it queues, and sends it along with
//! each item: an item of somebody else is stored without user and session.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;
use shared::event::{SessionId, UserId};

use super::session_cookie::SessionConfig;

/// Keeps these apart from whatever else the same key signs.
const PURPOSE: &[u8] = b"djaffar identity digest, version 1\0";
/// 128 bits: nobody meets another's by chance.
const DIGEST_BYTES: usize = 16;
const DIGEST_CHARACTERS: usize = 22;

/// A keyed digest of (session, user), as base64url: opaque, and useless without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityDigest([u8; DIGEST_CHARACTERS]);

impl IdentityDigest {
    #[must_use]
    pub fn is(&self, claimed: &str) -> bool {
        self.0 == claimed.as_bytes()
    }

    #[must_use]
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("base64url is visible ASCII")
    }
}

/// Makes digests. Two of these with the same keys agree.
#[derive(Clone)]
pub struct IdentityDigests {
    key: Hmac<Sha256>,
    fallbacks: Vec<Hmac<Sha256>>,
}

impl IdentityDigests {
    #[must_use]
    pub fn new(config: &SessionConfig) -> Self {
        let key = |secret: &shared::secret::Secret| {
            let mut state = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
                .expect("HMAC takes a key of any length");
            state.update(PURPOSE);
            state
        };
        Self { key: key(&config.secret_key), fallbacks: config.fallbacks.iter().map(key).collect() }
    }

    /// What an answer to this sender carries.
    #[must_use]
    pub fn digest(&self, session: Option<&SessionId>, user: Option<&UserId>) -> IdentityDigest {
        digest(&self.key, session, user)
    }

    /// What this sender's items may carry: an answer may date from before a rotation of keys.
    pub fn all(&self, session: Option<&SessionId>, user: Option<&UserId>) -> Vec<IdentityDigest> {
        std::iter::once(&self.key).chain(&self.fallbacks).map(|key| digest(key, session, user)).collect()
    }
}

fn digest(key: &Hmac<Sha256>, session: Option<&SessionId>, user: Option<&UserId>) -> IdentityDigest {
    let mut state = key.clone();
    // No text holds U+0000, so that it ends the session and a user cannot pass for a part of it.
    state.update(session.map_or("", SessionId::as_str).as_bytes());
    state.update(b"\0");
    state.update(user.map_or("", UserId::as_str).as_bytes());
    let bytes = state.finalize().into_bytes();
    let mut digest = [0; DIGEST_CHARACTERS];
    let written = URL_SAFE_NO_PAD.encode_slice(&bytes[..DIGEST_BYTES], &mut digest);
    debug_assert_eq!(written, Ok(DIGEST_CHARACTERS));
    IdentityDigest(digest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::secret::Secret;

    use super::*;
    use crate::identity::SameSite;

    fn digests(secret_key: &str, fallbacks: &[&str]) -> IdentityDigests {
        IdentityDigests::new(&SessionConfig {
            secret_key: Secret::new(secret_key),
            fallbacks: fallbacks.iter().map(|key| Secret::new(*key)).collect(),
            cookie_name: "djaffar_session".to_owned(),
            domain: None,
            same_site: SameSite::Lax,
            age: Duration::from_secs(60),
            expire_at_browser_close: false,
        })
    }

    fn session(text: &str) -> SessionId {
        SessionId::new(text).expect("a session id")
    }

    fn user(text: &str) -> UserId {
        UserId::new(text).expect("a user id")
    }

    #[test]
    fn a_digest_is_of_one_session_and_one_user() {
        let digests = digests("one", &[]);
        let all = [
            digests.digest(Some(&session("a")), None),
            digests.digest(Some(&session("b")), None),
            digests.digest(Some(&session("a")), Some(&user("b"))),
            digests.digest(Some(&session("a")), Some(&user("c"))),
            digests.digest(Some(&session("ab")), None),
            digests.digest(None, None),
        ];
        for (position, one) in all.iter().enumerate() {
            assert!(all.iter().skip(position + 1).all(|other| other != one));
        }
        let again = digests.digest(Some(&session("a")), None);
        assert!(again.is(all[0].header().to_str().expect("text")));
        assert!(!again.is(""));
    }

    #[test]
    fn digests_from_before_a_rotation_still_count() {
        let before = digests("one", &[]).digest(Some(&session("a")), None);
        let rotated = digests("two", &["one"]);
        assert_ne!(rotated.digest(Some(&session("a")), None), before);
        assert!(rotated.all(Some(&session("a")), None).contains(&before));
        assert!(!digests("two", &[]).all(Some(&session("a")), None).contains(&before));
    }
}
