//! The only caller of `ack`.
//!
//! A frame is acked only after the COMMIT of everything it carries, dead
//! letters included: [`stored`] asks for the proof, [`Committed`]. Whatever
//! else happens to a frame, it stays in the queue. Held by
//! `tests::frames::nothing_is_acked_before_it_is_committed`.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::queue::{QueueError, Settle};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::isolate::Committed;
use crate::telemetry::WriterTelemetry;

/// Longest wait for the queue's answer to any of these; a lost one means one more delivery.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The right to settle a frame, and its room among the pulled ones.
#[derive(Debug)]
pub(crate) struct Ticket<S> {
    pub(crate) settle: S,
    pub(crate) room: OwnedSemaphorePermit,
}

/// All that these frames carry is committed: the queue may forget them.
pub(crate) async fn stored<S: Settle>(
    tickets: Vec<Ticket<S>>,
    _proof: Committed,
    telemetry: &WriterTelemetry,
) {
    let count = tickets.len() as u64;
    let failed = answered(tickets.into_iter().map(|ticket| async move {
        let result = ticket.settle.ack().await;
        drop(ticket.room);
        result
    }));
    let failed = failed.await;
    telemetry.frames_acked(count - failed);
    telemetry.settle_failed(failed);
}

/// Hands the frames back to the queue.
pub(crate) async fn retried_later<S: Settle>(
    tickets: Vec<Ticket<S>>,
    delay: Duration,
    telemetry: &WriterTelemetry,
) {
    let count = tickets.len() as u64;
    let failed = answered(tickets.into_iter().map(|ticket| async move {
        let result = ticket.settle.retry_after(delay).await;
        drop(ticket.room);
        result
    }));
    let failed = failed.await;
    telemetry.frames_handed_back(count - failed);
    telemetry.settle_failed(failed);
}

/// Asks for more time for frames that wait.
pub(crate) async fn extended<'a, S: Settle>(
    tickets: impl Iterator<Item = &'a Ticket<S>>,
    telemetry: &WriterTelemetry,
) {
    let failed = answered(tickets.map(|ticket| ticket.settle.extend())).await;
    telemetry.settle_failed(failed);
}

/// When the frames of one batch are extended next; outlives the attempts, each of which may be short.
#[derive(Debug)]
pub(crate) struct Keeper {
    every: Duration,
    due: Instant,
}

impl Keeper {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, due: Instant::now() + every }
    }

    /// Extends the frames until `until`, and never ends: race it with what they wait for.
    pub(crate) async fn keep<S: Settle>(
        &mut self,
        tickets: &[Ticket<S>],
        until: Instant,
        telemetry: &WriterTelemetry,
    ) -> Infallible {
        loop {
            tokio::time::sleep_until(self.due).await;
            if self.due >= until {
                return std::future::pending().await;
            }
            self.due = Instant::now() + self.every;
            extended(tickets.iter(), telemetry).await;
        }
    }
}

/// Runs them side by side; returns how many have failed or not answered.
async fn answered(questions: impl Iterator<Item = impl Future<Output = Result<(), QueueError>>>) -> u64 {
    let mut questions: FuturesUnordered<_> = questions.collect();
    let mut open = questions.len() as u64;
    let mut failed = 0;
    let deadline = Instant::now() + ANSWER_TIME_MAX;
    while let Ok(Some(result)) = tokio::time::timeout_at(deadline, questions.next()).await {
        open -= 1;
        if let Err(error) = result {
            tracing::debug!(%error, "a settlement has failed; the frame is delivered again");
            failed += 1;
        }
    }
    failed + open
}
