//! `djaffar load`: what was dumped, here or by django-djaffar, becomes rows.

use std::time::Duration;

use tokio::time::timeout;

use super::migrate::explain;
use super::print;
use crate::adapters::Database;
use crate::cli::LoadArguments;
use crate::counted::counted;
use crate::data_directory;
use crate::failure::Failure;
use crate::load::{LoadConfig, LoadError, Loaded, load};

/// For the schema, before anything is read.
const SCHEMA_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) async fn run(arguments: LoadArguments) -> Result<(), Failure> {
    let now = shared::time::now();
    let config = LoadConfig {
        files: arguments.files,
        format: arguments.format,
        time_zone: arguments.reading.time_zone,
        referer_max: arguments.reading.referer_max,
        now,
    };
    let database = match arguments.dry_run {
        true => None,
        false => Some(Database::new(arguments.store.choice()?, writer::load::ACCOUNT.to_owned())?),
    };
    if let Some(database) = &database {
        prepare(database, now).await?;
    }
    let loaded = load(config, database.as_ref()).await.map_err(|error| match error {
        LoadError::Failure(failure) => failure,
        LoadError::Store(error) => {
            Failure::failed(format!("{}, then load again: what is there already is skipped", explain(&error)))
        }
    })?;
    print(&summary(&loaded, database.is_some()));
    match loaded.read.bad + loaded.stored.refused {
        0 => Ok(()),
        1 => Err(Failure::failed("1 bad record is left out; mend it and load again")),
        bad => Err(Failure::failed(format!("{bad} bad records are left out; mend them and load again"))),
    }
}

async fn prepare(database: &Database, now: chrono::DateTime<chrono::Utc>) -> Result<(), Failure> {
    if let Some(file) = database.file() {
        data_directory::create_parent(file)?;
    }
    match timeout(SCHEMA_TIMEOUT, database.migrate(now)).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(Failure::misconfigured(explain(&error))),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(Failure::misconfigured("database: no answer within 60s; see whether it runs")),
    }
}

fn summary(loaded: &Loaded, is_stored: bool) -> String {
    let (read, stored) = (&loaded.read, &loaded.stored);
    let mut parts = if is_stored {
        vec![
            format!("{} loaded", counted(stored.stored, "activity", "activities")),
            format!("{} there already", stored.duplicate),
            counted(stored.session_infos, "session info", "session infos"),
        ]
    } else {
        vec![
            format!("{} could be loaded", counted(read.activities, "activity", "activities")),
            counted(read.session_infos, "session info", "session infos"),
        ]
    };
    let bad = read.bad + stored.refused;
    for (count, singular, plural) in [
        (stored.suppressed, "of an erased owner left out", "of erased owners left out"),
        (read.others, "record of another model skipped", "records of other models skipped"),
        (bad, "bad record left out", "bad records left out"),
    ] {
        if count > 0 {
            parts.push(counted(count, singular, plural));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use writer::load::LoadReport;

    use super::*;
    use crate::load::ReadCounts;

    #[test]
    fn the_summary_names_what_there_is() {
        let read = ReadCounts { activities: 5, session_infos: 1, others: 1, bad: 2 };
        let stored = LoadReport { stored: 1, duplicate: 4, session_infos: 1, ..LoadReport::default() };
        let loaded = Loaded { read, stored };
        assert_eq!(
            summary(&loaded, true),
            "1 activity loaded, 4 there already, 1 session info, 1 record of another model skipped, \
             2 bad records left out"
        );
        assert!(summary(&loaded, false).starts_with("5 activities could be loaded, 1 session info, "));
    }
}
