//! Who sends a request, from where and with what: once, for all its activities.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue};
use shared::event::{ClientAddress, SessionId, UserAgent, UserId};

use super::Ingest;
use super::reply::Outcome;
use crate::identity::authenticator::PeerTrust;
use crate::identity::{
    Authenticator, Identity, OriginVerdict, PresentedSession, RequestCredentials, ResolvedSession,
};

pub(super) struct Sender {
    pub(super) session: SessionId,
    /// `Set-Cookie` of a success.
    pub(super) set_cookie: Option<HeaderValue>,
    /// `None` for an anonymous one.
    pub(super) user: Option<UserId>,
    pub(super) address: ClientAddress,
    pub(super) user_agent: UserAgent,
}

pub(super) async fn sender<A: Authenticator>(
    ingest: &Ingest<A>,
    headers: &HeaderMap,
    peer: IpAddr,
    now: DateTime<Utc>,
) -> Result<Sender, Outcome> {
    let session = session(ingest, headers, peer, now)?;
    let user = match ingest.authenticator.authenticate(&credentials(ingest, headers, peer)).await? {
        Identity::Anonymous => None,
        Identity::User(user) => Some(user),
    };
    let user_agent = headers.get(USER_AGENT);
    Ok(Sender {
        session: session.id,
        set_cookie: session.set_cookie,
        user,
        address: ingest.addresses.resolve(peer, headers),
        user_agent: user_agent
            .map_or_else(UserAgent::default, |agent| UserAgent::from_header(agent.as_bytes())),
    })
}

/// The session, unless a page of another site sent the request with the visitor's cookie.
fn session<A>(
    ingest: &Ingest<A>,
    headers: &HeaderMap,
    peer: IpAddr,
    now: DateTime<Utc>,
) -> Result<ResolvedSession, Outcome> {
    let https = ingest.addresses.https(peer, headers);
    let mut session = ingest.sessions.resolve(headers, now, https);
    let verdict = ingest.origins.judge(headers, ingest.addresses.forwarded_host(peer, headers));
    if verdict == OriginVerdict::Foreign {
        if session.presented == PresentedSession::Verified {
            return Err(Outcome::ForeignOrigin);
        }
        // Browsers withhold a `Lax` cookie from a foreign page's form but would take a new one:
        // the page could so end the visitor's session.
        session.set_cookie = None;
    }
    Ok(session)
}

fn credentials<'a, A>(ingest: &Ingest<A>, headers: &'a HeaderMap, peer: IpAddr) -> RequestCredentials<'a> {
    let peer = if ingest.addresses.is_trusted(peer) { PeerTrust::Trusted } else { PeerTrust::Untrusted };
    RequestCredentials { headers, peer }
}
