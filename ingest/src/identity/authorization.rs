//! The `Authorization` header: who claims its scheme, and what they say of its token.
//!
//! Rule of safety: a token that somebody claims and nobody verifies is 401, never
//! anonymous; a scheme that nobody claims is no credential of ours. The texts are
//! those of Django REST framework. Held by the tests below.

use chrono::{DateTime, Utc};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use shared::event::UserId;

use super::authenticator::{Identity, IdentityError};
use super::json_web_token::JsonWebTokens;
use super::look_up::{Remember, Unreachable};
use super::token_look_up::TokenLookUp;

/// Longer ones are refused unread.
pub(crate) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What a verifier says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenVerdict {
    /// Good; `None` for a token of no user, such as an application's own.
    Verified(Option<UserId>),
    /// The detail of the 401.
    Refused(&'static str),
}

impl Remember for TokenVerdict {
    fn is_positive(&self) -> bool {
        matches!(self, Self::Verified(_))
    }
}

/// Whoever verifies tokens of one scheme.
pub(crate) enum TokenVerifier {
    Jwt(Box<JsonWebTokens>),
    LookUp(Box<TokenLookUp>),
}

impl TokenVerifier {
    fn scheme(&self) -> &str {
        match self {
            Self::Jwt(tokens) => tokens.scheme(),
            Self::LookUp(look_up) => look_up.scheme(),
        }
    }

    async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<TokenVerdict, Unreachable> {
        match self {
            Self::Jwt(tokens) => tokens.verify(token, now).await,
            Self::LookUp(look_up) => look_up.verify(token, now).await,
        }
    }

    /// One line for the operator.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Jwt(tokens) => tokens.describe(),
            Self::LookUp(look_up) => look_up.describe(),
        }
    }

    /// Reaches what it needs; says what was found.
    pub(crate) async fn probe(&self) -> Result<String, Unreachable> {
        match self {
            Self::Jwt(tokens) => tokens.probe().await,
            Self::LookUp(look_up) => look_up.probe().await,
        }
    }
}

/// The verifiers, in the order in which they are asked.
#[derive(Default)]
pub(crate) struct Authorization(Vec<TokenVerifier>);

impl Authorization {
    pub(crate) fn new(verifiers: Vec<TokenVerifier>) -> Self {
        Self(verifiers)
    }

    pub(crate) fn verifiers(&self) -> &[TokenVerifier] {
        &self.0
    }

    /// Whether the request carries a token that a verifier here claims.
    pub(crate) fn claims(&self, headers: &HeaderMap) -> bool {
        let claimed = |value: &HeaderValue| self.claiming(scheme(value.as_bytes())).next().is_some();
        headers.get_all(AUTHORIZATION).into_iter().any(claimed)
    }

    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        now: DateTime<Utc>,
    ) -> Result<Identity, IdentityError> {
        if self.0.is_empty() || !self.claims(headers) {
            return Ok(Identity::ANONYMOUS);
        }
        let mut values = headers.get_all(AUTHORIZATION).into_iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(refused(scheme_of(headers), "Invalid token header. There is more than one."));
        };
        let scheme = scheme(value.as_bytes());
        let token = token(value.as_bytes()).map_err(|detail| refused(scheme, detail))?;
        let mut first_refusal = None;
        for verifier in self.claiming(scheme) {
            match verifier.verify(token, now).await? {
                TokenVerdict::Verified(user) => return Ok(Identity::of_user(user)),
                TokenVerdict::Refused(detail) => first_refusal = first_refusal.or(Some(detail)),
            }
        }
        Err(refused(scheme, first_refusal.unwrap_or("Invalid token.")))
    }

    fn claiming<'a>(&'a self, scheme: &'a [u8]) -> impl Iterator<Item = &'a TokenVerifier> {
        self.0.iter().filter(move |verifier| verifier.scheme().as_bytes().eq_ignore_ascii_case(scheme))
    }
}

fn scheme_of(headers: &HeaderMap) -> &[u8] {
    headers.get(AUTHORIZATION).map_or(b"", |value| scheme(value.as_bytes()))
}

/// The first word.
fn scheme(header: &[u8]) -> &[u8] {
    header.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default()
}

/// The second word, of exactly two.
fn token(header: &[u8]) -> Result<&str, &'static str> {
    let mut words = header.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1);
    let Some(token) = words.next() else {
        return Err("Invalid token header. No credentials provided.");
    };
    if words.next().is_some() {
        return Err("Invalid token header. Token string should not contain spaces.");
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err("Invalid token header. The token is too long.");
    }
    let visible = token.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(token).ok().filter(|_| visible);
    text.ok_or("Invalid token header. Token string should not contain invalid characters.")
}

fn refused(scheme: &[u8], detail: &'static str) -> IdentityError {
    let challenge = if scheme.eq_ignore_ascii_case(b"bearer") {
        HeaderValue::from_static("Bearer realm=\"api\", error=\"invalid_token\"")
    } else {
        HeaderValue::from_bytes(scheme).unwrap_or(HeaderValue::from_static("Token"))
    };
    IdentityError::Failed { challenge, detail: detail.into() }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_scheme_and_one_token() {
        assert_eq!(scheme(b"Token abc"), b"Token");
        assert_eq!(scheme(b""), b"");
        assert_eq!(token(b"Token  abc "), Ok("abc"));
        for (header, start) in [
            (&b"Token"[..], "Invalid token header. No"),
            (b"Token ", "Invalid token header. No"),
            (b"Token a b", "Invalid token header. Token string should not contain spaces."),
            (b"Token \xff", "Invalid token header. Token string should not contain invalid"),
            (b"Token a\x01", "Invalid token header. Token string should not contain invalid"),
        ] {
            assert!(token(header).expect_err("a refusal").starts_with(start));
        }
        let long = [b"Token ", "a".repeat(TOKEN_BYTES_MAX + 1).as_bytes()].concat();
        assert_eq!(token(&long), Err("Invalid token header. The token is too long."));
    }

    #[tokio::test]
    async fn a_scheme_that_nobody_claims_is_anonymous() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic abc"));
        let nobody = Authorization::default().authenticate(&headers, DateTime::UNIX_EPOCH).await;
        assert_eq!(nobody, Ok(Identity::ANONYMOUS));
    }
}
