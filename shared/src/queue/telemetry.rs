//! What the queue adapters report, as named events.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// Names the adapter in every metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adapter {
    Embedded,
    JetStream,
}

impl Adapter {
    fn label(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::JetStream => "jetstream",
        }
    }

    /// A frame was synced `took` after its publish.
    pub(super) fn published(self, took: Duration) {
        histogram!("djaffar_queue_publish_seconds", "queue" => self.label()).record(took);
    }

    pub(super) fn publish_failed(self, error: &super::PublishError) {
        let outcome = match error {
            super::PublishError::Full { .. } => "full",
            super::PublishError::Unknown { .. } => "unknown",
        };
        counter!("djaffar_queue_publish_failures_total", "queue" => self.label(), "outcome" => outcome)
            .increment(1);
    }

    /// A frame was delivered for the `count`th time.
    pub(super) fn delivered(self, count: u64) {
        if count > 1 {
            counter!("djaffar_queue_redeliveries_total", "queue" => self.label()).increment(1);
        }
    }
}

/// Group sync of the embedded queue: one write and one `fdatasync`.
pub(super) fn group_synced(frames: usize, took: Duration) {
    histogram!("djaffar_queue_embedded_sync_seconds").record(took);
    histogram!("djaffar_queue_embedded_group_frames").record(frames as f64);
}

/// The stream was deleted and made anew.
pub(super) fn stream_recreated(times: u64) {
    // A counter that begins at 1 has never increased: it is told from the start.
    counter!("djaffar_queue_stream_recreated_total").increment(times);
}

/// Publishes that JetStream has not answered and perhaps never will.
pub(super) fn unanswered(publishes: usize) {
    gauge!("djaffar_queue_unanswered").set(publishes as f64);
}

/// The spool has synced a frame that the queue behind it could not take.
pub(super) fn spooled() {
    counter!("djaffar_spool_frames_spooled_total").increment(1);
}

/// The queue behind the spool has taken a frame from it.
pub(super) fn drained() {
    counter!("djaffar_spool_frames_drained_total").increment(1);
}

/// What waits in the spool.
#[expect(clippy::cast_precision_loss, reason = "these stay far below 2^52")]
pub(super) fn spool_holds(backlog: &super::Backlog) {
    gauge!("djaffar_spool_frames").set(backlog.frames as f64);
    gauge!("djaffar_spool_activities").set(backlog.activities.unwrap_or_default() as f64);
    gauge!("djaffar_spool_bytes").set(backlog.bytes as f64);
}
