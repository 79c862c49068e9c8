//! `POST {base}/log/`: one log request, from its body to its outcome.

use std::net::IpAddr;

use bytes::Buf;
use futures_util::Stream;
use http::header::{CONTENT_TYPE, REFERER};
use http::{HeaderMap, Method};

use super::Ingest;
use super::record::record;
use super::reply::{Accepted, Outcome, Shown};
use super::sender::Sent;
use crate::config::LOG_BYTES_MAX;
use crate::identity::Authenticator;
use crate::intake::{BodyFormat, FormBody};

pub(super) async fn answer<A: Authenticator>(
    ingest: &Ingest<A>,
    headers: &HeaderMap,
    peer: IpAddr,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<Accepted, Outcome> {
    // Before the body is read, so that a flood costs little.
    ingest.limits.charge_address(&ingest.addresses, peer, headers, 1)?;
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let format = BodyFormat::from_content_type(content_type).ok_or(Outcome::UnsupportedMediaType)?;
    let body = ingest.bodies.read(headers, body, LOG_BYTES_MAX).await?;
    let referer = headers.get(REFERER).map(|value| value.as_bytes());
    let fields = ingest.intake.log(&format, &body.bytes, referer).map_err(Outcome::Rejected)?;
    let form = Some(FormBody { format: &format, bytes: &body.bytes });
    let sent = Sent { method: &Method::POST, headers, peer, form, activities: 1, now: shared::time::now() };
    record(ingest, sent, fields, body.reservation, Shown::Nothing).await
}
