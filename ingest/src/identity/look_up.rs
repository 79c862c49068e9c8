//! Asking whoever knows, within a deadline, and remembering the answer for a while.
//!
//! Rule of safety: an answer is remembered no longer than `--identity-cache-time`,
//! so that a log-out counts soon; who cannot be asked is [`Unreachable`] and never
//! remembered. For each key one question is on its way at most. Held by the tests
//! below.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, counter, histogram};
use moka::Expiry;
use moka::future::Cache;

/// "Nobody" may become somebody at any moment: a token that was just made must soon work.
const NEGATIVE_TIME_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUpConfig {
    /// Longest wait for an answer; beyond it 503.
    pub timeout: Duration,
    /// How long an answer counts.
    pub cache_time: Duration,
    /// Answers remembered by each authenticator.
    pub cache_entries_max: u64,
}

impl Default for LookUpConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            cache_time: Duration::from_secs(30),
            cache_entries_max: 100_000,
        }
    }
}

/// Why whoever knows cannot be asked, for the operator. Never holds a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// An answer that can be remembered.
pub(crate) trait Remember: Clone + Send + Sync + 'static {
    /// Whether it says that the credential is good.
    fn is_positive(&self) -> bool;
}

impl<T: Clone + Send + Sync + 'static> Remember for Option<T> {
    fn is_positive(&self) -> bool {
        self.is_some()
    }
}

/// Answers by key. A key that stands for a secret is the secret's digest.
pub(crate) struct Remembered<K, V> {
    source: &'static str,
    answers: Cache<K, V>,
    timeout: Duration,
    is_away: AtomicBool,
    telemetry: Telemetry,
}

struct Telemetry {
    positive: Counter,
    negative: Counter,
    unreachable: Counter,
    seconds: Histogram,
}

/// How long each answer lives.
struct Lifetimes {
    positive: Duration,
    negative: Duration,
}

impl<K, V: Remember> Expiry<K, V> for Lifetimes {
    fn expire_after_create(&self, _: &K, answer: &V, _: Instant) -> Option<Duration> {
        Some(if answer.is_positive() { self.positive } else { self.negative })
    }
}

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Remember,
{
    /// `source` names who is asked, in metrics and the log: one word.
    pub(crate) fn new(source: &'static str, config: &LookUpConfig) -> Self {
        let lifetimes =
            Lifetimes { positive: config.cache_time, negative: config.cache_time.min(NEGATIVE_TIME_MAX) };
        let looked_up = |outcome: &'static str| counter!("djaffar_ingest_identity_look_ups_total", "source" => source, "outcome" => outcome);
        Self {
            source,
            answers: Cache::builder().max_capacity(config.cache_entries_max).expire_after(lifetimes).build(),
            timeout: config.timeout,
            is_away: AtomicBool::new(false),
            telemetry: Telemetry {
                positive: looked_up("known"),
                negative: looked_up("unknown"),
                unreachable: looked_up("unreachable"),
                seconds: histogram!("djaffar_ingest_identity_look_up_seconds", "source" => source),
            },
        }
    }

    /// The answer, if it is remembered.
    pub(crate) async fn remembered(&self, key: &K) -> Option<V> {
        self.answers.get(key).await
    }

    /// The remembered answer, or the one that `ask` brings.
    pub(crate) async fn get<F>(&self, key: &K, ask: impl FnOnce() -> F + Send) -> Result<V, Unreachable>
    where
        F: Future<Output = Result<V, Unreachable>> + Send,
    {
        if let Some(answer) = self.answers.get(key).await {
            return Ok(answer);
        }
        // Boxed, so that a request that needs no question does not carry the room for one.
        let asking = Box::pin(self.answers.try_get_with_by_ref(key, self.ask(ask())));
        asking.await.map_err(|unreachable: Arc<Unreachable>| Unreachable::clone(&unreachable))
    }

    /// An answer that is not remembered, within the deadline.
    pub(crate) async fn ask(
        &self,
        question: impl Future<Output = Result<V, Unreachable>>,
    ) -> Result<V, Unreachable> {
        let begun = Instant::now();
        let answer = tokio::time::timeout(self.timeout, question).await.unwrap_or_else(|_| {
            Err(Unreachable(format!("no answer from {} within {:?}", self.source, self.timeout)))
        });
        self.telemetry.seconds.record(begun.elapsed());
        match &answer {
            Ok(answer) if answer.is_positive() => self.telemetry.positive.increment(1),
            Ok(_) => self.telemetry.negative.increment(1),
            Err(_) => self.telemetry.unreachable.increment(1),
        }
        self.tell(&answer);
        answer
    }

    /// Once when it goes away, once when it is back: not for each request.
    fn tell(&self, answer: &Result<V, Unreachable>) {
        let source = self.source;
        match (answer, self.is_away.swap(answer.is_err(), Ordering::Relaxed)) {
            (Err(Unreachable(reason)), false) => {
                tracing::warn!(
                    source,
                    reason,
                    "users cannot be verified; their log requests are answered 503"
                );
            }
            (Ok(_), true) => tracing::info!(source, "users can be verified again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;

    use super::*;

    fn remembered(cache_time: Duration) -> Remembered<u8, Option<u8>> {
        let config = LookUpConfig { timeout: Duration::from_millis(200), cache_time, cache_entries_max: 10 };
        Remembered::new("test", &config)
    }

    async fn counted(asked: &AtomicUsize, answer: Option<u8>) -> Result<Option<u8>, Unreachable> {
        asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(answer)
    }

    #[tokio::test]
    async fn fifty_at_once_ask_one_question() {
        let (remembered, asked) = (remembered(Duration::from_secs(30)), AtomicUsize::new(0));
        for answer in [Some(7), None] {
            let key = answer.unwrap_or(0);
            let all = (0..50).map(|_| remembered.get(&key, || counted(&asked, answer)));
            assert!(join_all(all).await.iter().all(|found| *found == Ok(answer)));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn answers_are_forgotten_in_time() {
        let (remembered, asked) = (remembered(Duration::from_millis(100)), AtomicUsize::new(0));
        assert_eq!(remembered.get(&1, || counted(&asked, Some(1))).await, Ok(Some(1)));
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(remembered.get(&1, || counted(&asked, None)).await, Ok(None));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn who_does_not_answer_is_unreachable_and_asked_again() {
        let (remembered, asked) = (remembered(Duration::from_secs(30)), AtomicUsize::new(0));
        let late = remembered.get(&1, std::future::pending).await;
        assert_eq!(late, Err(Unreachable("no answer from test within 200ms".to_owned())));
        let broken = || async { Err(Unreachable("broken".to_owned())) };
        assert_eq!(remembered.get(&1, broken).await, Err(Unreachable("broken".to_owned())));
        assert_eq!(remembered.get(&1, || counted(&asked, Some(1))).await, Ok(Some(1)));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_does_not_spoil_the_answer() {
        let (remembered, asked) = (remembered(Duration::from_secs(30)), AtomicUsize::new(0));
        let first = remembered.get(&1, || counted(&asked, Some(1)));
        let second = remembered.get(&1, || counted(&asked, Some(1)));
        let impatient = tokio::time::timeout(Duration::from_millis(5), first);
        let (gone, found) = tokio::join!(impatient, second);
        assert!(gone.is_err());
        assert_eq!(found, Ok(Some(1)));
    }
}
