//! `POST {base}/log/`: one log request, from its body to its outcome.

use std::net::IpAddr;

use bytes::Buf;
use futures_util::Stream;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, REFERER};

use super::Ingest;
use super::record::{Visit, record};
use super::reply::{Accepted, Outcome, Shown};
use crate::config::LOG_BYTES_MAX;
use crate::identity::Authenticator;
use crate::intake::BodyFormat;

pub(super) async fn answer<A: Authenticator>(
    ingest: &Ingest<A>,
    headers: &HeaderMap,
    peer: IpAddr,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<Accepted, Outcome> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let format = BodyFormat::from_content_type(content_type).ok_or(Outcome::UnsupportedMediaType)?;
    let body = ingest.bodies.read(headers, body, LOG_BYTES_MAX).await?;
    let referer = headers.get(REFERER).map(|value| value.as_bytes());
    let fields = ingest.intake.log(&format, &body.bytes, referer).map_err(Outcome::Rejected)?;
    let visit = Visit { headers, peer, fields, reservation: body.reservation, now: shared::time::now() };
    record(ingest, visit, Shown::Nothing).await
}
