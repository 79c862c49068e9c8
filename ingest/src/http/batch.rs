//! `POST {base}/batch/`: many activities in one request, and one answer when all are synced.

use std::net::IpAddr;

use bytes::Buf;
use chrono::{DateTime, Utc};
use futures_util::Stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use shared::event::EventDate;
use shared::frame::{EncodedActivity, EncodedSender, Occurrence};

use super::Ingest;
use super::record::WAITING_BYTES;
use super::reply::{Accepted, BatchReport, Outcome, Shown};
use super::sender::{Sender, Sent, sender};
use crate::config::BATCH_BYTES_MAX;
use crate::identity::{Authenticator, IdentityDigest};
use crate::intake::{Batch, BatchFormat, Item, LogFields};

pub(super) async fn answer<A: Authenticator>(
    ingest: &Ingest<A>,
    headers: &HeaderMap,
    peer: IpAddr,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<Accepted, Outcome> {
    // It pays when it is known for how many.
    ingest.limits.check_address(&ingest.addresses, peer, headers)?;
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let format = BatchFormat::from_content_type(content_type).ok_or(Outcome::UnsupportedMediaType)?;
    let charge = |activities| ingest.limits.charge_address(&ingest.addresses, peer, headers, activities);
    let body = match ingest.bodies.read(headers, body, BATCH_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return Err(charge(1).err().unwrap_or(error.into())),
    };
    let mut reservation = body.reservation;
    let batch = ingest.intake.batch(format, &body.bytes).map_err(Outcome::BatchRejected);
    charge(batch.as_ref().map_or(1, |batch| batch.items.len() + batch.rejected.len()))?;
    let batch = batch?;
    count(ingest, &batch);
    let Batch { items, rejected } = batch;
    let accepted = items.len();
    if accepted == 0 {
        return Err(Outcome::ItemsRejected(BatchReport { accepted, rejected }));
    }
    let now = shared::time::now();
    let sent =
        Sent { method: &Method::POST, headers, peer, form: None, activities: accepted + rejected.len(), now };
    let sender = sender(ingest, sent).await?;
    // The body stays until its items are encoded, and each of them may have to name the sender.
    let item_bytes = WAITING_BYTES + sender.user_agent.as_str().len();
    reservation.grow(item_bytes * (accepted + rejected.len())).ok_or(Outcome::Overloaded)?;
    let senders = EncodedSenders::new(ingest, &sender);
    let encoded = EncodedActivity::all(items.iter().map(|item| (occurrence(item, now), senders.of(item))));
    drop((items, body.bytes));
    reservation.resize(encoded.iter().map(|activity| activity.len() + WAITING_BYTES).sum());
    ingest.synced(ingest.assembly.commit_all(encoded, reservation)).await?;
    Ok(Accepted {
        activities: accepted,
        identity: ingest.identities.digest(sender.session.as_ref(), sender.user.as_ref()),
        set_cookie: sender.set_cookie,
        shown: Shown::Batch(BatchReport { accepted, rejected }),
    })
}

fn count<A>(ingest: &Ingest<A>, batch: &Batch) {
    ingest.telemetry.batch_read(batch.items.len() + batch.rejected.len());
    for item in &batch.rejected {
        ingest.telemetry.item_rejected(item.reason.label());
    }
}

/// Who may have done what a batch says: its sender, or whoever used this browser before, who must
/// not be taken for the sender.
struct EncodedSenders {
    sender: EncodedSender,
    digests: Vec<IdentityDigest>,
    somebody: EncodedSender,
}

impl EncodedSenders {
    fn new<A>(ingest: &Ingest<A>, sender: &Sender) -> Self {
        let Sender { session, user, address, user_agent, .. } = sender;
        let (session, user) = (session.as_ref(), user.as_ref());
        Self {
            sender: EncodedSender::of(session, user, *address, user_agent),
            digests: ingest.identities.all(session, user),
            somebody: EncodedSender::of(None, None, *address, user_agent),
        }
    }

    fn of(&self, item: &Item) -> &EncodedSender {
        let is_senders =
            item.identity.as_ref().is_none_or(|claimed| self.digests.iter().any(|digest| digest.is(claimed)));
        if is_senders { &self.sender } else { &self.somebody }
    }
}

fn occurrence(item: &Item, now: DateTime<Utc>) -> Occurrence<'_> {
    let LogFields { id, date, ref path, ref referer } = item.fields;
    Occurrence { id, date, received_at: EventDate::new(now).unwrap_or(date), path, referer }
}
