//! Valid fields to a synced activity: who, from where, into a frame, wait for the ack.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use http::HeaderMap;
use http::header::USER_AGENT;
use serde::Serialize;
use shared::event::{Activity, ClientAddress, EventDate, UserAgent};
use shared::frame::EncodedActivity;

use super::Ingest;
use super::reply::{Accepted, Outcome, Shown};
use crate::assemble::NotSynced;
use crate::budget::Reservation;
use crate::identity::authenticator::PeerTrust;
use crate::identity::{
    Authenticator, Identity, OriginVerdict, PresentedSession, RequestCredentials, ResolvedSession,
};
use crate::intake::LogFields;

/// What an activity takes while it waits, besides its own bytes.
const WAITING_BYTES: usize = 256;
const DEBUG_HEADER: &str = "x-djaffar-debug";

/// A request whose fields are valid.
pub(super) struct Visit<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: IpAddr,
    pub(super) fields: LogFields,
    pub(super) reservation: Reservation,
    pub(super) now: DateTime<Utc>,
}

/// Stores the visit; `shown` is the answer unless the request may see more.
pub(super) async fn record<A: Authenticator>(
    ingest: &Ingest<A>,
    visit: Visit<'_>,
    shown: Shown,
) -> Result<Accepted, Outcome> {
    let Visit { headers, peer, fields, mut reservation, now } = visit;
    let address = ingest.addresses.resolve(peer, headers);
    let session = session(ingest, headers, peer, now)?;
    let user_id = match ingest.authenticator.authenticate(&credentials(ingest, headers, peer)).await? {
        Identity::Anonymous => None,
        Identity::User(user) => Some(user),
    };
    let activity = Activity {
        id: fields.id,
        date: fields.date,
        received_at: EventDate::new(now).unwrap_or(fields.date),
        session_id: Some(session.id),
        user_id,
        ip_address: Some(address),
        path: fields.path,
        referer: fields.referer,
        user_agent: headers
            .get(USER_AGENT)
            .map_or_else(UserAgent::default, |agent| UserAgent::from_header(agent.as_bytes())),
    };
    let shown = if may_debug(ingest, headers, address) { Shown::Activity(debug(&activity)) } else { shown };
    let encoded = EncodedActivity::from(activity);
    reservation.resize(encoded.len() + WAITING_BYTES);
    let synced = ingest.assembly.commit(encoded, reservation);
    tokio::time::timeout(ingest.request_timeout, synced)
        .await
        .unwrap_or(Err(NotSynced::Unknown))
        .map_err(Outcome::NotSynced)?;
    Ok(Accepted { set_cookie: session.set_cookie, shown })
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

fn may_debug<A>(ingest: &Ingest<A>, headers: &HeaderMap, address: ClientAddress) -> bool {
    headers.get(DEBUG_HEADER).is_some_and(|value| value == "1") && ingest.debug_from.contains(address.ip())
}

/// What the debug answer shows. No session id: in Django mode it is a live credential.
#[derive(Serialize)]
struct Debug<'a> {
    id: String,
    date: String,
    received_at: String,
    user_id: Option<&'a str>,
    ip_address: Option<String>,
    path: &'a str,
    referer: &'a str,
    user_agent: &'a str,
}

fn debug(activity: &Activity) -> Vec<u8> {
    let date = |date: EventDate| date.instant().to_rfc3339_opts(SecondsFormat::Micros, true);
    let shown = Debug {
        id: activity.id.0.to_string(),
        date: date(activity.date),
        received_at: date(activity.received_at),
        user_id: activity.user_id.as_ref().map(|user| user.as_str()),
        ip_address: activity.ip_address.map(|address| address.to_string()),
        path: activity.path.as_str(),
        referer: activity.referer.as_str(),
        user_agent: activity.user_agent.as_str(),
    };
    serde_json::to_vec(&shown).expect("a struct of texts serialises")
}
