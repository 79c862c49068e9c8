//! What to do after a failed store attempt, and when. Pure.

use std::time::Duration;

use shared::store::StoreErrorKind;

const TRANSIENT_FIRST: Duration = Duration::from_millis(100);
const TRANSIENT_MAX: Duration = Duration::from_secs(10);
const SCHEMA_FIRST: Duration = Duration::from_secs(2);
const SCHEMA_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same rows again.
    Retry { after: Duration },
    /// Half as many rows.
    Halve { after: Duration },
    /// Bisect to the guilty activity.
    Isolate,
    /// Stop pulling until somebody has mended the schema.
    AwaitSchema { after: Duration },
}

/// `failures` in a row so far, this one included; `jitter` from 0 to 1.
pub(crate) fn next(kind: StoreErrorKind, failures: u32, jitter: f64) -> Next {
    match kind {
        StoreErrorKind::Transient => Next::Retry { after: transient_delay(failures, jitter) },
        StoreErrorKind::Timeout => Next::Halve { after: transient_delay(failures, jitter) },
        StoreErrorKind::Data => Next::Isolate,
        StoreErrorKind::Schema => Next::AwaitSchema { after: schema_delay(failures, jitter) },
    }
}

pub(crate) fn transient_delay(failures: u32, jitter: f64) -> Duration {
    delay(TRANSIENT_FIRST, TRANSIENT_MAX, failures, jitter)
}

pub(crate) fn schema_delay(failures: u32, jitter: f64) -> Duration {
    delay(SCHEMA_FIRST, SCHEMA_MAX, failures, jitter)
}

/// Doubles with each failure up to the limit; between half of it and the whole.
fn delay(first: Duration, limit: Duration, failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = first.saturating_mul(1 << doublings).min(limit);
    whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// More guilty activities than this in a batch, or in small ones that stored nothing else, are
/// the schema's fault.
///
/// A count and no share: one poison activity in a batch of two must not stop a quiet writer.
pub(crate) const GUILTY_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_remedy() {
        let second = Duration::from_millis(200);
        assert_eq!(next(StoreErrorKind::Transient, 2, 1.0), Next::Retry { after: second });
        assert_eq!(next(StoreErrorKind::Timeout, 2, 1.0), Next::Halve { after: second });
        assert_eq!(next(StoreErrorKind::Data, 1, 1.0), Next::Isolate);
        assert_eq!(next(StoreErrorKind::Schema, 1, 1.0), Next::AwaitSchema { after: SCHEMA_FIRST });
    }

    #[test]
    fn delays_grow_to_a_limit_and_never_vanish() {
        assert_eq!(transient_delay(1, 0.0), Duration::from_millis(50));
        assert_eq!(transient_delay(u32::MAX, 1.0), TRANSIENT_MAX);
        assert_eq!(schema_delay(u32::MAX, 0.0), SCHEMA_MAX / 2);
    }
}
