//! A record to an activity or a session info, valid by construction.
//!
//! The limits are those of the endpoint. Texts are taken as they are, since what was stored has
//! been trimmed already: a dump that is loaded must dump equal. No reason repeats a value.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use shared::event::{
    Activity, ClientAddress, EventDate, EventId, InvalidText, PagePath, Referer, SessionId, UserAgent, UserId,
};
use shared::store::SessionInfo;
use uuid::Uuid;

use super::json::{FixtureRecord, Value, reason};
use super::stable_id;

/// What a file holds at one place.
pub(super) struct Item {
    pub(super) line: u64,
    /// Read for it.
    pub(super) bytes: usize,
    /// Or what is wrong with it.
    pub(super) record: Result<Record, String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    Activity(Box<Activity>),
    SessionInfo(SessionInfo),
    /// Of a fixture that holds more than ours.
    OtherModel,
}

/// What a record may name; the names are those of a dump.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Row<'a> {
    #[serde(borrow, alias = "pk")]
    pub(super) id: Value<'a>,
    #[serde(borrow)]
    pub(super) date: Value<'a>,
    #[serde(borrow)]
    pub(super) received_at: Value<'a>,
    #[serde(borrow, alias = "user_id")]
    pub(super) user: Value<'a>,
    #[serde(borrow, alias = "session_id")]
    pub(super) session: Value<'a>,
    #[serde(borrow)]
    pub(super) ip_address: Value<'a>,
    #[serde(borrow)]
    pub(super) path: Value<'a>,
    #[serde(borrow)]
    pub(super) referer: Value<'a>,
    #[serde(borrow)]
    pub(super) user_agent: Value<'a>,
    #[serde(borrow)]
    pub(super) first_seen: Value<'a>,
}

impl Row<'_> {
    fn is_session_info(&self) -> bool {
        let names = |value: &Value<'_>| !matches!(value, Value::Absent);
        names(&self.user_agent) || names(&self.first_seen)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) time_zone: Tz,
    /// In characters.
    pub(super) referer_max: usize,
    pub(super) now: DateTime<Utc>,
}

impl Reader {
    /// An object of a fixture, or a row.
    pub(super) fn json(&self, bytes: &[u8]) -> Result<Record, String> {
        let json = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        if !json.trim_start().starts_with('{') {
            return Err("it is no object".to_owned());
        }
        // Django writes the model first; nobody else's row has one.
        if json.trim_start().trim_start_matches('{').trim_start().starts_with("\"model\"") {
            return self.fixture_record(json);
        }
        match serde_json::from_str::<Row<'_>>(json) {
            Ok(row) => self.row(row),
            Err(_) if serde_json::from_str::<FixtureRecord<'_>>(json).is_ok() => self.fixture_record(json),
            Err(error) => Err(reason(&error)),
        }
    }

    fn fixture_record(&self, json: &str) -> Result<Record, String> {
        let record: FixtureRecord<'_> = serde_json::from_str(json).map_err(|error| reason(&error))?;
        let Value::Text(model) = record.model else { return Err("its model is no text".to_owned()) };
        let fields = || serde_json::from_str::<Row<'_>>(record.fields.get()).map_err(|error| reason(&error));
        match model.to_ascii_lowercase().as_str() {
            "djaffar.activity" => self.activity(Row { id: record.pk, ..fields()? }, Dates::OfDjango),
            "djaffar.sessioninfo" => self.session_info(Row { session: record.pk, ..fields()? }),
            _ => Ok(Record::OtherModel),
        }
    }

    pub(super) fn row(&self, row: Row<'_>) -> Result<Record, String> {
        if row.is_session_info() { self.session_info(row) } else { self.activity(row, Dates::Whole) }
    }

    fn activity(&self, row: Row<'_>, dates: Dates) -> Result<Record, String> {
        if row.is_session_info() {
            return Err("an activity has no user_agent and no first_seen".to_owned());
        }
        let date = self.date("date", &row.date)?.ok_or("date is missing")?;
        let date = if dates == Dates::OfDjango { with_fraction(date, &row.date) } else { date };
        let received_at = self.date("received_at", &row.received_at)?.unwrap_or(date);
        let user_id = key("user", row.user, UserId::new)?;
        let session_id = key("session", row.session, SessionId::new)?;
        let ip_address = address(&row.ip_address)?;
        let path = text("path", row.path)?.ok_or("path is missing")?;
        let path = PagePath::new(path.into_owned()).map_err(|error| wrong("path", error))?;
        let referer = text("referer", row.referer)?.unwrap_or_default();
        let referer =
            Referer::new(referer.into_owned(), self.referer_max).map_err(|error| wrong("referer", error))?;
        let id = match id(&row.id)? {
            Some(Id::Ours(id)) => id,
            Some(Id::Number(key)) => stable_id::of_key(key, date),
            None => {
                let address = ip_address.map(|address| address.to_string());
                stable_id::of_contents(
                    date,
                    [
                        user_id.as_ref().map(UserId::as_str),
                        session_id.as_ref().map(SessionId::as_str),
                        address.as_deref(),
                        Some(path.as_str()),
                        Some(referer.as_str()),
                    ],
                )
            }
        };
        let user_agent = UserAgent::default();
        let activity =
            Activity { id, date, received_at, session_id, user_id, ip_address, path, referer, user_agent };
        Ok(Record::Activity(Box::new(activity)))
    }

    fn session_info(&self, row: Row<'_>) -> Result<Record, String> {
        let of_activities =
            [&row.id, &row.date, &row.received_at, &row.user, &row.ip_address, &row.path, &row.referer];
        if of_activities.iter().any(|value| !matches!(value, Value::Absent)) {
            return Err("a session info has session, user_agent and first_seen, and nothing else".to_owned());
        }
        let session_id = key("session", row.session, SessionId::new)?.ok_or("session is missing")?;
        let user_agent = text("user_agent", row.user_agent)?.unwrap_or_default();
        let first_seen = self.date("first_seen", &row.first_seen)?;
        Ok(Record::SessionInfo(SessionInfo {
            session_id,
            user_agent: UserAgent::from_header(user_agent.as_bytes()),
            first_seen: first_seen.map_or(self.now, EventDate::instant),
        }))
    }

    fn date(&self, name: &str, value: &Value<'_>) -> Result<Option<EventDate>, String> {
        match value {
            Value::Absent | Value::Null => Ok(None),
            Value::Text(text) => match ingest::intake::date_of_text(text, self.time_zone) {
                Some(date) => Ok(Some(date)),
                None => {
                    Err(format!("{name} is no date of the years 1 to 9999, such as 2016-12-29T07:35:22.571Z"))
                }
            },
            Value::Integer(_) => {
                Err(format!("{name} is a number; a date is such as 2016-12-29T07:35:22.571Z"))
            }
            Value::Other(what) => Err(format!("{name} is {what}")),
        }
    }
}

/// What has become of microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dates {
    Whole,
    /// A fixture cuts them to milliseconds.
    OfDjango,
}

/// Django writes a fraction only where there are microseconds, so that `.000` stands for some below
/// a millisecond: one of them keeps the fraction in the next dump.
fn with_fraction(date: EventDate, text: &Value<'_>) -> EventDate {
    let Value::Text(text) = text else { return date };
    let fraction = text.split_once('.').and_then(|(_, rest)| rest.strip_prefix("000"));
    if fraction.is_none_or(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit())) {
        return date;
    }
    EventDate::from_micros(date.micros() + 1).unwrap_or(date)
}

enum Id {
    Ours(EventId),
    Number(i128),
}

fn id(value: &Value<'_>) -> Result<Option<Id>, String> {
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(Id::Number(*number))),
        Value::Text(text) => match (Uuid::try_parse(text), text.parse::<i64>()) {
            (Ok(uuid), _) => Ok(Some(Id::Ours(EventId(uuid)))),
            (Err(_), Ok(number)) => Ok(Some(Id::Number(number.into()))),
            (Err(_), Err(_)) => Err("id is neither a UUID nor a whole number".to_owned()),
        },
        Value::Other(what) => Err(format!("id is {what}")),
    }
}

/// A key of another table: a text or a whole number.
fn key<K>(
    name: &str,
    value: Value<'_>,
    make: impl FnOnce(String) -> Result<K, InvalidText>,
) -> Result<Option<K>, String> {
    let text = match value {
        Value::Absent | Value::Null => return Ok(None),
        Value::Text(text) => text.into_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Other("a list") => {
            return Err(format!("{name} is a natural key; dump without --natural-foreign"));
        }
        Value::Other(what) => return Err(format!("{name} is {what}")),
    };
    make(text).map(Some).map_err(|error| wrong(name, error))
}

/// Empty counts as none, as it was django-djaffar's default.
fn address(value: &Value<'_>) -> Result<Option<ClientAddress>, String> {
    let text = match value {
        Value::Absent | Value::Null => return Ok(None),
        Value::Text(text) if text.is_empty() => return Ok(None),
        Value::Text(text) => text,
        Value::Integer(_) | Value::Other(_) => return Err("ip_address is no text".to_owned()),
    };
    // A zone names an interface of the machine that wrote it.
    let address = text.split_once('%').map_or(&**text, |(address, _)| address);
    let address: IpAddr = address.parse().map_err(|_| "ip_address is no address".to_owned())?;
    Ok(Some(ClientAddress::new(address)))
}

fn text<'a>(name: &str, value: Value<'a>) -> Result<Option<Cow<'a, str>>, String> {
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        Value::Integer(_) => Err(format!("{name} is a number")),
        Value::Other(what) => Err(format!("{name} is {what}")),
    }
}

fn wrong(name: &str, error: InvalidText) -> String {
    format!("{name} {error}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::load) fn reader() -> Reader {
        Reader { time_zone: Tz::Europe__Berlin, referer_max: 20, now: DateTime::UNIX_EPOCH }
    }

    fn activity(json: &str) -> Activity {
        match reader().json(json.as_bytes()) {
            Ok(Record::Activity(activity)) => *activity,
            other => panic!("{json}: {other:?}"),
        }
    }

    const ROW: &str = r#""date": "2016-12-29T07:35:22.571Z", "path": "p""#;

    #[test]
    fn a_record_of_django_djaffar() {
        let old = activity(
            r#"{"model": "djaffar.activity", "pk": 7, "fields": {"user": 3, "session": "s", "ip_address": "",
                "date": "2016-12-29T07:35:22.571", "path": "p", "referer": ""}}"#,
        );
        assert_eq!(old.user_id.as_ref().map(UserId::as_str), Some("3"));
        assert_eq!(old.date.instant().to_rfc3339(), "2016-12-29T06:35:22.571+00:00", "of the zone");
        assert_eq!((old.received_at, old.ip_address), (old.date, None));
        assert_eq!(old.id, stable_id::of_key(7, old.date));
    }

    #[test]
    fn a_fraction_that_django_has_cut_stays_a_fraction() {
        let micros = |text: &str| {
            let fields = format!(r#"{{"date": "2016-12-29T07:35:22{text}", "path": "p"}}"#);
            let record = activity(&format!(r#"{{"model": "djaffar.activity", "fields": {fields}}}"#));
            let row = activity(&fields);
            (record.date.instant().timestamp_subsec_micros(), row.date.instant().timestamp_subsec_micros())
        };
        assert_eq!(micros("Z"), (0, 0));
        assert_eq!(micros(".000Z"), (1, 0));
        assert_eq!(micros(".000"), (1, 0));
        assert_eq!(micros(".000000Z"), (0, 0));
        assert_eq!(micros(".571Z"), (571_000, 571_000));
    }

    #[test]
    fn rows_and_other_shapes() {
        let id = "0193a5c8-0000-7000-8000-000000000001";
        let ours = activity(&format!(r#"{{"id": "{id}", {ROW}, "user_id": "u", "session_id": null}}"#));
        assert_eq!(
            (ours.id.0.to_string().as_str(), ours.user_id.as_ref().map(UserId::as_str)),
            (id, Some("u"))
        );
        assert_eq!(activity(&format!("{{{ROW}}}")), activity(&format!(" {{ {ROW} }} ")), "a stable id");
        let reordered = format!(r#"{{"pk": "{id}", "fields": {{{ROW}}}, "model": "Djaffar.Activity"}}"#);
        assert_eq!(activity(&reordered).id, ours.id);
        let other = reader().json(br#"{"model": "auth.user", "pk": 1, "fields": {"username": "anna"}}"#);
        assert_eq!(other, Ok(Record::OtherModel));
        let Ok(Record::SessionInfo(info)) = reader().json(br#"{"session": "s", "user_agent": ""}"#) else {
            panic!("no session info")
        };
        assert_eq!((info.session_id.as_str(), info.first_seen), ("s", DateTime::UNIX_EPOCH));
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        for (json, expected) in [
            ("{", "it cannot be read: EOF while parsing an object"),
            ("\"a\"", "it is no object"),
            (r#"{"path": "p"}"#, "date is missing"),
            (
                r#"{"date": "yesterday", "path": "p"}"#,
                "date is no date of the years 1 to 9999, such as 2016-12-29T07:35:22.571Z",
            ),
            (
                r#"{"date": 1483000000, "path": "p"}"#,
                "date is a number; a date is such as 2016-12-29T07:35:22.571Z",
            ),
            (r#"{"date": "2016-12-29"}"#, "path is missing"),
            (r#"{"date": "2016-12-29", "path": ""}"#, "path is empty"),
            (r#"{"date": "2016-12-29", "path": 7}"#, "path is a number"),
            (r#"{"date": "2016-12-29", "path": "a\u0000"}"#, "path contains U+0000"),
            (
                r#"{"date": "2016-12-29", "path": "p", "referer": "123456789012345678901"}"#,
                "referer is too long",
            ),
            (
                r#"{"date": "2016-12-29", "path": "p", "user": ["anna"]}"#,
                "user is a natural key; dump without --natural-foreign",
            ),
            (
                r#"{"date": "2016-12-29", "path": "p", "user": 1.5}"#,
                "user is a number that is not whole or too large",
            ),
            (r#"{"date": "2016-12-29", "path": "p", "user": ""}"#, "user is empty"),
            (r#"{"date": "2016-12-29", "path": "p", "ip_address": "localhost"}"#, "ip_address is no address"),
            (r#"{"date": "2016-12-29", "path": "p", "id": "x"}"#, "id is neither a UUID nor a whole number"),
            (
                r#"{"date": "2016-12-29", "path": "p", "date": "2016-12-29"}"#,
                "it cannot be read: duplicate field `date`",
            ),
            (r#"{"user_agent": "a"}"#, "session is missing"),
            (
                r#"{"user_agent": "a", "session": "s", "path": "p"}"#,
                "a session info has session, user_agent and first_seen, and nothing else",
            ),
            (r#"{"model": 7, "pk": 1, "fields": {}}"#, "its model is no text"),
        ] {
            assert_eq!(reader().json(json.as_bytes()), Err(expected.to_owned()), "{json}");
        }
        let unknown = reader().json(br#"{"date": "2016-12-29", "paht": "p"}"#).unwrap_err();
        assert!(
            unknown.starts_with("it cannot be read: unknown field `paht`, expected one of `id`"),
            "{unknown}"
        );
        let forged = reader().json(br#"{"a\nstored 7 rows \u001b[2J": 1}"#).unwrap_err();
        assert!(
            forged.starts_with(r"it cannot be read: unknown field `a\u{a}stored 7 rows \u{1b}[2J`"),
            "{forged}"
        );
        let long = format!(r#"{{"{}": 1}}"#, "\u{e9}".repeat(1000));
        let cut = reader().json(long.as_bytes()).unwrap_err();
        assert!(
            cut.starts_with("it cannot be read: unknown field `\u{e9}") && cut.ends_with("\u{e9}..."),
            "{cut}"
        );
        assert!(cut.len() < 300, "{cut}");
        assert_eq!(reader().json(b"\xff"), Err("it is not UTF-8".to_owned()));
    }

    #[test]
    fn addresses_are_canonical() {
        let of = |text: &str| address(&Value::Text(text.into())).unwrap().map(|address| address.to_string());
        assert_eq!(of("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(of("fe80::1%eth0").as_deref(), Some("fe80::1"));
        assert_eq!(of(""), None);
    }
}
