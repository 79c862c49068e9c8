//! Publishes one frame until its fate is known or the deadline has passed.
//!
//! An answer that does not come is unknown, never failed: the same bytes go
//! out again under the same id, at once on a new connection, else on timeout.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, Request};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::stream::SUBJECT;
use super::{Inner, Link, Session};
use crate::frame::Frame;
use crate::queue::{PublishError, Synced};

/// Carries the number of activities, for whoever looks at the stream without decoding frames.
pub(super) const ACTIVITIES_HEADER: &str = "Djaffar-Activities";
/// After so long the same frame is sent again; the stream drops the double.
const RESEND_AFTER: Duration = Duration::from_secs(2);
/// Between attempts that were answered with "not now".
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What one attempt has shown.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Final(Result<Synced, PublishError>),
    /// The server may have the frame or not, or is not ready: ask again.
    Again {
        reason: String,
        stream: Suspicion,
    },
}

/// Whether the answer speaks of a stream that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suspicion {
    None,
    Missing,
}

pub(super) async fn publish(inner: &Inner, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_MESSAGE_ID, frame.id.to_string());
    headers.insert(ACTIVITIES_HEADER, frame.count.to_string());
    let mut link = inner.link.subscribe();
    let mut reason = "the publish had no time left".to_owned();
    while Instant::now() < deadline {
        let session = match &*link.borrow_and_update() {
            Link::Up(session) => Some(Arc::clone(session)),
            Link::Down { reason: down } => {
                reason.clone_from(down);
                None
            }
        };
        let Some(session) = session else {
            // Its end is seen at the loop's head.
            timeout_at(deadline, link.changed()).await.ok();
            continue;
        };
        let resend = (Instant::now() + RESEND_AFTER).min(deadline);
        tokio::select! {
            answer = attempt(inner, &session, frame, headers.clone()) => match answer {
                Answer::Final(outcome) => return outcome,
                Answer::Again { reason: again, stream } => {
                    reason = again;
                    if stream == Suspicion::Missing {
                        inner.suspect.notify_one();
                    }
                    sleep_until((Instant::now() + RETRY_PAUSE).min(deadline)).await;
                }
            },
            _ = link.changed() => {
                reason = "the connection was lost".to_owned();
                inner.abandoned();
            }
            () = sleep_until(resend) => {
                reason = "no answer in time".to_owned();
                inner.abandoned();
            }
        }
    }
    Err(PublishError::Unknown { reason })
}

async fn attempt(inner: &Inner, session: &Session, frame: &Frame, headers: HeaderMap) -> Answer {
    // No timeout of the client's: the caller has its own around everything.
    let request = Request::new().headers(headers).payload(frame.bytes.clone()).timeout(None);
    match session.connection.client.send_request(SUBJECT, request).await {
        Ok(message) => match serde_json::from_slice::<Response<PublishAck>>(&message.payload) {
            Ok(Response::Ok(ack)) => judge_ack(&ack, &inner.config.stream),
            Ok(Response::Err { error }) => judge_error(&error),
            Err(error) => Answer::Again {
                reason: format!("an answer that is no publish ack ({error})"),
                stream: Suspicion::None,
            },
        },
        Err(error) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
            let reason = format!("the frame is larger than the server's max_payload ({error})");
            Answer::Final(Err(PublishError::Full { reason }))
        }
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            let reason = "no stream takes the frame (no responders)".to_owned();
            Answer::Again { reason, stream: Suspicion::Missing }
        }
        Err(error) => Answer::Again { reason: error.to_string(), stream: Suspicion::None },
    }
}

fn judge_ack(ack: &PublishAck, stream: &str) -> Answer {
    if ack.stream == stream {
        return Answer::Final(Ok(Synced { duplicate: ack.duplicate }));
    }
    let reason = format!("the stream {} has taken a frame of {stream}", ack.stream);
    tracing::error!(reason, "two streams for the same subject");
    Answer::Again { reason, stream: Suspicion::Missing }
}

fn judge_error(error: &jetstream::Error) -> Answer {
    let reason = error.to_string();
    match error.error_code() {
        ErrorCode::STREAM_STORE_FAILED | ErrorCode::INSUFFICIENT_RESOURCES => {
            Answer::Final(Err(PublishError::Full { reason }))
        }
        ErrorCode::STREAM_NOT_FOUND => Answer::Again { reason, stream: Suspicion::Missing },
        // 10158 (the first copy is still on its way), 503, and whatever else a server may say.
        _ => Answer::Again { reason, stream: Suspicion::None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u64) -> jetstream::Error {
        serde_json::from_value(serde_json::json!({"code": 503, "err_code": code, "description": "why"}))
            .expect("an error as the server sends it")
    }

    #[test]
    fn full_is_final_and_the_rest_is_unknown() {
        for code in [10077, 10023] {
            assert!(
                matches!(judge_error(&error(code)), Answer::Final(Err(PublishError::Full { .. }))),
                "{code}"
            );
        }
        for code in [10158, 10008, 10076, 0] {
            assert!(matches!(judge_error(&error(code)), Answer::Again { .. }), "{code}");
        }
    }

    #[test]
    fn an_ack_counts_only_from_our_stream() {
        let ack = PublishAck { stream: "DJAFFAR".to_owned(), duplicate: true, ..PublishAck::default() };
        assert_eq!(judge_ack(&ack, "DJAFFAR"), Answer::Final(Ok(Synced { duplicate: true })));
        assert!(matches!(judge_ack(&ack, "OTHER"), Answer::Again { .. }));
    }
}
