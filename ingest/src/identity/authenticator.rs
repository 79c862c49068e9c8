//! The port that says which user a request comes from.

use std::future::Future;

use http::{HeaderMap, HeaderValue};
use shared::event::UserId;

/// What an authenticator may look at. The body is not part of it: a payload never says who sent it.
#[derive(Clone, Copy, Debug)]
pub struct RequestCredentials<'a> {
    pub headers: &'a HeaderMap,
    pub peer: PeerTrust,
}

/// Whether the request came through a trusted proxy, whose own headers are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerTrust {
    Trusted,
    Untrusted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No credentials, or none that this authenticator claims.
    Anonymous,
    /// The site itself vouches for this user.
    User(UserId),
}

/// Why the request cannot go on. Neither variant may be read as anonymous.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A claimed credential does not verify: 401 with `challenge` as `WWW-Authenticate`.
    #[error("{detail}")]
    Failed { challenge: HeaderValue, detail: &'static str },
    /// Whoever knows cannot be asked now: 503. The reason is for the operator only.
    #[error("the identity of the user cannot be verified now: {reason}")]
    Unreachable { reason: String },
}

pub trait Authenticator: Send + Sync + 'static {
    fn authenticate(
        &self,
        request: &RequestCredentials<'_>,
    ) -> impl Future<Output = Result<Identity, IdentityError>> + Send;
}

/// Nobody is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnonymousOnly;

impl Authenticator for AnonymousOnly {
    async fn authenticate(&self, _: &RequestCredentials<'_>) -> Result<Identity, IdentityError> {
        Ok(Identity::Anonymous)
    }
}

/// A chain: the first answer wins, and an error is an answer.
impl<First: Authenticator, Second: Authenticator> Authenticator for (First, Second) {
    async fn authenticate(&self, request: &RequestCredentials<'_>) -> Result<Identity, IdentityError> {
        match self.0.authenticate(request).await? {
            Identity::Anonymous => self.1.authenticate(request).await,
            user @ Identity::User(_) => Ok(user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Answers(Result<Identity, IdentityError>);

    impl Authenticator for Answers {
        async fn authenticate(&self, _: &RequestCredentials<'_>) -> Result<Identity, IdentityError> {
            self.0.clone()
        }
    }

    fn user(id: &str) -> Result<Identity, IdentityError> {
        Ok(Identity::User(UserId::new(id).expect("a user id")))
    }

    fn failed() -> Result<Identity, IdentityError> {
        Err(IdentityError::Failed { challenge: HeaderValue::from_static("Token"), detail: "Invalid token." })
    }

    #[tokio::test]
    async fn the_first_answer_wins_and_a_failure_is_an_answer() {
        let headers = HeaderMap::new();
        let request = RequestCredentials { headers: &headers, peer: PeerTrust::Untrusted };
        let anonymous = || Ok(Identity::Anonymous);
        for (first, second, expected) in [
            (anonymous(), anonymous(), anonymous()),
            (anonymous(), user("2"), user("2")),
            (user("1"), user("2"), user("1")),
            (user("1"), failed(), user("1")),
            (failed(), user("2"), failed()),
            (anonymous(), failed(), failed()),
        ] {
            assert_eq!((Answers(first), Answers(second)).authenticate(&request).await, expected);
        }
        assert_eq!((AnonymousOnly, AnonymousOnly).authenticate(&request).await, anonymous());
    }
}
