//! `/livez`, `/readyz`, `/metrics` and `/status`, on a listener of their own.
//!
//! A process that has the queue open takes frames there as well ([`frames`]).
//!
//! Rule of safety: these routes exist on `--admin-listen` alone; the public
//! listener answers them like any unknown path. Held by `tests/configuration/start.rs`.

mod frames;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use ingest::IngestTelemetry;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use shared::queue::{Backlog, QueueBacklog};
use shared::readiness::Readiness;
use shared::secret::Secret;
use warp::filters::BoxedFilter;
use warp::reply::Reply;
use warp::{Filter, reply};
use writer::WriterTelemetry;

use crate::adapters::AnyQueue;
use crate::process;
use crate::store_totals::StoreTotals;

/// A queue that does not answer must not keep `/status` from answering.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(2);

/// What the process knows about itself.
#[derive(Clone)]
pub(crate) struct Admin(Arc<Facts>);

pub(crate) struct Facts {
    pub(crate) role: &'static str,
    pub(crate) started: Instant,
    pub(crate) readiness: Readiness,
    pub(crate) ingest: Option<IngestTelemetry>,
    pub(crate) writer: Option<WriterTelemetry>,
    pub(crate) queue: AnyQueue,
    /// What the database keeps, where this process has one.
    pub(crate) totals: Option<StoreTotals>,
    /// Whoever knows it may publish frames; `None`: nobody may.
    pub(crate) frames_key: Option<Secret>,
    pub(crate) metrics: PrometheusHandle,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
}

impl Admin {
    pub(crate) fn new(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    /// Answers every request; nothing rejects.
    pub(crate) fn routes(self) -> BoxedFilter<(reply::Response,)> {
        self.clone().frames().or(self.pages()).unify().boxed()
    }

    /// Rejects what is no frame; [`Admin::pages`] answers it.
    fn frames(self) -> BoxedFilter<(reply::Response,)> {
        warp::path!("frames")
            .and(warp::post())
            .and(warp::header::optional::<String>("authorization"))
            .and(warp::body::content_length_limit(frames::BYTES_MAX))
            .and(warp::body::bytes())
            .and_then(move |authorization: Option<String>, bytes: Bytes| {
                let admin = self.clone();
                async move {
                    let Facts { queue, frames_key, .. } = &*admin.0;
                    let taken =
                        frames::take(queue, frames_key.as_ref(), authorization.as_deref(), bytes).await;
                    Ok::<_, Infallible>(taken.into_response())
                }
            })
            .boxed()
    }

    fn pages(self) -> BoxedFilter<(reply::Response,)> {
        warp::method()
            .and(warp::path::full())
            .and(warp::header::optional::<String>("accept"))
            .and_then(move |method: Method, path: warp::path::FullPath, accept: Option<String>| {
                let admin = self.clone();
                async move {
                    Ok::<_, Infallible>(
                        admin.answer(&method, path.as_str(), accept.as_deref()).await.into_response(),
                    )
                }
            })
            .boxed()
    }

    async fn answer(&self, method: &Method, path: &str, accept: Option<&str>) -> Response<String> {
        let is_known = matches!(path, "/livez" | "/readyz" | "/metrics" | "/status");
        if path == "/frames" && self.0.frames_key.is_some() {
            return only(method, "POST");
        }
        if !is_known {
            return detail(StatusCode::NOT_FOUND, "Not found.");
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return only(method, "GET, HEAD");
        }
        match path {
            "/livez" => text(StatusCode::OK, "live\n".to_owned()),
            "/metrics" => text(StatusCode::OK, self.metrics()),
            "/readyz" if accept.is_some_and(|accept| accept.contains("text/plain")) => self.ready(Form::Text),
            "/readyz" => self.ready(Form::Json),
            _ => respond(StatusCode::OK, "application/json", self.status().await.to_string()),
        }
    }

    fn metrics(&self) -> String {
        let ready = if self.0.readiness.reasons().is_empty() { 1.0 } else { 0.0 };
        gauge!("djaffar_ready", "host" => process::host()).set(ready);
        self.0.metrics.render()
    }

    fn ready(&self, form: Form) -> Response<String> {
        let reasons = self.0.readiness.reasons();
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if form == Form::Text {
            let lines = reasons.iter().map(|(name, reason)| format!("{name}: {reason}\n"));
            let body = if reasons.is_empty() { "ready\n".to_owned() } else { lines.collect() };
            return text(status, body);
        }
        let mut body = json!({ "ready": reasons.is_empty(), "reasons": named(reasons) });
        if let Some(writer) = &self.0.writer {
            body["writer"] = json!(writer.snapshot());
        }
        if let Some(spool) = self.spool() {
            body["spool"] = spool;
        }
        respond(status, "application/json", body.to_string())
    }

    fn spool(&self) -> Option<Value> {
        self.0.queue.in_spool().as_ref().map(figures)
    }

    /// Accepted is read before the spool, and that before the backlog: what moves on meanwhile is counted twice, never missed.
    async fn status(&self) -> Value {
        let ingest = self.0.ingest.as_ref().map(IngestTelemetry::snapshot);
        let spool = self.spool();
        let backlog = tokio::time::timeout(BACKLOG_TIMEOUT, self.0.queue.backlog()).await;
        let backlog = match backlog {
            Ok(Ok(backlog)) => figures(&backlog),
            Ok(Err(error)) => json!({ "error": error.to_string() }),
            Err(_) => json!({ "error": "the queue has not answered" }),
        };
        let reasons = self.0.readiness.reasons();
        json!({
            "role": self.0.role,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.0.started.elapsed().as_secs(),
            "ready": reasons.is_empty(),
            "reasons": named(reasons),
            "ingest": ingest,
            "writer": self.0.writer.as_ref().map(WriterTelemetry::snapshot),
            "dead_letters": self.0.totals.as_ref().map(StoreTotals::dead_letters),
            "queue": self.0.queue.name(),
            "backlog": backlog,
            "spool": spool,
        })
    }
}

fn figures(backlog: &Backlog) -> Value {
    json!({
        "frames": backlog.frames,
        "activities": backlog.activities,
        "bytes": backlog.bytes,
        "oldest": backlog.oldest.map(|oldest| oldest.to_rfc3339()),
    })
}

fn named(reasons: Vec<(&'static str, String)>) -> Value {
    Value::Object(
        reasons.into_iter().map(|(name, reason)| (name.to_owned(), Value::String(reason))).collect(),
    )
}

/// The method is wrong, or it is right and the body is not one that is read.
fn only(method: &Method, allowed: &'static str) -> Response<String> {
    if allowed.contains(method.as_str()) {
        return detail(StatusCode::PAYLOAD_TOO_LARGE, "A body of known and moderate length is needed.");
    }
    let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn detail(status: StatusCode, sentence: &str) -> Response<String> {
    respond(status, "application/json", json!({ "detail": sentence }).to_string())
}

fn text(status: StatusCode, body: String) -> Response<String> {
    respond(status, "text/plain; charset=utf-8", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
