//! Real processes from the browser's request to the row.

mod back_pressure;
mod batch;
mod dead_letters;
mod embedded;
mod keeping;
mod privacy;
mod split;
mod spool;
mod stopping;
mod walkthrough;

use std::time::Duration;

use djaffar_tests::checker::{Queue, judge};
use djaffar_tests::database::Database;
use djaffar_tests::journal::Journal;
use djaffar_tests::process::Djaffar;

/// `--stop-timeout` and a margin.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How often a fault is repeated: `$FAULT_ROUNDS`, or a few.
fn fault_rounds() -> usize {
    djaffar_tests::rounds::fault_rounds(3)
}

/// Waits until the queue is empty and holds the rows against what was accepted.
async fn assert_exact(serve: &Djaffar, journal: &Journal) {
    let queue =
        if serve.id().is_some() { Queue::Embedded(serve.admin_url("/status")) } else { Queue::Closed };
    judge(journal, &Database::of_serve(&serve.data_directory()), &queue).await.assert_kept();
}
