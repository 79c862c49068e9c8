//! The public listener: every route, and what each request passes through.
//!
//! Once a route is known nothing rejects: whatever is wrong with a request
//! becomes an [`Outcome`], and only [`reply`] turns outcomes into answers.

mod batch;
mod body;
pub mod client_address;
mod connection;
mod connections;
mod cors;
mod decompress;
mod log;
mod pixel;
mod record;
mod reply;
mod sender;
pub mod serve;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, Method};
use shared::lifecycle::TaskError;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::assemble::Assembly;
use crate::budget::Budget;
use crate::config::{BasePath, DebugFrom, IngestConfig};
use crate::identity::{Authenticator, IdentityDigests, OriginRule, Sessions};
use crate::intake::Intake;
use crate::telemetry::IngestTelemetry;

use body::BodyReader;
use client_address::ClientAddresses;
use cors::Cors;
use reply::Outcome;
use serve::Peer;

/// Everything that answers log requests, shared by all of them.
pub(crate) struct Ingest<A> {
    bodies: BodyReader,
    budget: Budget,
    intake: Intake,
    addresses: ClientAddresses,
    origins: OriginRule,
    cors: Cors,
    sessions: Sessions,
    identities: IdentityDigests,
    authenticator: A,
    assembly: Assembly,
    request_timeout: Duration,
    debug_from: DebugFrom,
    telemetry: IngestTelemetry,
}

impl<A: Authenticator> Ingest<A> {
    pub(crate) fn new(
        config: &IngestConfig,
        authenticator: A,
        assembly: Assembly,
        budget: Budget,
        telemetry: IngestTelemetry,
    ) -> Result<Self, TaskError> {
        let sessions = Sessions::new(&config.sessions);
        Ok(Self {
            bodies: BodyReader::new(config.body_timeout, budget.clone()),
            budget,
            intake: Intake::new(config.intake.clone()),
            addresses: ClientAddresses::new(config.trusted_proxies.clone(), config.forwarded_header),
            origins: OriginRule::new(config.allowed_origins.clone()),
            cors: Cors::new(config.allowed_origins.clone()),
            identities: IdentityDigests::new(&config.sessions),
            sessions: sessions.map_err(|error| TaskError::Misconfigured(error.to_string()))?,
            authenticator,
            assembly,
            request_timeout: config.request_timeout,
            debug_from: config.debug_from.clone(),
            telemetry,
        })
    }
}

/// The public routes. Paths match with and without a last slash.
pub(crate) fn routes<A: Authenticator>(base: &BasePath, ingest: Arc<Ingest<A>>) -> BoxedFilter<(Response,)> {
    let log = at(base, "/log")
        .and(with(&ingest))
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::body::stream())
        .then(log);
    let pixel = at(base, "/pixel.gif")
        .and(with(&ingest))
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .then(pixel);
    let batch = at(base, "/batch")
        .and(with(&ingest))
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::body::stream())
        .then(batch);
    // Each `or` clones its right side for every request, so that one is boxed: a count, not a copy.
    let rest = batch.or(pixel).unify().boxed();
    log.or(rest).unify().recover(move |_: Rejection| not_found(Arc::clone(&ingest))).unify().boxed()
}

/// Matches one path, compared whole.
fn at(base: &BasePath, path: &str) -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    let path: Arc<str> = format!("{}{path}", base.as_str()).into();
    warp::path::full()
        .and_then(move |full: warp::path::FullPath| {
            let matches =
                full.as_str().strip_prefix(&*path).is_some_and(|rest| rest.is_empty() || rest == "/");
            std::future::ready(if matches { Ok(()) } else { Err(warp::reject::not_found()) })
        })
        .untuple_one()
}

fn with<T: Send + Sync>(
    shared: &Arc<T>,
) -> impl Filter<Extract = (Arc<T>,), Error = Infallible> + Clone + use<T> {
    let shared = Arc::clone(shared);
    warp::any().map(move || Arc::clone(&shared))
}

async fn log<A: Authenticator>(
    ingest: Arc<Ingest<A>>,
    method: Method,
    headers: HeaderMap,
    Peer(peer): Peer,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let begun = Instant::now();
    let _in_flight = ingest.telemetry.request_begun();
    let outcome = match method {
        Method::POST => log::answer(&ingest, &headers, peer, body).await.into(),
        Method::OPTIONS => return ingest.cors.preflight(&headers),
        _ => Outcome::MethodNotAllowed { allow: "POST, OPTIONS" },
    };
    ingest.finish(outcome, &headers, begun)
}

async fn batch<A: Authenticator>(
    ingest: Arc<Ingest<A>>,
    method: Method,
    headers: HeaderMap,
    Peer(peer): Peer,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let begun = Instant::now();
    let _in_flight = ingest.telemetry.request_begun();
    let outcome = match method {
        Method::POST => batch::answer(&ingest, &headers, peer, body).await.into(),
        Method::OPTIONS => return ingest.cors.preflight(&headers),
        _ => Outcome::MethodNotAllowed { allow: "POST, OPTIONS" },
    };
    ingest.finish(outcome, &headers, begun)
}

async fn pixel<A: Authenticator>(
    ingest: Arc<Ingest<A>>,
    method: Method,
    headers: HeaderMap,
    Peer(peer): Peer,
    query: String,
) -> Response {
    let begun = Instant::now();
    let _in_flight = ingest.telemetry.request_begun();
    let outcome = match method {
        Method::GET => pixel::answer(&ingest, &headers, peer, &query).await.into(),
        // Asking what the answer would look like is not a visit.
        Method::HEAD => return reply::pixel(),
        Method::OPTIONS => return reply::options("GET, HEAD, OPTIONS"),
        _ => Outcome::MethodNotAllowed { allow: "GET, HEAD, OPTIONS" },
    };
    ingest.finish(outcome, &headers, begun)
}

async fn not_found<A: Authenticator>(ingest: Arc<Ingest<A>>) -> Result<Response, Infallible> {
    let outcome = Outcome::NotFound;
    ingest.telemetry.rejected(outcome.name());
    Ok(outcome.into_response())
}

impl<A> Ingest<A> {
    fn finish(&self, outcome: Outcome, headers: &HeaderMap, begun: Instant) -> Response {
        match &outcome {
            Outcome::Accepted(accepted) => self.telemetry.accepted(accepted.activities as u64),
            _ => self.telemetry.rejected(outcome.name()),
        }
        self.telemetry.answered(begun.elapsed());
        let mut response = outcome.into_response();
        self.cors.allow(headers, &mut response);
        response
    }
}
