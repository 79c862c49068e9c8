//! Valid fields to synced activities: into a frame, wait for the ack.

use chrono::SecondsFormat;
use serde::Serialize;
use shared::event::{Activity, EventDate};
use shared::frame::EncodedActivity;

use super::Ingest;
use super::reply::{Accepted, Outcome, Shown};
use super::sender::{Sent, sender};
use crate::assemble::NotSynced;
use crate::budget::Reservation;
use crate::identity::Authenticator;
use crate::intake::LogFields;

/// What an activity takes while it waits, besides its own bytes.
pub(super) const WAITING_BYTES: usize = 256;
const DEBUG_HEADER: &str = "x-djaffar-debug";

/// Stores one activity; `shown` is the answer unless the request may see more.
pub(super) async fn record<A: Authenticator>(
    ingest: &Ingest<A>,
    sent: Sent<'_>,
    fields: LogFields,
    mut reservation: Reservation,
    shown: Shown,
) -> Result<Accepted, Outcome> {
    let sender = sender(ingest, sent).await?;
    let identity = ingest.identities.digest(sender.session.as_ref(), sender.user.as_ref());
    let activity = Activity {
        id: fields.id,
        date: fields.date,
        received_at: EventDate::new(sent.now).unwrap_or(fields.date),
        session_id: sender.session,
        user_id: sender.user,
        ip_address: sender.address,
        path: fields.path,
        referer: fields.referer,
        user_agent: sender.user_agent,
    };
    let shown = if may_debug(ingest, sent) { Shown::Activity(debug(&activity)) } else { shown };
    let encoded = EncodedActivity::from(&activity);
    reservation.resize(encoded.len() + WAITING_BYTES);
    ingest.synced(ingest.assembly.commit(encoded, reservation)).await?;
    Ok(Accepted { activities: 1, identity, set_cookie: sender.set_cookie, shown })
}

impl<A> Ingest<A> {
    /// Waits no longer than a client should.
    pub(super) async fn synced(
        &self,
        commit: impl Future<Output = Result<(), NotSynced>>,
    ) -> Result<(), Outcome> {
        tokio::time::timeout(self.request_timeout, commit)
            .await
            .unwrap_or(Err(NotSynced::Unknown))
            .map_err(Outcome::NotSynced)
    }
}

/// By the address that it really comes from, however little of it is stored.
fn may_debug<A>(ingest: &Ingest<A>, sent: Sent<'_>) -> bool {
    sent.headers.get(DEBUG_HEADER).is_some_and(|value| value == "1")
        && ingest.debug_from.contains(ingest.addresses.resolve(sent.peer, sent.headers).ip())
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
