//! `POST /frames`: a finished frame from a command on this machine, such as a replay of dead letters.
//!
//! Rule of safety: nobody gets a frame in without the key of
//! [`AdminAccess`](crate::data_directory::AdminAccess), which only the owner of
//! the data directory can read; without one this process takes no frames.
//! Held by `tests/end_to_end/dead_letters.rs`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use shared::frame::{FRAME_BYTES_MAX, Frame, decode};
use shared::queue::FramePublisher;
use shared::secret::Secret;
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::{detail, text};
use crate::adapters::AnyQueue;

/// Of the request's body.
pub(super) const BYTES_MAX: u64 = FRAME_BYTES_MAX as u64;
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn take(
    queue: &AnyQueue,
    key: Option<&Secret>,
    authorization: Option<&str>,
    bytes: Bytes,
) -> Response<String> {
    let Some(key) = key else { return detail(StatusCode::NOT_FOUND, "Not found.") };
    if !is_authorized(key, authorization) {
        let mut response = detail(StatusCode::UNAUTHORIZED, "The key of the data directory is needed.");
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let frame = match decode(bytes.clone()) {
        Ok(frame) => {
            Frame { id: frame.id, count: u32::try_from(frame.activities.len()).unwrap_or(u32::MAX), bytes }
        }
        Err(error) => return detail(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match queue.publish(&frame, Instant::now() + PUBLISH_TIMEOUT).await {
        Ok(_) => text(StatusCode::NO_CONTENT, String::new()),
        Err(error) => {
            let mut response = detail(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}

fn is_authorized(key: &Secret, authorization: Option<&str>) -> bool {
    let given = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    given.as_bytes().ct_eq(key.expose().as_bytes()).into()
}
