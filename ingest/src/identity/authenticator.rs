//! The port that says which user and which session of the site a request comes from.

use std::borrow::Cow;
use std::future::Future;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, Method};
use shared::event::{SessionId, UserId};

use super::look_up::Unreachable;
use super::origin::OriginVerdict;
use crate::http::client_address::Https;
use crate::intake::FormBody;

/// What an authenticator may look at.
#[derive(Clone, Copy, Debug)]
pub struct RequestCredentials<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub peer: PeerTrust,
    /// Which page has sent the request.
    pub origin: OriginVerdict,
    /// How the visitor came, as a trusted proxy says.
    pub https: Https,
    /// The host that the visitor asked for: what a trusted proxy says, else `Host`.
    pub host: Option<&'a str>,
    /// For Django's CSRF token and nothing else: a payload never says who sent it.
    pub form: Option<FormBody<'a>>,
    pub now: DateTime<Utc>,
}

/// Whether the request came through a trusted proxy, whose own headers are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerTrust {
    Trusted,
    Untrusted,
}

/// What the site vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `None` for an anonymous visitor: no credentials, or none that anybody claims.
    pub user: Option<UserId>,
    pub session: SiteSession,
}

/// The session that the site itself keeps for this browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteSession {
    /// The site says nothing of one, or of none that is alive: ours counts.
    Unknown,
    /// The site's counts, not ours.
    Live(SessionId),
    /// The browser has sent no session cookie of the site at all: one may be begun.
    Absent,
}

impl Identity {
    pub const ANONYMOUS: Self = Self { user: None, session: SiteSession::Unknown };

    #[must_use]
    pub fn of_user(user: Option<UserId>) -> Self {
        Self { user, session: SiteSession::Unknown }
    }

    /// The first user wins, and so does the first that knows of a session.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let session = match (self.session, other.session) {
            (SiteSession::Unknown, session) | (SiteSession::Absent, session @ SiteSession::Live(_)) => {
                session
            }
            (session, _) => session,
        };
        Self { user: self.user.or(other.user), session }
    }
}

/// A session of the site's, begun for a new visitor.
#[derive(Debug)]
pub struct BegunSession {
    pub id: SessionId,
    pub set_cookie: HeaderValue,
}

/// Why the request cannot go on. None of these may be read as anonymous.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A claimed credential does not verify: 401 with `challenge` as `WWW-Authenticate`.
    #[error("{detail}")]
    Failed { challenge: HeaderValue, detail: Cow<'static, str> },
    /// The credential is good, but the page has not proved that it may use it: 403.
    #[error("{detail}")]
    Forbidden { detail: Cow<'static, str> },
    /// A cookie would identify somebody, and the page that sent it is foreign: 403.
    #[error("the request comes from a foreign page")]
    ForeignOrigin,
    /// Whoever knows cannot be asked now: 503. The reason is for the operator only.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

pub trait Authenticator: Send + Sync + 'static {
    fn authenticate(
        &self,
        request: &RequestCredentials<'_>,
    ) -> impl Future<Output = Result<Identity, IdentityError>> + Send;

    /// Begins a session of the site's for a visitor whose log request is valid and who has none
    /// ([`SiteSession::Absent`]); `None`: ours counts.
    fn begin_session(
        &self,
        request: &RequestCredentials<'_>,
    ) -> impl Future<Output = Result<Option<BegunSession>, IdentityError>> + Send;
}

/// Nobody is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnonymousOnly;

impl Authenticator for AnonymousOnly {
    async fn authenticate(&self, _: &RequestCredentials<'_>) -> Result<Identity, IdentityError> {
        Ok(Identity::ANONYMOUS)
    }

    async fn begin_session(&self, _: &RequestCredentials<'_>) -> Result<Option<BegunSession>, IdentityError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_user_and_the_first_session_count() {
        let user = |id: &str| Some(UserId::new(id).expect("a user id"));
        let live = |id: &str| SiteSession::Live(SessionId::new(id).expect("a session id"));
        let identity = |user, session| Identity { user, session };
        for (first, second, expected) in [
            (Identity::ANONYMOUS, Identity::ANONYMOUS, Identity::ANONYMOUS),
            (Identity::ANONYMOUS, Identity::of_user(user("2")), Identity::of_user(user("2"))),
            (Identity::of_user(user("1")), Identity::of_user(user("2")), Identity::of_user(user("1"))),
            (identity(None, live("a")), Identity::of_user(user("2")), identity(user("2"), live("a"))),
            (
                identity(None, SiteSession::Absent),
                identity(user("2"), live("b")),
                identity(user("2"), live("b")),
            ),
            (identity(None, SiteSession::Absent), Identity::ANONYMOUS, identity(None, SiteSession::Absent)),
            (identity(user("1"), live("a")), identity(None, live("b")), identity(user("1"), live("a"))),
        ] {
            assert_eq!(first.or(second), expected);
        }
    }
}
