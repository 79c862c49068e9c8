//! What waits in the queue, for `/metrics`.
//!
//! Every process tells, ingest too: without any writer the queue still shows that nobody empties it.

use std::time::Duration;

use metrics::gauge;
use shared::lifecycle::{Shutdown, TaskResult};
use shared::queue::{Backlog, QueueBacklog};

use crate::adapters::AnyQueue;

const EVERY: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the queue from time to time, until `shutdown`.
pub(crate) async fn keep(queue: AnyQueue, shutdown: Shutdown) -> TaskResult {
    loop {
        let backlog = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            backlog = tokio::time::timeout(ANSWER_TIMEOUT, queue.backlog()) => backlog,
        };
        show(backlog.ok().and_then(Result::ok).as_ref(), queue.bytes_max());
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// No number while the queue does not tell.
#[expect(clippy::cast_precision_loss, reason = "these stay far below 2^52")]
fn show(backlog: Option<&Backlog>, bytes_max: Option<u64>) {
    let figure = |of: fn(&Backlog) -> u64| backlog.map_or(f64::NAN, |backlog| of(backlog) as f64);
    gauge!("djaffar_queue_frames").set(figure(|backlog| backlog.frames));
    gauge!("djaffar_queue_bytes").set(figure(|backlog| backlog.bytes));
    gauge!("djaffar_queue_bytes_max").set(bytes_max.map_or(f64::NAN, |bytes| bytes as f64));
    let age = backlog.map_or(f64::NAN, |backlog| {
        // Clocks differ: a frame from the future has waited for no time.
        let age = backlog.oldest.map(|oldest| (shared::time::now() - oldest).to_std().unwrap_or_default());
        age.unwrap_or_default().as_secs_f64()
    });
    gauge!("djaffar_queue_oldest_seconds").set(age);
}
