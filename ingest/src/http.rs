//! The public listener: every route, and what each request passes through.
//!
//! Once a route is known nothing rejects: whatever is wrong with a request
//! becomes an [`Outcome`], and only [`reply`] turns outcomes into answers.

mod batch;
mod body;
pub mod client_address;
mod client_script;
mod connection;
mod connections;
mod cors;
mod decompress;
mod failures;
mod limits;
mod log;
mod pixel;
mod record;
mod reply;
mod sender;
pub mod serve;
mod welcome;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use futures_util::{FutureExt, Stream};
use http::{HeaderMap, Method};
use shared::lifecycle::TaskError;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::assemble::Assembly;
use crate::budget::Budget;
use crate::config::{BasePath, DebugFrom, IngestConfig};
use crate::identity::{Authenticator, IdentityDigests, OriginRule, Sessions};
use crate::intake::Intake;
use crate::privacy::PrivacyConfig;
use crate::telemetry::IngestTelemetry;

use body::BodyReader;
use client_address::ClientAddresses;
use client_script::ClientScript;
use cors::Cors;
use failures::{Failures, request_id};
use limits::Limits;
use reply::Outcome;
use serve::{Head, Routes};
use welcome::Welcome;

/// Everything that answers log requests, shared by all of them.
pub(crate) struct Ingest<A> {
    bodies: BodyReader,
    budget: Budget,
    intake: Intake,
    addresses: ClientAddresses,
    limits: Limits,
    origins: OriginRule,
    cors: Cors,
    sessions: Sessions,
    identities: IdentityDigests,
    authenticator: A,
    assembly: Assembly,
    request_timeout: Duration,
    debug_from: DebugFrom,
    privacy: PrivacyConfig,
    welcome: Option<Welcome>,
    telemetry: IngestTelemetry,
    failures: Failures,
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
            limits: Limits::new(config.rate_limits),
            origins: OriginRule::new(config.allowed_origins.clone()),
            cors: Cors::new(config.allowed_origins.clone()),
            identities: IdentityDigests::new(&config.sessions),
            sessions: sessions.map_err(|error| TaskError::Misconfigured(error.to_string()))?,
            authenticator,
            assembly,
            request_timeout: config.request_timeout,
            debug_from: config.debug_from.clone(),
            privacy: config.privacy.clone(),
            welcome: config.welcome.map(|template| Welcome::new(template, &config.base_path)),
            telemetry,
            failures: Failures::new(),
        })
    }
}

/// The public routes. Paths match with and without a last slash.
pub(crate) fn routes<A: Authenticator>(base: &BasePath, ingest: Arc<Ingest<A>>) -> Routes {
    // Boxed, so that the filters around it pass a pointer on.
    let log = at(base, "/log")
        .and(with(&ingest))
        .and(warp::method())
        .and(warp::ext::get::<Head>())
        .and(warp::body::stream())
        .then(|ingest, method, head, body| log(ingest, method, head, body).boxed());
    let pixel = at(base, "/pixel.gif")
        .and(with(&ingest))
        .and(warp::method())
        .and(warp::ext::get::<Head>())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .then(pixel);
    let batch = at(base, "/batch")
        .and(with(&ingest))
        .and(warp::method())
        .and(warp::ext::get::<Head>())
        .and(warp::body::stream())
        .then(batch);
    let script = at(base, "/djaffar.js")
        .and(with(&Arc::new(ClientScript::new())))
        .and(warp::method())
        .and(warp::ext::get::<Head>())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .map(script);
    let welcome = warp::path::end().and(with(&ingest)).and(warp::method()).and_then(welcome);
    // Each `or` clones its right side for every request, so that one is boxed: a count, not a copy.
    let rest = batch.or(pixel).unify().or(script).unify().or(welcome).unify().boxed();
    let all = log.or(rest).unify().recover(move |_: Rejection| not_found(Arc::clone(&ingest))).unify();
    Routes::with_head(all.boxed())
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
    Head { peer, headers }: Head,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let begun = Instant::now();
    let _in_flight = ingest.telemetry.request_begun();
    let outcome = match method {
        Method::POST => log::answer(&ingest, &headers, peer, body).await.into(),
        Method::OPTIONS => return ingest.cors.preflight(&headers),
        _ => Outcome::MethodNotAllowed { allow: "POST, OPTIONS" },
    };
    ingest.finish(outcome, peer, &headers, begun)
}

async fn batch<A: Authenticator>(
    ingest: Arc<Ingest<A>>,
    method: Method,
    Head { peer, headers }: Head,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let begun = Instant::now();
    let _in_flight = ingest.telemetry.request_begun();
    let outcome = match method {
        Method::POST => batch::answer(&ingest, &headers, peer, body).await.into(),
        Method::OPTIONS => return ingest.cors.preflight(&headers),
        _ => Outcome::MethodNotAllowed { allow: "POST, OPTIONS" },
    };
    ingest.finish(outcome, peer, &headers, begun)
}

async fn pixel<A: Authenticator>(
    ingest: Arc<Ingest<A>>,
    method: Method,
    Head { peer, headers }: Head,
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
    ingest.finish(outcome, peer, &headers, begun)
}

/// Hidden from the telemetry of log requests: it stores nothing.
fn script(script: Arc<ClientScript>, method: Method, Head { headers, .. }: Head, query: String) -> Response {
    match method {
        // The server sends no body to HEAD.
        Method::GET | Method::HEAD => script.answer(&headers, &query),
        Method::OPTIONS => reply::options("GET, HEAD, OPTIONS"),
        _ => Outcome::MethodNotAllowed { allow: "GET, HEAD, OPTIONS" }.into_response(),
    }
}

async fn welcome<A: Authenticator>(ingest: Arc<Ingest<A>>, method: Method) -> Result<Response, Rejection> {
    let page = ingest.welcome.as_ref().ok_or_else(warp::reject::not_found)?;
    Ok(page.answer(&method))
}

async fn not_found<A: Authenticator>(ingest: Arc<Ingest<A>>) -> Result<Response, Infallible> {
    let outcome = Outcome::NotFound;
    ingest.telemetry.rejected(outcome.name());
    Ok(outcome.into_response())
}

impl<A> Ingest<A> {
    fn finish(&self, outcome: Outcome, peer: IpAddr, headers: &HeaderMap, begun: Instant) -> Response {
        let reason = outcome.name();
        match &outcome {
            Outcome::Accepted(accepted) => self.telemetry.accepted(accepted.activities as u64),
            _ => self.telemetry.rejected(reason),
        }
        self.telemetry.answered(begun.elapsed());
        let mut response = outcome.into_response();
        if response.status().is_server_error() {
            self.failures.tell(reason, request_id(&self.addresses, peer, headers), &mut response);
        }
        self.cors.allow(headers, &mut response);
        response
    }
}
