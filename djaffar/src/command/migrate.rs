//! `djaffar migrate`: the schema of this build.

use std::time::Duration;

use shared::store::{StoreError, StoreErrorKind};

use crate::adapters::Database;
use crate::cli::StoreArguments;
use crate::command::print;
use crate::data_directory;
use crate::failure::Failure;

const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn run(arguments: StoreArguments) -> Result<(), Failure> {
    let database = Database::reader(arguments.database.choice(&arguments.data.data_dir)?)?;
    if let Some(file) = database.file() {
        data_directory::create_parent(file)?;
    }
    match tokio::time::timeout(DEADLINE, database.migrate(shared::time::now())).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => return Err(Failure::misconfigured(explain(&error))),
        Ok(Err(failure)) => return Err(failure),
        Err(_) => return Err(Failure::misconfigured("database: no answer within 60s; see whether it runs")),
    }
    print(&format!("the schema of {} is up to date", database.name()));
    Ok(())
}

/// What is wrong with the database, and what to do.
pub(super) fn explain(error: &StoreError) -> String {
    let remedy = match error.kind {
        StoreErrorKind::Schema | StoreErrorKind::Data => "mend the schema or name another database",
        StoreErrorKind::Transient | StoreErrorKind::Timeout => "see whether it runs and may be used",
    };
    format!("database: {}; {remedy}", error.reason)
}
