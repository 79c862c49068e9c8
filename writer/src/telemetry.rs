//! Named events of the writer: metrics `djaffar_writer_*`, and the figures of `/status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use serde::Serialize;
use shared::accounting::Accounting;
use shared::queue::Backlog;
use shared::store::{StoreErrorKind, StoreReport};

/// Clones share the figures. Make it after the metrics recorder is installed.
#[derive(Clone, Debug)]
pub struct WriterTelemetry(Arc<Inner>);

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WriterSnapshot {
    /// Of the transactions whose COMMIT was answered; the database's own row is the exact one.
    pub accounting: Accounting,
    pub batches: u64,
    pub frames: FrameCounts,
    pub retries: RetryCounts,
    pub maintenance_failures: u64,
    /// Age of the oldest frame that is not stored; 0 when the queue is empty, `None` when unknown.
    pub lag_seconds: Option<f64>,
    /// What waits in the queue, when it last answered.
    pub queue_frames: Option<u64>,
    pub queue_activities: Option<u64>,
    pub queue_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrameCounts {
    pub decoded: u64,
    pub corrupt: u64,
    /// Left in the queue for a newer build.
    pub newer: u64,
    pub acked: u64,
    pub handed_back: u64,
    /// Acks and the like that were lost: the frame is delivered again.
    pub settle_failed: u64,
}

/// Failed store attempts by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RetryCounts {
    pub transient: u64,
    pub timeout: u64,
    pub data: u64,
    pub schema: u64,
}

#[derive(Debug)]
struct Inner {
    figures: Mutex<WriterSnapshot>,
    metrics: Metrics,
}

struct Metrics {
    batches: Counter,
    delivered: Counter,
    stored: Counter,
    duplicate: Counter,
    dead: Counter,
    suppressed: Counter,
    frames_decoded: Counter,
    frames_corrupt: Counter,
    frames_newer: Counter,
    frames_acked: Counter,
    frames_handed_back: Counter,
    settle_failures: Counter,
    retries_transient: Counter,
    retries_timeout: Counter,
    retries_data: Counter,
    retries_schema: Counter,
    maintenance_failures: Counter,
    batch_rows: Histogram,
    store_attempt_seconds: Histogram,
    lag_seconds: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    fn new() -> Self {
        let frames = |outcome: &'static str| counter!("djaffar_writer_frames_total", "outcome" => outcome);
        let retries = |kind: &'static str| counter!("djaffar_writer_store_failures_total", "kind" => kind);
        Self {
            batches: counter!("djaffar_writer_batches_total"),
            delivered: counter!("djaffar_writer_activities_delivered_total"),
            stored: counter!("djaffar_writer_activities_stored_total"),
            duplicate: counter!("djaffar_writer_activities_duplicate_total"),
            dead: counter!("djaffar_writer_dead_letters_total"),
            suppressed: counter!("djaffar_writer_activities_suppressed_total"),
            frames_decoded: frames("decoded"),
            frames_corrupt: frames("corrupt"),
            frames_newer: frames("newer"),
            frames_acked: frames("acked"),
            frames_handed_back: frames("handed_back"),
            settle_failures: counter!("djaffar_writer_settle_failures_total"),
            retries_transient: retries("transient"),
            retries_timeout: retries("timeout"),
            retries_data: retries("data"),
            retries_schema: retries("schema"),
            maintenance_failures: counter!("djaffar_writer_maintenance_failures_total"),
            batch_rows: histogram!("djaffar_writer_batch_rows"),
            store_attempt_seconds: histogram!("djaffar_writer_store_attempt_seconds"),
            lag_seconds: gauge!("djaffar_writer_lag_seconds"),
        }
    }
}

impl Default for WriterTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl WriterTelemetry {
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner { figures: Mutex::default(), metrics: Metrics::new() }))
    }

    #[must_use]
    pub fn snapshot(&self) -> WriterSnapshot {
        *self.figures()
    }

    fn figures(&self) -> MutexGuard<'_, WriterSnapshot> {
        self.0.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn frame_decoded(&self) {
        self.figures().frames.decoded += 1;
        self.0.metrics.frames_decoded.increment(1);
    }

    pub(crate) fn frame_corrupt(&self) {
        self.figures().frames.corrupt += 1;
        self.0.metrics.frames_corrupt.increment(1);
    }

    pub(crate) fn frame_newer(&self) {
        self.figures().frames.newer += 1;
        self.0.metrics.frames_newer.increment(1);
    }

    pub(crate) fn frames_acked(&self, count: u64) {
        self.figures().frames.acked += count;
        self.0.metrics.frames_acked.increment(count);
    }

    pub(crate) fn frames_handed_back(&self, count: u64) {
        self.figures().frames.handed_back += count;
        self.0.metrics.frames_handed_back.increment(count);
    }

    pub(crate) fn settle_failed(&self, count: u64) {
        self.figures().frames.settle_failed += count;
        self.0.metrics.settle_failures.increment(count);
    }

    /// A transaction is committed.
    pub(crate) fn batch_committed(&self, delivered: u64, rows: usize, report: &StoreReport) {
        let mut figures = self.figures();
        figures.batches += 1;
        figures.accounting.add(delivered, report);
        drop(figures);
        let metrics = &self.0.metrics;
        metrics.batches.increment(1);
        metrics.delivered.increment(delivered);
        metrics.stored.increment(report.stored);
        metrics.duplicate.increment(report.duplicate);
        metrics.dead.increment(report.dead);
        metrics.suppressed.increment(report.suppressed);
        metrics.batch_rows.record(u32::try_from(rows).unwrap_or(u32::MAX));
    }

    pub(crate) fn store_attempted(&self, took: Duration) {
        self.0.metrics.store_attempt_seconds.record(took);
    }

    pub(crate) fn store_failed(&self, kind: StoreErrorKind) {
        let metrics = &self.0.metrics;
        let retries = &mut self.figures().retries;
        let (figure, metric) = match kind {
            StoreErrorKind::Transient => (&mut retries.transient, &metrics.retries_transient),
            StoreErrorKind::Timeout => (&mut retries.timeout, &metrics.retries_timeout),
            StoreErrorKind::Data => (&mut retries.data, &metrics.retries_data),
            StoreErrorKind::Schema => (&mut retries.schema, &metrics.retries_schema),
        };
        *figure += 1;
        metric.increment(1);
    }

    pub(crate) fn maintenance_failed(&self) {
        self.figures().maintenance_failures += 1;
        self.0.metrics.maintenance_failures.increment(1);
    }

    /// The queue has said what waits, as of `now`; `None`: it has not answered.
    pub(crate) fn backlog_seen(&self, backlog: Option<&Backlog>, now: DateTime<Utc>) {
        let lag = backlog.map(|backlog| lag_seconds(backlog.oldest, now));
        let mut figures = self.figures();
        figures.lag_seconds = lag;
        figures.queue_frames = backlog.map(|backlog| backlog.frames);
        figures.queue_activities = backlog.and_then(|backlog| backlog.activities);
        figures.queue_bytes = backlog.map(|backlog| backlog.bytes);
        drop(figures);
        self.0.metrics.lag_seconds.set(lag.unwrap_or(f64::NAN));
    }
}

fn lag_seconds(oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> f64 {
    // Clocks differ: a frame from the future has waited for no time.
    let age = oldest.map(|oldest| (now - oldest).to_std().unwrap_or_default());
    age.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_lag_is_the_age_of_the_oldest_frame() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(100);
        assert!((lag_seconds(Some(DateTime::UNIX_EPOCH), now) - 100.0).abs() < 1e-9);
        assert!(lag_seconds(Some(now + TimeDelta::seconds(5)), now).abs() < 1e-9);
        assert!(lag_seconds(None, now).abs() < 1e-9);
    }

    #[test]
    fn the_snapshot_adds_up_what_was_committed() {
        let telemetry = WriterTelemetry::new();
        let report = StoreReport { stored: 7, duplicate: 2, dead: 1, ..StoreReport::default() };
        telemetry.batch_committed(10, 9, &report);
        telemetry.batch_committed(10, 9, &report);
        let snapshot = telemetry.snapshot();
        assert_eq!((snapshot.batches, snapshot.accounting.delivered), (2, 20));
        assert!(snapshot.accounting.closes());
    }
}
