//! Django's protection against requests that another page forges.
//!
//! Rule of safety: a logged-in user's log request counts only when the browser
//! proves that a page of the site sent it, or when it carries the CSRF token that
//! only such a page can know. The steps and their texts are Django's, as Django
//! REST framework reports them. Held by the tests beside this file.

use std::borrow::Cow;

use http::header::{ORIGIN, REFERER};
use subtle::ConstantTimeEq;

use super::super::authenticator::{IdentityError, RequestCredentials};
use super::super::cookie_header;
use super::super::origin::{OriginRule, OriginVerdict};
use crate::http::client_address::Https;

const HEADER: &str = "x-csrftoken";
const FIELD: &str = "csrfmiddlewaretoken";
const SECRET_CHARACTERS: usize = 32;
/// A mask and what it hides.
const MASKED_CHARACTERS: usize = 2 * SECRET_CHARACTERS;

/// `--django-csrf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsrfRule {
    /// The browser's own proof of its origin is enough; without one a token is needed.
    #[default]
    SameOrigin,
    /// A token is always needed, as Django itself does it.
    Strict,
}

pub(super) struct Csrf {
    rule: CsrfRule,
    cookie_name: String,
    origins: OriginRule,
}

impl Csrf {
    pub(super) fn new(rule: CsrfRule, cookie_name: String, origins: OriginRule) -> Self {
        Self { rule, cookie_name, origins }
    }

    /// `session_secret` counts instead of the cookie where the session holds one.
    pub(super) fn check(
        &self,
        request: &RequestCredentials<'_>,
        session_secret: Option<&str>,
    ) -> Result<(), IdentityError> {
        // Django asks no token of a GET either; browsers before 2023 prove nothing when they load an image.
        let is_proven = matches!(request.origin, OriginVerdict::Own | OriginVerdict::Allowed)
            || request.method.is_safe() && request.origin == OriginVerdict::NotABrowser;
        if is_proven && self.rule == CsrfRule::SameOrigin {
            return Ok(());
        }
        self.check_referer(request).and_then(|()| self.check_token(request, session_secret)).map_err(failed)
    }

    /// Over https a page without `Origin` must show by its `Referer` that it is the site's.
    fn check_referer(&self, request: &RequestCredentials<'_>) -> Result<(), &'static str> {
        if request.https == Https::No || request.headers.contains_key(ORIGIN) {
            return Ok(());
        }
        let referer = request.headers.get(REFERER).ok_or("Referer checking failed - no Referer.")?;
        let origin =
            origin_of(referer.as_bytes()).ok_or("Referer checking failed - Referer is malformed.")?;
        if !origin.starts_with("https://") {
            return Err("Referer checking failed - Referer is insecure while host is secure.");
        }
        if self.origins.trusts(origin, request.host) {
            return Ok(());
        }
        Err("Referer checking failed - Referer does not match any trusted origins.")
    }

    fn check_token(
        &self,
        request: &RequestCredentials<'_>,
        session_secret: Option<&str>,
    ) -> Result<(), &'static str> {
        let cookie = cookie_header::values(request.headers, &self.cookie_name).last();
        let secret = session_secret.map(str::as_bytes).or(cookie).ok_or("CSRF cookie not set.")?;
        let secret = unmasked(secret).map_err(|flaw| match flaw {
            Flaw::Length => "CSRF cookie has incorrect length.",
            Flaw::Characters => "CSRF cookie has invalid characters.",
        })?;
        let field = request.form.and_then(|form| form.field(FIELD)).filter(|token| !token.is_empty());
        if let Some(token) = field {
            return match unmasked(token.as_bytes()) {
                Err(Flaw::Length) => Err("CSRF token from POST has incorrect length."),
                Err(Flaw::Characters) => Err("CSRF token from POST has invalid characters."),
                Ok(token) if token.ct_eq(&secret).into() => Ok(()),
                Ok(_) => Err("CSRF token from POST incorrect."),
            };
        }
        let token = request.headers.get(HEADER).ok_or("CSRF token missing.")?;
        match unmasked(token.as_bytes()) {
            Err(Flaw::Length) => Err("CSRF token from the 'X-Csrftoken' HTTP header has incorrect length."),
            Err(Flaw::Characters) => {
                Err("CSRF token from the 'X-Csrftoken' HTTP header has invalid characters.")
            }
            Ok(token) if token.ct_eq(&secret).into() => Ok(()),
            Ok(_) => Err("CSRF token from the 'X-Csrftoken' HTTP header incorrect."),
        }
    }
}

fn failed(reason: &'static str) -> IdentityError {
    IdentityError::Forbidden { detail: Cow::Owned(format!("CSRF Failed: {reason}")) }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &[u8]) -> Option<&str> {
    let url = std::str::from_utf8(url).ok()?;
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    url.get(..scheme.len() + "://".len() + host.len())
}

enum Flaw {
    Length,
    Characters,
}

/// The secret in a token, masked or not.
fn unmasked(token: &[u8]) -> Result<[u8; SECRET_CHARACTERS], Flaw> {
    if token.len() != SECRET_CHARACTERS && token.len() != MASKED_CHARACTERS {
        return Err(Flaw::Length);
    }
    let mut places = [0_u8; MASKED_CHARACTERS];
    for (place, byte) in places.iter_mut().zip(token) {
        *place = place_of(*byte).ok_or(Flaw::Characters)?;
    }
    let mut secret = [0; SECRET_CHARACTERS];
    let (mask, hidden) = places.split_at(SECRET_CHARACTERS);
    if token.len() == SECRET_CHARACTERS {
        secret.copy_from_slice(mask);
        return Ok(secret);
    }
    for (character, (mask, hidden)) in secret.iter_mut().zip(mask.iter().zip(hidden)) {
        *character = (hidden + 62 - mask) % 62;
    }
    Ok(secret)
}

/// In Django's alphabet: a to z, A to Z, 0 to 9.
fn place_of(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' => Some(byte - b'a'),
        b'A'..=b'Z' => Some(byte - b'A' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        _ => None,
    }
}
