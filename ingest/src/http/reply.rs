//! Outcomes to answers. The only maker of status codes.
//!
//! Rule of safety: an answer says 2xx only for [`Outcome::Accepted`], carries
//! no input and no internals, and sets a cookie or tells an identity only when
//! something was stored. An answer with a body says how browsers may use it; the 204 of a log request
//! has none and carries nothing that would not help. Held by `tests/bad_input.rs`.

use std::borrow::Cow;

use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use super::body::BodyError;
use crate::assemble::NotSynced;
use crate::identity::{IdentityDigest, IdentityError};
use crate::intake::{BatchRejection, FieldErrors, RejectedItem, Rejection};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
pub(super) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
pub(super) const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// Any site may show it, under a COEP too.
pub(super) const CROSS_ORIGIN: HeaderValue = HeaderValue::from_static("cross-origin");
/// No other site may load it; reading it by CORS is another matter.
pub(super) const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const DJAFFAR_IDENTITY: HeaderName = HeaderName::from_static("djaffar-identity");
/// A transparent pixel.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x01D\0;";
/// For a connection that gets no request of its own.
pub(super) const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    connection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Accepted(Accepted),
    Rejected(Rejection),
    BatchRejected(BatchRejection),
    /// No item of a batch is good.
    ItemsRejected(BatchReport),
    UnsupportedMediaType,
    Body(BodyError),
    ForeignOrigin,
    Unauthorized {
        challenge: HeaderValue,
        detail: Cow<'static, str>,
    },
    /// The user is known, and the page has not proved that it may speak for them.
    Forbidden {
        detail: Cow<'static, str>,
    },
    IdentityUnreachable,
    RateLimited {
        by: LimitedBy,
        retry_after_seconds: u64,
    },
    Overloaded,
    NotSynced(NotSynced),
    MethodNotAllowed {
        allow: &'static str,
    },
    HeadersTooLarge,
    NotFound,
}

/// Which key has sent too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitedBy {
    Ip,
    Session,
}

/// Everything accepted is synced.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) activities: usize,
    /// Whose activities a client queues from now on.
    pub(super) identity: IdentityDigest,
    pub(super) set_cookie: Option<HeaderValue>,
    pub(super) shown: Shown,
}

#[derive(Debug)]
pub(super) enum Shown {
    Nothing,
    Pixel,
    /// The stored activity, as JSON.
    Activity(Vec<u8>),
    Batch(BatchReport),
}

/// What became of a batch's items.
#[derive(Debug, Serialize)]
pub(super) struct BatchReport {
    pub(super) accepted: usize,
    pub(super) rejected: Vec<RejectedItem>,
}

#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

#[derive(Serialize)]
struct Errors<'a> {
    errors: &'a FieldErrors,
}

impl From<Result<Accepted, Self>> for Outcome {
    fn from(result: Result<Accepted, Self>) -> Self {
        result.map_or_else(|refused| refused, Self::Accepted)
    }
}

impl From<BodyError> for Outcome {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<IdentityError> for Outcome {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Failed { challenge, detail } => Self::Unauthorized { challenge, detail },
            IdentityError::Forbidden { detail } => Self::Forbidden { detail },
            IdentityError::ForeignOrigin => Self::ForeignOrigin,
            // Told to the operator by whoever has asked, once and not for each request.
            IdentityError::Unreachable(_) => Self::IdentityUnreachable,
        }
    }
}

impl Outcome {
    /// The bounded label for metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Rejected(rejection) => rejection.label(),
            Self::BatchRejected(rejection) => rejection.label(),
            Self::ItemsRejected(_) => "all_items_rejected",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Body(BodyError::TooLarge) => "body_too_large",
            Self::Body(BodyError::Late) => "body_late",
            Self::Body(BodyError::Broken) => "body_broken",
            Self::Body(BodyError::UnsupportedEncoding) => "unsupported_encoding",
            Self::Body(BodyError::Corrupt) => "body_corrupt",
            Self::Body(BodyError::Overloaded) | Self::Overloaded => "overloaded",
            Self::ForeignOrigin => "foreign_origin",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::IdentityUnreachable => "identity_unreachable",
            Self::RateLimited { by: LimitedBy::Ip, .. } => "rate_limited_ip",
            Self::RateLimited { by: LimitedBy::Session, .. } => "rate_limited_session",
            Self::NotSynced(NotSynced::Full) => "queue_full",
            Self::NotSynced(NotSynced::Unknown) => "queue_unavailable",
            Self::NotSynced(NotSynced::TooLarge) => "activity_too_large",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::HeadersTooLarge => "headers_too_large",
            Self::NotFound => "not_found",
        }
    }

    pub(super) fn into_response(self) -> Response {
        use StatusCode as S;
        match self {
            Self::Accepted(accepted) => accepted.into_response(),
            Self::Rejected(Rejection::Invalid(errors)) => json(S::BAD_REQUEST, &Errors { errors: &errors }),
            Self::Rejected(Rejection::Malformed(text))
            | Self::BatchRejected(BatchRejection::Malformed(text)) => detail(S::BAD_REQUEST, text),
            Self::BatchRejected(BatchRejection::TooManyItems) => {
                detail(S::PAYLOAD_TOO_LARGE, "The batch has too many items.")
            }
            Self::ItemsRejected(report) => json(S::BAD_REQUEST, &report),
            Self::Body(BodyError::Corrupt) => detail(S::BAD_REQUEST, "The request body does not decompress."),
            Self::Body(BodyError::Broken) => closing(detail(S::BAD_REQUEST, "The request body is broken.")),
            Self::Body(BodyError::Late) => {
                closing(detail(S::REQUEST_TIMEOUT, "The request body did not arrive in time."))
            }
            Self::Body(BodyError::TooLarge) => {
                closing(detail(S::PAYLOAD_TOO_LARGE, "The request body is too large."))
            }
            Self::NotSynced(NotSynced::TooLarge) => {
                detail(S::PAYLOAD_TOO_LARGE, "The activity is too large.")
            }
            Self::UnsupportedMediaType => {
                detail(S::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type in request.")
            }
            Self::Body(BodyError::UnsupportedEncoding) => with(
                detail(S::UNSUPPORTED_MEDIA_TYPE, "Unsupported content encoding in request."),
                ACCEPT_ENCODING,
                HeaderValue::from_static("gzip, zstd"),
            ),
            Self::Unauthorized { challenge, detail: text } => {
                with(detail(S::UNAUTHORIZED, &text), WWW_AUTHENTICATE, challenge)
            }
            Self::Forbidden { detail: text } => detail(S::FORBIDDEN, &text),
            Self::ForeignOrigin => {
                detail(S::FORBIDDEN, "Requests with cookies are not accepted from this origin.")
            }
            Self::Body(BodyError::Overloaded) | Self::Overloaded => {
                retry("1", "Too many requests wait. Try again.")
            }
            Self::RateLimited { retry_after_seconds, .. } => with(
                detail(S::TOO_MANY_REQUESTS, "Too many requests. Try again later."),
                RETRY_AFTER,
                HeaderValue::from(retry_after_seconds),
            ),
            Self::NotSynced(NotSynced::Full) => retry("10", "The queue is full. Try again."),
            Self::NotSynced(NotSynced::Unknown) => retry(
                "2",
                "It is unknown whether the activity was stored. Try again with the same id and date.",
            ),
            Self::IdentityUnreachable => retry("2", "The user cannot be verified now. Try again."),
            Self::MethodNotAllowed { allow } => with(
                detail(S::METHOD_NOT_ALLOWED, "Method not allowed."),
                ALLOW,
                HeaderValue::from_static(allow),
            ),
            Self::HeadersTooLarge => {
                detail(S::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has too many headers.")
            }
            Self::NotFound => detail(S::NOT_FOUND, "Not found."),
        }
    }
}

impl Accepted {
    fn into_response(self) -> Response {
        let mut response = match self.shown {
            Shown::Nothing => empty(),
            Shown::Pixel => pixel(),
            Shown::Activity(json) => with(json_text(json), CACHE_CONTROL, NO_STORE),
            Shown::Batch(report) => json(StatusCode::OK, &report),
        };
        response.headers_mut().insert(DJAFFAR_IDENTITY, self.identity.header());
        if let Some(cookie) = self.set_cookie {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }
}

/// What `OPTIONS` answers.
pub(super) fn options(allow: &'static str) -> Response {
    with(empty(), ALLOW, HeaderValue::from_static(allow))
}

/// The image of `pixel.gif`; each view is a request of its own.
pub(super) fn pixel() -> Response {
    let mut image = Response::new(GIF.into());
    let headers = image.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, CROSS_ORIGIN);
    image
}

fn empty() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The rest of the body would stand in the way of the next request.
fn closing(response: Response) -> Response {
    with(response, CONNECTION, HeaderValue::from_static("close"))
}

fn retry(seconds: &'static str, text: &'static str) -> Response {
    with(detail(StatusCode::SERVICE_UNAVAILABLE, text), RETRY_AFTER, HeaderValue::from_static(seconds))
}

fn detail(status: StatusCode, text: &str) -> Response {
    json(status, &Detail { detail: text })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).expect("texts and lists of texts serialise");
    let mut response = json_text(text);
    *response.status_mut() = status;
    response
}

fn json_text(text: Vec<u8>) -> Response {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, SAME_ORIGIN);
    response
}

fn with(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}
