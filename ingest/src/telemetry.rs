//! What ingest tells the operator: named events in, metrics and `/status` out.
//!
//! Handles are looked up once. Make an [`IngestTelemetry`] after the metrics
//! recorder is installed; handles made before it go nowhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use serde::Serialize;
use shared::frame::Frame;
use shared::queue::{PublishError, Synced};

/// Clones share it.
#[derive(Clone, Debug)]
pub struct IngestTelemetry(Arc<Handles>);

struct Handles {
    accepted: AtomicU64,
    accepted_total: Counter,
    rejected: Mutex<BTreeMap<&'static str, Rejected>>,
    items_rejected: Mutex<BTreeMap<&'static str, Rejected>>,
    in_flight: AtomicUsize,
    request_seconds: Histogram,
    batch_items: Histogram,
    frame_activities: Histogram,
    frame_bytes: Histogram,
    publish_seconds: Histogram,
    publish_synced: Counter,
    publish_full: Counter,
    publish_unknown: Counter,
    requests_in_flight: Gauge,
    connections_open: Gauge,
    connections_refused: Counter,
    reserved_bytes: Gauge,
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Handles").finish_non_exhaustive()
    }
}

struct Rejected {
    count: u64,
    total: Counter,
}

/// Counts since this process has started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IngestSnapshot {
    /// Activities answered with 2xx.
    pub accepted: u64,
    /// Requests that were not accepted, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Items of batches that were refused, by reason; their neighbours may be accepted.
    pub items_rejected: BTreeMap<&'static str, u64>,
}

/// Readings taken once a second.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    pub connections_open: usize,
    pub connections_refused: u64,
    pub reserved_bytes: usize,
}

/// A request in flight; ends when dropped.
#[derive(Debug)]
pub struct InFlight(IngestTelemetry);

impl Default for IngestTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl IngestTelemetry {
    #[must_use]
    pub fn new() -> Self {
        let publish =
            |outcome: &'static str| counter!("djaffar_ingest_publishes_total", "outcome" => outcome);
        Self(Arc::new(Handles {
            accepted: AtomicU64::new(0),
            accepted_total: counter!("djaffar_ingest_accepted_total"),
            rejected: Mutex::default(),
            items_rejected: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            request_seconds: histogram!("djaffar_ingest_request_seconds"),
            batch_items: histogram!("djaffar_ingest_batch_items"),
            frame_activities: histogram!("djaffar_ingest_frame_activities"),
            frame_bytes: histogram!("djaffar_ingest_frame_bytes"),
            publish_seconds: histogram!("djaffar_ingest_publish_seconds"),
            publish_synced: publish("synced"),
            publish_full: publish("full"),
            publish_unknown: publish("unknown"),
            requests_in_flight: gauge!("djaffar_ingest_requests_in_flight"),
            connections_open: gauge!("djaffar_ingest_connections_open"),
            connections_refused: counter!("djaffar_ingest_connections_refused_total"),
            reserved_bytes: gauge!("djaffar_ingest_reserved_bytes"),
        }))
    }

    #[must_use]
    pub fn request_begun(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    pub fn accepted(&self, activities: u64) {
        self.0.accepted.fetch_add(activities, Ordering::Relaxed);
        self.0.accepted_total.increment(activities);
    }

    /// How long a request on a known route took, whatever became of it.
    pub fn answered(&self, took: Duration) {
        self.0.request_seconds.record(took);
    }

    /// `reason` is the outcome's name: one of few, never input.
    pub fn rejected(&self, reason: &'static str) {
        count(&self.0.rejected, "djaffar_ingest_rejected_total", reason);
    }

    /// A batch was read.
    #[expect(clippy::cast_precision_loss, reason = "a batch has few items")]
    pub fn batch_read(&self, items: usize) {
        self.0.batch_items.record(items as f64);
    }

    /// `reason` is the rejection's label: one of few, never input.
    pub fn item_rejected(&self, reason: &'static str) {
        count(&self.0.items_rejected, "djaffar_ingest_items_rejected_total", reason);
    }

    pub fn frame_published(&self, frame: &Frame, took: Duration, result: &Result<Synced, PublishError>) {
        self.0.frame_activities.record(frame.count);
        #[expect(clippy::cast_precision_loss, reason = "a frame is far smaller than 2^52 bytes")]
        self.0.frame_bytes.record(frame.bytes.len() as f64);
        self.0.publish_seconds.record(took);
        match result {
            Ok(_) => self.0.publish_synced.increment(1),
            Err(PublishError::Full { .. }) => self.0.publish_full.increment(1),
            Err(PublishError::Unknown { .. }) => self.0.publish_unknown.increment(1),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "these stay far below 2^52")]
    pub fn read(&self, readings: Readings) {
        self.0.requests_in_flight.set(self.0.in_flight.load(Ordering::Relaxed) as f64);
        self.0.connections_open.set(readings.connections_open as f64);
        self.0.connections_refused.absolute(readings.connections_refused);
        self.0.reserved_bytes.set(readings.reserved_bytes as f64);
    }

    #[must_use]
    pub fn snapshot(&self) -> IngestSnapshot {
        IngestSnapshot {
            accepted: self.0.accepted.load(Ordering::Relaxed),
            rejected: counts(&self.0.rejected),
            items_rejected: counts(&self.0.items_rejected),
        }
    }
}

fn count(rejected: &Mutex<BTreeMap<&'static str, Rejected>>, metric: &'static str, reason: &'static str) {
    let mut rejected = rejected.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = rejected
        .entry(reason)
        .or_insert_with(|| Rejected { count: 0, total: counter!(metric, "reason" => reason) });
    entry.count += 1;
    entry.total.increment(1);
}

fn counts(rejected: &Mutex<BTreeMap<&'static str, Rejected>>) -> BTreeMap<&'static str, u64> {
    let rejected = rejected.lock().unwrap_or_else(PoisonError::into_inner);
    rejected.iter().map(|(reason, rejected)| (*reason, rejected.count)).collect()
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{IngestSnapshot, IngestTelemetry};

    #[test]
    fn a_snapshot_counts_by_reason() {
        let telemetry = IngestTelemetry::new();
        telemetry.accepted(1);
        telemetry.accepted(3);
        telemetry.rejected("invalid");
        telemetry.rejected("invalid");
        telemetry.item_rejected("malformed");
        let rejected = BTreeMap::from([("invalid", 2)]);
        let items_rejected = BTreeMap::from([("malformed", 1)]);
        assert_eq!(telemetry.snapshot(), IngestSnapshot { accepted: 4, rejected, items_rejected });
    }
}
