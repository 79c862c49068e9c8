//! The process: its threads, its TLS provider, and the signals that stop it.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Threads that run tasks; `None` is one for each core.
const WORKER_THREADS: Option<usize> = None;
/// What still blocks a thread after the tasks have ended is not worth more.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs a command to its end.
pub(crate) fn run(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // Fails only when a provider is installed already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = build()?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(FAREWELL);
    outcome
}

fn build() -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = WORKER_THREADS {
        builder.worker_threads(threads);
    }
    let runtime = builder.thread_name("djaffar").enable_all().build();
    runtime.map_err(|error| Failure::failed(format!("cannot start threads: {error}")))
}

/// SIGTERM and Ctrl-C, listened to from the start on.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::failed(format!("cannot listen to signals: {error}")))
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The next request to stop.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The next Ctrl-C.
    pub(crate) async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }
}
