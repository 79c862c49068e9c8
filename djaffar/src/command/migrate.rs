//! `djaffar migrate`: the schema of this build.

use std::time::Duration;

use shared::store::{Store, StoreErrorKind};

use crate::adapters::Database;
use crate::cli::StoreArguments;
use crate::command::print;
use crate::data_directory;
use crate::failure::Failure;

const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn run(arguments: StoreArguments) -> Result<(), Failure> {
    let database = Database::new(arguments.database.choice(&arguments.data.data_dir)?)?;
    if let Some(file) = database.file() {
        data_directory::create_parent(file)?;
    }
    migrate(&database).await?;
    print(&format!("the schema of {} is up to date", database.name()));
    Ok(())
}

async fn migrate(database: &Database) -> Result<(), Failure> {
    let mut store = database.store();
    let attempt = tokio::time::timeout(DEADLINE, store.maintain(shared::time::now())).await;
    let error = match attempt {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => return Err(Failure::misconfigured("database: no answer within 60s; see whether it runs")),
    };
    let remedy = match error.kind {
        StoreErrorKind::Schema | StoreErrorKind::Data => "mend the schema or name another database",
        StoreErrorKind::Transient | StoreErrorKind::Timeout => "see whether it runs and may be used",
    };
    Err(Failure::misconfigured(format!("database: {}; {remedy}", error.reason)))
}
