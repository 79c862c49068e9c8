//! Real processes from the browser's request to the row.

mod back_pressure;
mod batch;
mod embedded;
mod pipeline;
mod split;
mod stopping;
mod walkthrough;

use std::time::Duration;

use djaffar_tests::database::Database;
use djaffar_tests::journal::Journal;
use djaffar_tests::wait_until;

/// A killed writer's frames come back after `ack_wait`, 30 s; the rest is a slow machine's.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);
/// `--stop-timeout` and a margin.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How often a fault is repeated: `$FAULT_ROUNDS`, or a few.
fn fault_rounds() -> usize {
    std::env::var("FAULT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// Waits until as many rows are there as log requests were accepted, and holds them against each other.
async fn assert_exact(database: &Database, journal: &Journal) {
    let accepted = u64::try_from(journal.accepted()).expect("fits");
    wait_until(&format!("{accepted} rows"), DRAIN_LIMIT, || async { database.count().await >= accepted })
        .await;
    journal.assert_kept(&database.activities().await);
    database.assert_accounts().await;
}
