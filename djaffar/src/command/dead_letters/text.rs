//! Dead letters for people and for machines. Pure.

use std::fmt::Write as _;

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use shared::event::{Activity, EventDate};
use shared::frame::{Decoded, decode_activity};
use writer::dead_letters::{Letter, LetterHead};

/// Longest reason in a table, in characters.
const REASON_CHARACTERS: usize = 100;
const HEX_LINE_BYTES: usize = 16;

/// What a letter's bytes are to this build.
#[derive(Debug)]
pub(super) enum Content {
    Activity(Box<Activity>),
    /// Why not.
    Unreadable(String),
}

pub(super) fn content(letter: &Letter) -> Content {
    if letter.head.frame_id.is_none() {
        return Content::Unreadable("it is a whole frame, which has changed on its way".to_owned());
    }
    match decode_activity(letter.bytes.clone()).decoded {
        Decoded::Activity(activity) => Content::Activity(Box::new(activity)),
        Decoded::Invalid(reason) => Content::Unreadable(reason),
    }
}

pub(super) fn heading() -> String {
    format!(
        "{:>8} {:<20} {:<8} {:>8} {:<36} {:>6} reason",
        "id", "first seen", "sqlstate", "bytes", "frame", "index"
    )
}

pub(super) fn row(head: &LetterHead) -> String {
    let frame = head.frame_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let first_seen = head.first_seen.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut reason: String = head.reason.escape_debug().take(REASON_CHARACTERS + 1).collect();
    if reason.chars().count() > REASON_CHARACTERS {
        reason = reason.chars().take(REASON_CHARACTERS - 3).chain("...".chars()).collect();
    }
    let sqlstate = head.sqlstate.as_deref().unwrap_or("-");
    format!(
        "{:>8} {first_seen:<20} {sqlstate:<8} {:>8} {frame:<36} {:>6} {reason}",
        head.id, head.bytes, head.index
    )
}

pub(in crate::command) fn fields(head: &LetterHead) -> [(&'static str, Value); 7] {
    [
        ("id", json!(head.id)),
        ("reason", json!(head.reason)),
        ("sqlstate", json!(head.sqlstate)),
        ("frame", json!(head.frame_id.map(|id| id.to_string()))),
        ("index", json!(head.index)),
        ("first_seen", json!(head.first_seen.to_rfc3339_opts(SecondsFormat::Micros, true))),
        ("bytes", json!(head.bytes)),
    ]
}

pub(in crate::command) fn object(head: &LetterHead) -> Map<String, Value> {
    fields(head).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Named as `djaffar dump --format ndjson` names them, with the user agent beside.
pub(in crate::command) fn activity(activity: &Activity) -> Value {
    let instant = |date: EventDate| date.instant().to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({
        "id": activity.id.0.to_string(),
        "date": instant(activity.date),
        "received_at": instant(activity.received_at),
        "user": activity.user_id.as_ref().map(|id| id.as_str()),
        "session": activity.session_id.as_ref().map(|id| id.as_str()),
        "ip_address": activity.ip_address.map(|address| address.to_string()),
        "path": activity.path.as_str(),
        "referer": activity.referer.as_str(),
        "user_agent": activity.user_agent.as_str(),
    })
}

pub(in crate::command) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        // Writing to a String cannot fail.
        write!(digits, "{byte:02x}").ok();
        digits
    })
}

/// Offset, bytes and what is printable of them, 16 a line.
pub(super) fn hex_dump(bytes: &[u8]) -> String {
    let line = |(number, bytes): (usize, &[u8])| {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let printable = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        let printable: String = bytes.iter().map(printable).collect();
        format!("{:08x}  {:<47}  {printable}", number * HEX_LINE_BYTES, digits.join(" "))
    };
    bytes.chunks(HEX_LINE_BYTES).enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_row_stays_one_line() {
        let reason = format!("first\nsecond{}", "x".repeat(200));
        let head = LetterHead {
            id: 7,
            reason,
            sqlstate: Some("23514".to_owned()),
            frame_id: None,
            index: 3,
            first_seen: DateTime::UNIX_EPOCH,
            bytes: 120,
        };
        let row = row(&head);
        assert!(row.contains("1970-01-01T00:00:00Z 23514") && row.contains(r"first\nsecond"), "{row}");
        assert!(row.ends_with("...") && row.lines().count() == 1, "{row}");
    }

    #[test]
    fn bytes_in_hex() {
        assert_eq!(hex(b"\0DJF\xff"), "00444a46ff");
        let dump = hex_dump(b"0123456789abcdef\x00");
        assert!(
            dump.starts_with("00000000  30 31 32") && dump.contains("0123456789abcdef\n00000010  00 "),
            "{dump}"
        );
    }
}
