//! `GET {base}/pixel.gif`: a log request of a page without JavaScript.

use std::net::IpAddr;

use http::header::REFERER;
use http::{HeaderMap, Method};

use super::Ingest;
use super::body::REQUEST_BYTES;
use super::record::record;
use super::reply::{Accepted, Outcome, Shown};
use super::sender::Sent;
use crate::identity::Authenticator;

pub(super) async fn answer<A: Authenticator>(
    ingest: &Ingest<A>,
    headers: &HeaderMap,
    peer: IpAddr,
    query: &str,
) -> Result<Accepted, Outcome> {
    ingest.limits.charge_address(&ingest.addresses, peer, headers, 1)?;
    let reservation = ingest.budget.reserve(query.len() + REQUEST_BYTES).ok_or(Outcome::Overloaded)?;
    let now = shared::time::now();
    let referer = headers.get(REFERER).map(|value| value.as_bytes());
    let fields = ingest.intake.pixel(query, referer, now).map_err(Outcome::Rejected)?;
    let sent = Sent { method: &Method::GET, headers, peer, form: None, activities: 1, now };
    record(ingest, sent, fields, reservation, Shown::Pixel).await
}
