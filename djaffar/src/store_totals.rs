//! What the database says of itself, for `/metrics` and `/status`: dead letters, and the accounts.

use std::time::Duration;

use metrics::gauge;
use shared::lifecycle::{Shutdown, TaskResult};
use tokio::sync::watch;
use writer::store::status::{DeadLetterTotals, StoreStatus};

use crate::adapters::Database;

const EVERY: Duration = Duration::from_secs(10);
const UNTIL_KNOWN: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The latest reading; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreTotals(watch::Sender<Option<DeadLetterTotals>>);

impl StoreTotals {
    /// `None` while the database does not tell.
    pub(crate) fn dead_letters(&self) -> Option<DeadLetterTotals> {
        *self.0.borrow()
    }

    /// Asks the database from time to time, on a connection of its own.
    pub(crate) async fn keep(self, database: Database, shutdown: Shutdown) -> TaskResult {
        loop {
            let status = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                status = tokio::time::timeout(ANSWER_TIMEOUT, database.status()) => status,
            };
            let status = status.ok().and_then(Result::ok);
            show(status.as_ref());
            let pause = if status.is_some() { EVERY } else { UNTIL_KNOWN };
            self.0.send_replace(status.map(|status| status.dead_letters));
            // Before the first migration there is nothing to count.
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Sums of all writers, past ones too, without loads; no number while the database does not tell.
#[expect(clippy::cast_precision_loss, reason = "these stay far below 2^52")]
fn show(status: Option<&StoreStatus>) {
    let figure = |of: fn(&StoreStatus) -> u64| status.map_or(f64::NAN, |status| of(status) as f64);
    gauge!("djaffar_dead_letters").set(figure(|status| status.dead_letters.count));
    gauge!("djaffar_dead_letters_bytes").set(figure(|status| status.dead_letters.bytes));
    let accounts = status.map(StoreStatus::total_from_queues);
    for (outcome, activities) in [
        ("delivered", accounts.map(|accounts| accounts.delivered)),
        ("stored", accounts.map(|accounts| accounts.stored)),
        ("duplicate", accounts.map(|accounts| accounts.duplicate)),
        ("dead", accounts.map(|accounts| accounts.dead)),
        ("suppressed", accounts.map(|accounts| accounts.suppressed)),
    ] {
        let figure = activities.map_or(f64::NAN, |activities| activities as f64);
        gauge!("djaffar_accounting_activities", "outcome" => outcome).set(figure);
    }
    let unclosed = |status: &StoreStatus| {
        status.accounting.iter().filter(|(_, accounts)| !accounts.closes()).count() as u64
    };
    gauge!("djaffar_accounting_unclosed_writers").set(figure(unclosed));
}
