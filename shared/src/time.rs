//! The one place that reads the wall clock; everything else is given the time.

use chrono::{DateTime, Utc};

/// The current time (UTC).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge that everything else takes its time from")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
