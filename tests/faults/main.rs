//! Every fault of the table in RELIABILITY.md, on real processes: nothing lost, nothing twice.
//!
//! `FAULT_ROUNDS=50` repeats each more often, `FAULT_SEED=...` repeats the choices of a run,
//! `FAULT_REPORT=file` collects what was measured.

mod bits;
mod checked;
mod clock;
mod cluster;
mod crowd;
mod database;
mod disks;
mod keeping;
mod killed;
mod long_run;
mod memory;
mod network;
mod outage;
mod stopping;
mod stream;
mod takeover;

use std::time::Duration;

use djaffar_tests::checker::{Figures, Queue, Verdict, judge, report};
use djaffar_tests::database::Database;
use djaffar_tests::journal::Journal;
use djaffar_tests::process::Djaffar;

/// For whatever a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

async fn judge_serve(serve: &Djaffar, journal: &Journal) -> Verdict {
    let queue = Queue::Embedded(serve.admin_url("/status"));
    judge(journal, &Database::of_serve(&serve.data_directory()), &queue).await
}

/// The promise was kept by `djaffar serve`; with a row for the table.
async fn conclude_serve(test: &str, rounds: usize, serve: &Djaffar, journal: &Journal) -> Figures {
    let figures = judge_serve(serve, journal).await.assert_kept();
    report(test, rounds, &figures);
    figures
}
