//! `djaffar export`: everything that is held about a person, as JSON, a piece at a time.

use std::io::{self, BufWriter, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use writer::export::{ActivityRow, ExportSource, SessionInfoRow};
use writer::held::{Held, HeldLetter};

use super::dead_letters::text;
use crate::cli::ExportArguments;
use crate::failure::Failure;

pub(crate) async fn run(arguments: ExportArguments) -> Result<(), Failure> {
    let subject = arguments.whose.subject()?;
    let source: ExportSource = arguments.store.choice()?.into();
    let (kind, value) = (subject.kind().name(), subject.value());
    let mut held = Held::open(&source, subject).await?;
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let failed = |error: io::Error| Failure::failed(format!("the export cannot be written: {error}"));

    let exported_at = instant(shared::time::now());
    write!(out, "{{\"{kind}\": {}, \"exported_at\": {}", json!(value), json!(exported_at)).map_err(failed)?;
    let mut list = List::begin(&mut out, "activities").map_err(failed)?;
    held.activities(|row| list.push(&activity(row))).await?;
    list.end().map_err(failed)?;
    let mut list = List::begin(&mut out, "session_infos").map_err(failed)?;
    held.session_infos(|row| list.push(&session_info(row))).await?;
    list.end().map_err(failed)?;
    let mut list = List::begin(&mut out, "dead_letters").map_err(failed)?;
    let unreadable = held.dead_letters(|letter| list.push(&dead_letter(letter))).await?;
    list.end().map_err(failed)?;
    writeln!(out, "}}").and_then(|()| out.flush()).map_err(failed)?;
    if unreadable > 0 {
        eprintln!(
            "djaffar: {unreadable} dead letters cannot be read, and nobody knows whose they are; see \
             `djaffar dead-letters list`"
        );
    }
    Ok(())
}

/// A list of the document, an item a line.
struct List<'o, W> {
    out: &'o mut W,
    before: &'static str,
}

impl<'o, W: Write> List<'o, W> {
    fn begin(out: &'o mut W, name: &str) -> io::Result<Self> {
        write!(out, ",\n\"{name}\": [")?;
        Ok(Self { out, before: "\n" })
    }

    fn push(&mut self, item: &Value) -> io::Result<()> {
        write!(self.out, "{}{item}", self.before)?;
        self.before = ",\n";
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        self.out.write_all(b"]")
    }
}

fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Named as `djaffar dump --format ndjson` names them.
fn activity(row: &ActivityRow<'_>) -> Value {
    json!({
        "id": row.id.to_string(),
        "date": instant(row.date),
        "received_at": instant(row.received_at),
        "user": row.user_id,
        "session": row.session_id,
        "ip_address": row.ip_address,
        "path": row.path,
        "referer": row.referer,
    })
}

fn session_info(row: &SessionInfoRow<'_>) -> Value {
    json!({
        "session": row.session_id,
        "user_agent": row.user_agent,
        "first_seen": instant(row.first_seen),
    })
}

fn dead_letter(letter: &HeldLetter) -> Value {
    let mut fields = text::object(&letter.head);
    fields.insert("activity".to_owned(), text::activity(&letter.activity));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_json_however_long() {
        for count in 0..3 {
            let mut out = b"{\"a\": 1".to_vec();
            let mut list = List::begin(&mut out, "items").unwrap();
            for number in 0..count {
                list.push(&json!({ "number": number })).unwrap();
            }
            list.end().unwrap();
            out.push(b'}');
            let value: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value["items"].as_array().unwrap().len(), count);
        }
    }
}
