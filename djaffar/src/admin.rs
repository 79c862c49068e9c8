//! `/livez`, `/readyz`, `/metrics` and `/status`, on a listener of their own.
//!
//! Rule of safety: these routes exist on `--admin-listen` alone; the public
//! listener answers them like any unknown path. Held by `tests/configuration/start.rs`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use ingest::IngestTelemetry;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use shared::queue::QueueBacklog;
use shared::readiness::Readiness;
use warp::filters::BoxedFilter;
use warp::reply::Reply;
use warp::{Filter, reply};
use writer::WriterTelemetry;

use crate::adapters::AnyQueue;

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
        if !is_known {
            return detail(StatusCode::NOT_FOUND, "Not found.");
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/livez" => text(StatusCode::OK, "live\n".to_owned()),
            "/metrics" => text(StatusCode::OK, self.0.metrics.render()),
            "/readyz" if accept.is_some_and(|accept| accept.contains("text/plain")) => self.ready(Form::Text),
            "/readyz" => self.ready(Form::Json),
            _ => respond(StatusCode::OK, "application/json", self.status().await.to_string()),
        }
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
        respond(status, "application/json", body.to_string())
    }

    /// Accepted is read before the backlog: what moves on meanwhile is counted twice, never missed.
    async fn status(&self) -> Value {
        let ingest = self.0.ingest.as_ref().map(IngestTelemetry::snapshot);
        let backlog = tokio::time::timeout(BACKLOG_TIMEOUT, self.0.queue.backlog()).await;
        let backlog = match backlog {
            Ok(Ok(backlog)) => json!({
                "frames": backlog.frames,
                "activities": backlog.activities,
                "bytes": backlog.bytes,
                "oldest": backlog.oldest.map(|oldest| oldest.to_rfc3339()),
            }),
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
            "queue": self.0.queue.name(),
            "backlog": backlog,
        })
    }
}

fn named(reasons: Vec<(&'static str, String)>) -> Value {
    Value::Object(
        reasons.into_iter().map(|(name, reason)| (name.to_owned(), Value::String(reason))).collect(),
    )
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
