//! The one place where chance comes from: ids and the jitter of pauses.

use uuid::Uuid;

/// From 0 to 1.
#[must_use]
pub fn fraction() -> f64 {
    #[cfg(feature = "test-util")]
    if let Some(fraction) = crate::simulated::fraction() {
        return fraction;
    }
    rand::random()
}

/// A UUIDv7: ordered by time, so that index inserts stay local.
#[must_use]
pub fn time_ordered_id() -> Uuid {
    #[cfg(feature = "test-util")]
    if let Some(id) = crate::simulated::time_ordered_id() {
        return id;
    }
    let now = crate::time::now();
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    // The crate's own `now_v7` asks the kernel for random bytes each time, which costs a request 2 % of its time.
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}
