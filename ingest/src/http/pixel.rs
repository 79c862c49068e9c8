//! `GET {base}/pixel.gif`: a log request of a page without JavaScript.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::REFERER;

use super::Ingest;
use super::body::REQUEST_BYTES;
use super::record::{Visit, record};
use super::reply::{Accepted, Outcome, Shown};
use crate::identity::Authenticator;

pub(super) async fn answer<A: Authenticator>(
    ingest: &Ingest<A>,
    headers: &HeaderMap,
    peer: IpAddr,
    query: &str,
) -> Result<Accepted, Outcome> {
    let reservation = ingest.budget.reserve(query.len() + REQUEST_BYTES).ok_or(Outcome::Overloaded)?;
    let now = shared::time::now();
    let referer = headers.get(REFERER).map(|value| value.as_bytes());
    let fields = ingest.intake.pixel(query, referer, now).map_err(Outcome::Rejected)?;
    record(ingest, Visit { headers, peer, fields, reservation, now }, Shown::Pixel).await
}
