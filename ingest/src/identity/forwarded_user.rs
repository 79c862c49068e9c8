//! The user that the site's own proxy names in a header.
//!
//! Rule of safety: the header counts only when the request comes from a peer in
//! `--trusted-proxies`; from anybody else it does not exist. The proxy must
//! overwrite what a client sends under that name. Held by the tests below.

use http::{HeaderName, HeaderValue};
use shared::event::UserId;

use super::authenticator::{Identity, IdentityError, PeerTrust, RequestCredentials};

/// Proxies write these for other reasons, and clients write them freely.
const OTHER_PURPOSES: [&str; 12] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "referer",
    "user-agent",
    "x-forwarded-for",
];

#[derive(Clone, Debug)]
pub(crate) struct ForwardedUser(HeaderName);

impl ForwardedUser {
    /// `None` for a header that has another purpose.
    pub(crate) fn new(header: HeaderName) -> Option<Self> {
        (!OTHER_PURPOSES.contains(&header.as_str())).then_some(Self(header))
    }

    pub(crate) fn header(&self) -> &HeaderName {
        &self.0
    }

    pub(crate) fn authenticate(&self, request: &RequestCredentials<'_>) -> Result<Identity, IdentityError> {
        if request.peer == PeerTrust::Untrusted {
            return Ok(Identity::ANONYMOUS);
        }
        let mut values = request.headers.get_all(&self.0).into_iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Identity::ANONYMOUS),
            (Some(value), None) if value.as_bytes().trim_ascii().is_empty() => Ok(Identity::ANONYMOUS),
            (Some(value), None) => user(value).map(|user| Identity::of_user(Some(user))),
            // One of them is the client's.
            (Some(_), Some(_)) => Err(refused("The user header is repeated.")),
        }
    }
}

fn user(value: &HeaderValue) -> Result<UserId, IdentityError> {
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim);
    let user = text.ok().and_then(|text| UserId::new(text).ok());
    user.ok_or_else(|| refused("The user header holds no user id."))
}

fn refused(detail: &'static str) -> IdentityError {
    IdentityError::Failed { challenge: HeaderValue::from_static("Proxy"), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::identity::tests::credentials;

    const NAME: HeaderName = HeaderName::from_static("x-user");

    fn authenticate(values: &[&[u8]], peer: PeerTrust) -> Result<Identity, IdentityError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_bytes(value).expect("a header"));
        }
        let request = RequestCredentials { peer, ..credentials(&headers) };
        ForwardedUser::new(NAME).expect("a header of its own").authenticate(&request)
    }

    #[test]
    fn only_a_trusted_proxy_names_a_user() {
        let user = Identity::of_user(UserId::new("é 7").ok());
        assert_eq!(authenticate(&["é 7".as_bytes()], PeerTrust::Trusted), Ok(user));
        for values in [&[][..], &[&b""[..]], &[&b"  "[..]]] {
            assert_eq!(authenticate(values, PeerTrust::Trusted), Ok(Identity::ANONYMOUS));
        }
        for values in [&[&b"7"[..]][..], &[&b"7"[..], b"8"], &[&b"\xff"[..]]] {
            assert_eq!(authenticate(values, PeerTrust::Untrusted), Ok(Identity::ANONYMOUS));
        }
    }

    #[test]
    fn a_header_that_cannot_be_a_user_is_no_anonymous_visitor() {
        for values in [&[&b"7"[..], b"8"][..], &[&b"\xff"[..]], &["x".repeat(256).as_bytes()]] {
            assert!(matches!(authenticate(values, PeerTrust::Trusted), Err(IdentityError::Failed { .. })));
        }
    }

    #[test]
    fn headers_of_other_purposes_are_refused() {
        assert!(ForwardedUser::new(HeaderName::from_static("cookie")).is_none());
        assert!(ForwardedUser::new(HeaderName::from_static("remote-user")).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_from_a_stranger_name_a_user(value in "[ -~\\x80-\\xff]{0,300}") {
            let answer = authenticate(&[value.as_bytes()], PeerTrust::Untrusted);
            prop_assert_eq!(answer, Ok(Identity::ANONYMOUS));
        }
    }
}
