//! `--retention`: prunes once a day, whichever writer comes first.
//!
//! The database remembers when it was pruned and up to where, so that several
//! writers share the work and a restart repeats none of it. Failures are told
//! and tried again; they never stop the writer.

use std::time::Duration;

use shared::lifecycle::{Shutdown, TaskResult};
use shared::store::StoreError;
use writer::prune::{PruneMode, Pruning, limit};

use crate::adapters::Database;

/// After the start; the writer brings the schema up to date meanwhile.
const FIRST: Duration = Duration::from_secs(3);
/// Between two looks at whether it is due.
const EVERY: Duration = Duration::from_secs(3600);
const AFTER_FAILURE: Duration = Duration::from_secs(300);

/// Until `shutdown`; a pruning under way is given up then and goes on at the next start.
pub(crate) async fn keep(database: Database, retention: Duration, shutdown: Shutdown) -> TaskResult {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.7..1.3))) => {}
        }
        let pruned = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            pruned = prune_if_due(&database, retention) => pruned,
        };
        pause = match pruned {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "retention: nothing could be pruned now; it is tried again");
                AFTER_FAILURE
            }
        };
    }
}

async fn prune_if_due(database: &Database, retention: Duration) -> Result<(), StoreError> {
    let now = shared::time::now();
    if !database.is_pruning_due(now, retention).await? {
        return Ok(());
    }
    let before = limit(now, retention);
    // Another writer's pruning is as good.
    let Some(report) = database.prune(&Pruning { before, mode: PruneMode::Prune }).await? else {
        return Ok(());
    };
    tracing::info!(
        %before,
        months = report.months.len(),
        activities = report.rows(),
        session_infos = report.session_infos,
        dead_letters_kept = report.dead_letters_kept,
        "retention: pruned"
    );
    Ok(())
}
