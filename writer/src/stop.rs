//! The request to stop, as the parts of the writer see it.

use std::time::Duration;

use shared::lifecycle::Shutdown;

use crate::config::StopMode;

#[derive(Clone, Debug)]
pub(crate) struct Stop {
    requested: Shutdown,
    expired: Shutdown,
    mode: StopMode,
}

impl Stop {
    pub(crate) fn new(requested: Shutdown, mode: StopMode) -> Self {
        Self { requested, expired: Shutdown::new(), mode }
    }

    /// Watches the time that a stop may take; resolves when it has passed.
    pub(crate) async fn watch(&self, time_max: Duration) {
        self.requested.requested().await;
        tokio::time::sleep(time_max).await;
        self.expired.request();
    }

    pub(crate) fn mode(&self) -> StopMode {
        self.mode
    }

    pub(crate) async fn requested(&self) {
        self.requested.requested().await;
    }

    /// The time is over: hand everything back.
    pub(crate) async fn expired(&self) {
        self.expired.requested().await;
    }

    /// No use in waiting for the store to recover: resolves when a failed batch is handed back.
    pub(crate) async fn retries_end(&self) {
        match self.mode {
            StopMode::Pulled => self.requested().await,
            StopMode::DrainBacklog => self.expired().await,
        }
    }
}
