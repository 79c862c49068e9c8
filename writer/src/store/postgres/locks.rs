//! Locks that others wait for: asked for shortly, again and again.
//!
//! Whoever waits for a lock that excludes the writers holds them up as long as
//! it waits. So each try is short, and what follows a try is a longer pause.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Failure;

/// Begins a store transaction: one message and one answer. The lock is held until COMMIT: whoever takes it
/// alone, as erasing does, knows that every later transaction reads what it has changed. The versions are
/// read after it.
pub(super) const BEGIN_STORE: &str = "\
BEGIN;
SELECT pg_advisory_xact_lock_shared(x'646a616666617202'::bigint);
SELECT suppression_version, info_version FROM keeping";
/// Excludes every store transaction: each holds the same lock shared.
pub(super) const ALONE: &str = "SELECT pg_advisory_xact_lock(x'646a616666617202'::bigint)";
/// Excludes other prunings, for as long as the connection lives.
pub(super) const TRY_PRUNE: &str = "SELECT pg_try_advisory_lock(x'646a616666617203'::bigint)";

pub(super) const END_PRUNE: &str = "SELECT pg_advisory_unlock(x'646a616666617203'::bigint)";

/// lock_not_available and deadlock_detected.
pub(super) const LOCKED: [&str; 2] = ["55P03", "40P01"];

const FIRST_TRY: Duration = Duration::from_millis(100);
/// Below the second for which nobody may be held up, with room for what is done under the lock.
const LONGEST_TRY: Duration = Duration::from_millis(600);

#[derive(Debug)]
pub(super) struct Patience {
    attempt: Duration,
    until: Instant,
}

impl Patience {
    pub(super) fn of(budget: Duration) -> Self {
        Self { attempt: FIRST_TRY, until: Instant::now() + budget }
    }

    /// For the beginning of the transaction.
    pub(super) fn statement(&self) -> String {
        format!("SET LOCAL lock_timeout = '{}ms'", self.attempt.as_millis())
    }

    /// Whether it is worth another try, after a pause.
    pub(super) async fn tries_again_after(&mut self, failure: &Failure) -> bool {
        let locked = failure.sqlstate().is_some_and(|code| LOCKED.contains(&&*code));
        if !locked || Instant::now() >= self.until {
            return false;
        }
        tracing::debug!(%failure, attempt = ?self.attempt, "waits for a lock");
        sleep(self.attempt.mul_f64(rand::random_range(1.0..3.0))).await;
        self.attempt = (self.attempt * 3 / 2).min(LONGEST_TRY);
        true
    }
}
