//! What an operator may set, and what only tests change.

use std::time::Duration;

/// Limits and times of one writer.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// A batch closes at so many rows.
    pub rows_max: usize,
    /// A batch closes at so many bytes of encoded activities.
    pub bytes_max: usize,
    /// A batch closes when its first frame has waited so long.
    pub age_max: Duration,
    /// Bytes of encoded activities that are pulled and not settled yet: bounds the memory, at some
    /// three times as much. At least one frame is always pulled.
    pub pulled_bytes_max: usize,
    /// Sessions whose info is known to be stored and is not sent again.
    pub known_sessions_max: usize,
    /// What to do with the backlog when asked to stop.
    pub stop: StopMode,
    /// Longest time from the request to stop until what is not stored is handed back; keep it
    /// below the process's stop timeout.
    pub stop_time_max: Duration,
    /// How often the queue is asked for more time.
    pub extend_every: Duration,
    /// For so long after its start a store attempt counts as alive and its frames are extended.
    pub attempt_time_max: Duration,
    /// How often schema and partitions are looked after.
    pub maintain_every: Duration,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            rows_max: 10_000,
            bytes_max: 4 * 1024 * 1024,
            age_max: Duration::from_millis(200),
            pulled_bytes_max: 16 * 1024 * 1024,
            known_sessions_max: 100_000,
            stop: StopMode::Pulled,
            stop_time_max: Duration::from_secs(8),
            extend_every: Duration::from_secs(10),
            attempt_time_max: Duration::from_secs(60),
            maintain_every: Duration::from_secs(3600),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopMode {
    /// Finish what is pulled, hand back what cannot be stored: others share the queue.
    #[default]
    Pulled,
    /// Go on until the queue is empty: nobody else will. Publishers must have ended before.
    DrainBacklog,
}
