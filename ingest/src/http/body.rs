//! Reads a body: within its limits, from memory that was reserved before.
//!
//! warp's own body filters refuse chunked bodies (411) or have no limit.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use super::decompress::Coding;
use crate::budget::{Budget, Reservation};

/// What a request takes besides its body: headers, task, the activity that it becomes.
pub(super) const REQUEST_BYTES: usize = 1024;
/// Reserved before the first byte; a larger body takes more as it comes, so that a slow client
/// with a large promise does not lock the others out.
const FIRST_BYTES_MAX: usize = 64 * 1024;

/// A whole body and the memory that it may take.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) reservation: Reservation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Declared or streamed beyond the limit.
    TooLarge,
    /// Not whole within its time.
    Late,
    /// The client broke off, or its chunks make no sense.
    Broken,
    UnsupportedEncoding,
    /// Not what its `Content-Encoding` says, or cut.
    Corrupt,
    /// No memory for it now.
    Overloaded,
}

#[derive(Debug)]
pub(super) struct BodyReader {
    timeout: Duration,
    budget: Budget,
}

impl BodyReader {
    pub(super) fn new(timeout: Duration, budget: Budget) -> Self {
        Self { timeout, budget }
    }

    /// Reads at most `bytes_max`, and makes no more of it when it is compressed; refuses before
    /// it reads where the headers suffice.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        stream: impl Stream<Item = Result<impl Buf, warp::Error>>,
        bytes_max: usize,
    ) -> Result<Body, BodyError> {
        let coding = Coding::of(headers)?;
        // A chunked body declares nothing and may become as large as any.
        let declared = declared_bytes(headers).unwrap_or(bytes_max);
        if declared > bytes_max {
            return Err(BodyError::TooLarge);
        }
        let first_bytes = declared.min(FIRST_BYTES_MAX);
        let reservation = self.budget.reserve(first_bytes + REQUEST_BYTES).ok_or(BodyError::Overloaded)?;
        let mut collected =
            Collected { first: Bytes::new(), whole: BytesMut::new(), first_bytes, reservation };
        tokio::time::timeout(self.timeout, collected.read(stream, bytes_max))
            .await
            .map_err(|_| BodyError::Late)??;
        let Collected { first, whole, mut reservation, .. } = collected;
        let coded = if whole.is_empty() { first } else { whole.freeze() };
        let bytes = coding.decode(coded, bytes_max, &mut reservation)?;
        Ok(Body { bytes, reservation })
    }
}

fn declared_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What has come so far.
struct Collected {
    /// The usual body comes in one piece and is not copied.
    first: Bytes,
    /// All of it, from the second piece on.
    whole: BytesMut,
    /// Bytes of the body that `reservation` holds already.
    first_bytes: usize,
    reservation: Reservation,
}

impl Collected {
    async fn read(
        &mut self,
        stream: impl Stream<Item = Result<impl Buf, warp::Error>>,
        bytes_max: usize,
    ) -> Result<(), BodyError> {
        let mut stream = pin!(stream);
        while let Some(chunk) = stream.next().await {
            self.push(chunk.map_err(|_| BodyError::Broken)?, bytes_max)?;
        }
        Ok(())
    }

    fn push(&mut self, mut chunk: impl Buf, bytes_max: usize) -> Result<(), BodyError> {
        let before = self.first.len().max(self.whole.len());
        let after = before + chunk.remaining();
        if after > bytes_max {
            return Err(BodyError::TooLarge);
        }
        let more = after.saturating_sub(before.max(self.first_bytes));
        if more > 0 {
            self.reservation.grow(more).ok_or(BodyError::Overloaded)?;
        }
        if before == 0 {
            self.first = chunk.copy_to_bytes(chunk.remaining());
        } else {
            if self.whole.is_empty() {
                self.whole.extend_from_slice(&self.first);
            }
            self.whole.put(chunk);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn chunks(chunks: &[&'static str]) -> impl Stream<Item = Result<Bytes, warp::Error>> {
        stream::iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect::<Vec<_>>())
    }

    fn headers(headers: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value))).collect()
    }

    async fn read(
        reader: &BodyReader,
        headers: &HeaderMap,
        parts: &[&'static str],
    ) -> Result<Body, BodyError> {
        reader.read(headers, chunks(parts), 8).await
    }

    #[tokio::test]
    async fn limits_hold_for_declared_and_streamed_bodies() {
        let budget = Budget::new(2 * REQUEST_BYTES);
        let reader = BodyReader::new(Duration::from_secs(1), budget.clone());
        let none = HeaderMap::new();
        for parts in [&["12345678"][..], &["1234", "", "5678"], &["1", "2345678"]] {
            assert_eq!(read(&reader, &none, parts).await.expect("a body").bytes, "12345678");
        }
        assert!(read(&reader, &none, &[]).await.expect("an empty body").bytes.is_empty());
        for parts in [&["123456789"][..], &["1234", "56789"]] {
            assert_eq!(read(&reader, &none, parts).await.expect_err("too large"), BodyError::TooLarge);
        }
        let declared = headers(&[(CONTENT_LENGTH, "9")]);
        assert_eq!(read(&reader, &declared, &[]).await.expect_err("too large"), BodyError::TooLarge);
        assert_eq!(budget.reserved(), 0);
    }

    #[tokio::test]
    async fn memory_is_reserved_before_reading() {
        let reader = BodyReader::new(Duration::from_secs(1), Budget::new(REQUEST_BYTES + 4));
        let held = read(&reader, &headers(&[(CONTENT_LENGTH, "4")]), &["1234"]).await.expect("a body");
        let refused = read(&reader, &headers(&[(CONTENT_LENGTH, "0")]), &[]).await;
        assert_eq!(refused.expect_err("no memory"), BodyError::Overloaded);
        drop(held);
        let undeclared = read(&reader, &HeaderMap::new(), &["1"]).await;
        assert_eq!(undeclared.expect_err("could become 8 bytes"), BodyError::Overloaded);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_has_a_deadline() {
        let reader = BodyReader::new(Duration::from_secs(1), Budget::new(100_000));
        let slow = stream::pending::<Result<Bytes, warp::Error>>();
        assert_eq!(reader.read(&HeaderMap::new(), slow, 8).await.expect_err("late"), BodyError::Late);
    }

    #[tokio::test]
    async fn a_large_promise_takes_memory_as_it_is_kept() {
        let budget = Budget::new(REQUEST_BYTES + 2 * FIRST_BYTES_MAX);
        let reader = BodyReader::new(Duration::from_secs(1), budget.clone());
        let large = Bytes::from(vec![b'x'; FIRST_BYTES_MAX]);
        let parts = |count: usize| stream::iter((0..count).map(|_| Ok::<_, warp::Error>(large.clone())));
        let body = reader.read(&HeaderMap::new(), parts(2), usize::MAX / 2).await.expect("a body");
        assert_eq!(budget.reserved(), REQUEST_BYTES + 2 * FIRST_BYTES_MAX);
        drop(body);
        let refused = reader.read(&HeaderMap::new(), parts(3), usize::MAX / 2).await;
        assert_eq!(refused.expect_err("no memory"), BodyError::Overloaded);
        assert_eq!(budget.reserved(), 0);
    }
}
