//! `djaffar erase`: what is known of a person goes, and what still comes of them.

use chrono::SecondsFormat;
use serde_json::json;
use shared::store::StoreError;
use writer::erase::{Erasure, ErasureReport};
use writer::subject::Subject;
use writer::suppression::ErasureMode;

use super::dead_letters::text::hex;
use super::migrate::explain;
use crate::adapters::Database;
use crate::cli::EraseArguments;
use crate::command::print;
use crate::counted::counted;
use crate::failure::Failure;

pub(crate) async fn run(arguments: EraseArguments) -> Result<(), Failure> {
    let subject = arguments.whose.subject()?;
    let database = Database::reader(arguments.store.choice()?)?;
    needs_database(&database)?;
    let mode = if arguments.anonymise { ErasureMode::Anonymise } else { ErasureMode::Erase };
    let erasure = Erasure { subject, mode };
    let report = database.erase(&erasure, shared::time::now()).await.map_err(|error| told(&error))?;
    match arguments.json {
        true => print(&in_json(&erasure, &report).to_string()),
        false => print(&in_words(&erasure, &report)),
    }
    Ok(())
}

/// SQLite would make the file.
pub(super) fn needs_database(database: &Database) -> Result<(), Failure> {
    match database.file() {
        Some(file) if !file.exists() => Err(Failure::misconfigured(format!(
            "database: there is none at {}; name it with --database or --data-dir",
            file.display()
        ))),
        _ => Ok(()),
    }
}

pub(super) fn told(error: &StoreError) -> Failure {
    Failure::misconfigured(format!("{}; what is done stays done, so run it again then", explain(error)))
}

/// A session's key may be a live credential: the digest names it.
fn named(subject: &Subject) -> Option<String> {
    match subject {
        Subject::User(_) | Subject::Ip(_) => Some(subject.value()),
        Subject::Session(_) => None,
    }
}

fn in_json(erasure: &Erasure, report: &ErasureReport) -> serde_json::Value {
    json!({
        "mode": erasure.mode.name(),
        "subject": {
            "kind": erasure.subject.kind().name(),
            "value": named(&erasure.subject),
            "digest": hex(&report.digest),
        },
        "received_until": report.received_until.to_rfc3339_opts(SecondsFormat::Micros, true),
        "activities": report.activities,
        "dead_letters": report.dead_letters,
        "session_infos": report.session_infos,
        "unreadable_dead_letters": report.unreadable_letters,
        "shared_sessions": report.shared_sessions,
    })
}

fn in_words(erasure: &Erasure, report: &ErasureReport) -> String {
    let (kind, mode) = (erasure.subject.kind().name(), erasure.mode);
    let name = named(&erasure.subject).map_or_else(|| kind.to_owned(), |value| format!("{kind} {value}"));
    let verb = match mode {
        ErasureMode::Erase => "erased",
        ErasureMode::Anonymise => "anonymised",
    };
    let mut text = format!(
        "{name}: {} {verb}, {} and {} deleted; so is whatever was received until {} and is still to be stored",
        counted(report.activities, "activity", "activities"),
        counted(report.dead_letters, "dead letter", "dead letters"),
        counted(report.session_infos, "session info", "session infos"),
        report.received_until.to_rfc3339_opts(SecondsFormat::Micros, true),
    );
    if report.shared_sessions > 0 {
        let sessions = counted(report.shared_sessions, "of these sessions has", "of these sessions have");
        text.push_str(&format!(
            "\n{sessions} other activities too, anonymous or somebody else's: they are kept"
        ));
    }
    if report.unreadable_letters > 0 {
        let letters =
            counted(report.unreadable_letters, "dead letter cannot be read", "dead letters cannot be read");
        text.push_str(&format!("\n{letters}: whose they are nobody knows, see `djaffar dead-letters list`"));
    }
    text
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::event::{SessionId, UserId};

    use super::*;

    fn report() -> ErasureReport {
        ErasureReport {
            digest: [0xab; 32],
            received_until: DateTime::UNIX_EPOCH,
            activities: 1,
            dead_letters: 0,
            session_infos: 2,
            unreadable_letters: 0,
            shared_sessions: 1,
        }
    }

    #[test]
    fn a_report_says_what_and_how_many() {
        let subject = Subject::User(UserId::new("42").unwrap());
        let erasure = Erasure { subject, mode: ErasureMode::Erase };
        let text = in_words(&erasure, &report());
        assert!(text.starts_with("user 42: 1 activity erased, 0 dead letters and 2 session infos"), "{text}");
        assert!(text.contains("1 of these sessions has other activities"), "{text}");
        assert_eq!(in_json(&erasure, &report())["subject"]["value"], "42");
    }

    #[test]
    fn a_session_key_is_not_printed() {
        let subject = Subject::Session(SessionId::new("live-credential").unwrap());
        let erasure = Erasure { subject, mode: ErasureMode::Anonymise };
        let (text, json) = (in_words(&erasure, &report()), in_json(&erasure, &report()).to_string());
        assert!(!text.contains("live") && !json.contains("live"), "{text} {json}");
        assert!(json.contains("abababab"), "{json}");
    }
}
