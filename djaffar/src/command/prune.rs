//! `djaffar prune`: what is older than a limit goes.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use writer::prune::{PruneMode, PruneReport, Pruning};

use super::erase::{needs_database, told};
use crate::adapters::Database;
use crate::cli::PruneArguments;
use crate::command::print;
use crate::counted::counted;
use crate::failure::Failure;

pub(crate) async fn run(arguments: PruneArguments) -> Result<(), Failure> {
    let before = arguments.limit.instant(shared::time::now())?;
    let database = Database::reader(arguments.store.choice()?)?;
    needs_database(&database)?;
    let mode = if arguments.dry_run { PruneMode::Count } else { PruneMode::Prune };
    let report = database.prune(&Pruning { before, mode }).await.map_err(|error| told(&error))?;
    let Some(report) = report else {
        return Err(Failure::failed("another pruning runs, a writer's perhaps; try again when it has ended"));
    };
    match arguments.json {
        true => print(&in_json(&report, before, mode).to_string()),
        false => print(&in_words(&report, before, mode)),
    }
    Ok(())
}

fn in_json(report: &PruneReport, before: DateTime<Utc>, mode: PruneMode) -> serde_json::Value {
    let month = |(table, rows): &(String, u64)| json!({"table": table, "activities": rows});
    json!({
        "before": before.to_rfc3339_opts(SecondsFormat::Micros, true),
        "dry_run": mode == PruneMode::Count,
        "activities": report.rows(),
        "months": report.months.iter().map(month).collect::<Vec<_>>(),
        "session_infos": report.session_infos,
        "suppressions": report.suppressions,
        "dead_letters_kept": report.dead_letters_kept,
    })
}

fn in_words(report: &PruneReport, before: DateTime<Utc>, mode: PruneMode) -> String {
    let verb = match mode {
        PruneMode::Prune => "deleted",
        PruneMode::Count => "would be deleted",
    };
    let before = before.to_rfc3339_opts(SecondsFormat::Secs, true);
    let months = match report.months.as_slice() {
        [] => String::new(),
        months => {
            let names: Vec<&str> = months.iter().map(|(table, _)| table.as_str()).collect();
            format!(" (whole months: {})", names.join(", "))
        }
    };
    let letters = match report.dead_letters_kept {
        0 => String::new(),
        kept => format!(
            "\n{} older: kept, see `djaffar dead-letters list --until {before}`",
            counted(kept, "dead letter is", "dead letters are")
        ),
    };
    format!(
        "before {before}: {}{months} and {} {verb}{letters}",
        counted(report.rows(), "activity", "activities"),
        counted(report.session_infos, "session info", "session infos"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_sentence() {
        let report = PruneReport {
            months: vec![("activity_2026_07".to_owned(), 40)],
            activities: 2,
            session_infos: 1,
            suppressions: 0,
            dead_letters_kept: 1,
        };
        let before = DateTime::from_timestamp(1_787_000_000, 0).unwrap();
        assert_eq!(
            in_words(&report, before, PruneMode::Count),
            "before 2026-08-17T20:53:20Z: 42 activities (whole months: activity_2026_07) and 1 session info would be \
             deleted\n1 dead letter is older: kept, see `djaffar dead-letters list --until 2026-08-17T20:53:20Z`"
        );
        assert_eq!(in_json(&report, before, PruneMode::Prune)["activities"], 42);
    }
}
