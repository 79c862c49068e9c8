//! Who sends a request, from where and with what: once, for all its activities.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method};
use shared::event::{ClientAddress, SessionId, UserAgent, UserId};

use super::Ingest;
use super::reply::Outcome;
use crate::identity::authenticator::PeerTrust;
use crate::identity::{
    Authenticator, OriginVerdict, PresentedSession, RequestCredentials, ResolvedSession, SiteSession,
};
use crate::intake::FormBody;

/// A request whose payload is valid; now it matters who has sent it.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: IpAddr,
    /// Where a form may hold Django's CSRF token.
    pub(super) form: Option<FormBody<'a>>,
    /// How many it wants to store.
    pub(super) activities: usize,
    pub(super) now: DateTime<Utc>,
}

pub(super) struct Sender {
    /// `None` for one who asks for privacy.
    pub(super) session: Option<SessionId>,
    /// `Set-Cookie` of a success.
    pub(super) set_cookie: Option<HeaderValue>,
    /// `None` for an anonymous one.
    pub(super) user: Option<UserId>,
    /// What is stored of it.
    pub(super) address: Option<ClientAddress>,
    pub(super) user_agent: UserAgent,
}

impl Sender {
    /// One who asks for privacy: not even looked at.
    fn nobody() -> Self {
        Self { session: None, set_cookie: None, user: None, address: None, user_agent: UserAgent::default() }
    }
}

pub(super) async fn sender<A: Authenticator>(ingest: &Ingest<A>, sent: Sent<'_>) -> Result<Sender, Outcome> {
    let Sent { headers, peer, .. } = sent;
    if ingest.privacy.is_asked_for(headers) {
        return Ok(Sender::nobody());
    }
    let credentials = credentials(ingest, sent);
    let identity = ingest.authenticator.authenticate(&credentials).await?;
    let (session, set_cookie) = match identity.session {
        SiteSession::Live(id) => {
            ingest.limits.charge_session(&id, sent.activities)?;
            (id, None)
        }
        SiteSession::Absent => first_session(ingest, &credentials, sent.activities).await?,
        SiteSession::Unknown => own_session(ingest, &credentials, sent.activities)?,
    };
    let user_agent = headers.get(USER_AGENT);
    Ok(Sender {
        session: Some(session),
        set_cookie,
        user: identity.user,
        address: ingest.privacy.address(ingest.addresses.resolve(peer, headers)),
        user_agent: user_agent
            .map_or_else(UserAgent::default, |agent| UserAgent::from_header(agent.as_bytes())),
    })
}

type Session = (SessionId, Option<HeaderValue>);

/// The site's, begun for a visitor whom it does not know yet; ours where it begins none.
///
/// A foreign page gets none: it could so replace the visitor's session by a new one.
async fn first_session<A: Authenticator>(
    ingest: &Ingest<A>,
    credentials: &RequestCredentials<'_>,
    activities: usize,
) -> Result<Session, Outcome> {
    if credentials.origin != OriginVerdict::Foreign
        && let Some(begun) = ingest.authenticator.begin_session(credentials).await?
    {
        return Ok((begun.id, Some(begun.set_cookie)));
    }
    own_session(ingest, credentials, activities)
}

/// Ours, unless a page of another site sent the request with the visitor's cookie.
fn own_session<A>(
    ingest: &Ingest<A>,
    credentials: &RequestCredentials<'_>,
    activities: usize,
) -> Result<Session, Outcome> {
    let RequestCredentials { headers, origin, https, now, .. } = *credentials;
    let ResolvedSession { id, mut set_cookie, presented } = ingest.sessions.resolve(headers, now, https);
    if origin == OriginVerdict::Foreign {
        if presented == PresentedSession::Verified {
            return Err(Outcome::ForeignOrigin);
        }
        // Browsers withhold a `Lax` cookie from a foreign page's form but would take a new one:
        // the page could so end the visitor's session.
        set_cookie = None;
    }
    if presented == PresentedSession::Verified {
        ingest.limits.charge_session(&id, activities)?;
    }
    Ok((id, set_cookie))
}

fn credentials<'a, A>(ingest: &Ingest<A>, sent: Sent<'a>) -> RequestCredentials<'a> {
    let Sent { method, headers, peer, form, now, .. } = sent;
    let addresses = &ingest.addresses;
    RequestCredentials {
        method,
        headers,
        peer: if addresses.is_trusted(peer) { PeerTrust::Trusted } else { PeerTrust::Untrusted },
        origin: ingest.origins.judge(headers, addresses.forwarded_host(peer, headers)),
        https: addresses.https(peer, headers),
        host: addresses.host(peer, headers),
        form,
        now,
    }
}
