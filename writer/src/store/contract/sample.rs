//! The suite's data, the same in every run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::event::{
    Activity, ClientAddress, EventDate, EventId, PagePath, REFERER_CHARACTERS_MAX, Referer, SessionId,
    UserAgent, UserId,
};
use shared::frame::FrameId;
use shared::store::{Batch, SessionInfo, StoredActivity};
use uuid::Uuid;

use super::row;

/// 2026-11-20T12:00:00Z
const EPOCH_MICROS: i64 = 1_795_176_000_000_000;

/// So many milliseconds after the suite's beginning.
#[must_use]
pub fn instant(milliseconds: i64) -> DateTime<Utc> {
    date(milliseconds).instant()
}

fn date(milliseconds: i64) -> EventDate {
    EventDate::from_micros(EPOCH_MICROS + milliseconds * 1000).expect("a date of our century")
}

#[must_use]
pub fn session(number: u32) -> SessionId {
    SessionId::new(format!("{number:032x}")).expect("32 digits")
}

/// The activity of this number: each has its own id and date, ten share a session.
#[must_use]
pub fn activity(number: u32) -> Activity {
    Activity {
        id: EventId(Uuid::from_u128(u128::from(number) + 1)),
        date: date(i64::from(number)),
        received_at: date(i64::from(number) + 3),
        session_id: Some(session(number / 10)),
        user_id: number.is_multiple_of(3).then(|| UserId::new(number.to_string()).expect("digits")),
        ip_address: Some(address("192.0.2.7")),
        path: PagePath::new(format!("page/{number}")).expect("a path"),
        referer: referer("https://example.com/"),
        user_agent: UserAgent::from_header(format!("agent {}", number / 10).as_bytes()),
    }
}

/// Nothing that can be left out.
pub(super) fn bare(number: u32) -> Activity {
    Activity {
        session_id: None,
        user_id: None,
        ip_address: None,
        referer: Referer::default(),
        user_agent: UserAgent::default(),
        ..activity(number)
    }
}

pub(super) fn dated(number: usize, date: EventDate) -> Activity {
    Activity { date, ..activity(u32::try_from(number).expect("a small number")) }
}

pub(super) fn odd(number: usize, text: &str) -> Activity {
    let number = u32::try_from(number).expect("a small number");
    Activity {
        session_id: Some(SessionId::new(format!("{number} {text}")).expect("a short text")),
        user_id: Some(UserId::new(text).expect("a short text")),
        path: PagePath::new(text).expect("a short text"),
        referer: referer(text),
        user_agent: UserAgent::from_header(text.as_bytes()),
        ..activity(number)
    }
}

/// What a COPY, an escape or a collation might trip over.
pub(super) fn odd_texts() -> Vec<String> {
    let texts = ["\\.", "\\N", "\\x00", "'; drop table activity; --", "\"", "\t\n\r\u{b}", " ", "NULL", "{}"];
    let code_points = ["é", "e\u{301}", "\u{202e}abc", "\u{feff}", "\u{ffff}", "\u{10ffff}", "😀", "\u{1}"];
    let mut texts: Vec<String> = texts.into_iter().chain(code_points).map(str::to_owned).collect();
    texts.push("ß".repeat(100));
    texts
}

pub(super) fn wild_dates() -> Vec<EventDate> {
    let texts = [
        "0001-01-01T00:00:00Z",
        "1582-10-10T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "2016-12-29T07:35:22.571123Z",
        "2026-02-28T23:59:59.999999Z",
        "2026-03-01T00:00:00Z",
        "2026-11-30T23:59:59.999999Z",
        "2026-12-01T00:00:00Z",
        "2038-01-19T03:14:08.000001Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    let date = |text: &str| {
        let instant = DateTime::parse_from_rfc3339(text).expect("RFC 3339").to_utc();
        EventDate::new(instant).expect("a year from 1 to 9999")
    };
    texts.into_iter().map(date).collect()
}

pub(super) fn address(text: &str) -> ClientAddress {
    ClientAddress::new(text.parse().expect("an address"))
}

fn referer(text: &str) -> Referer {
    Referer::new(text, REFERER_CHARACTERS_MAX).expect("a referer")
}

pub(super) fn frame_id(number: u128) -> FrameId {
    FrameId(Uuid::from_u128(number))
}

/// A batch of these, sorted as the port asks for.
#[must_use]
pub fn batch(activities: impl IntoIterator<Item = Activity>) -> Batch {
    let rows = activities.into_iter().zip(0..).map(|(activity, index)| row(activity, index));
    let mut rows: Vec<StoredActivity> = rows.collect();
    rows.sort_by_key(|row| (row.activity.date, row.activity.id));
    Batch { delivered: rows.len() as u64, activities: rows, ..Batch::default() }
}

/// The batch with the infos of all its sessions.
#[must_use]
pub fn with_infos(mut batch: Batch) -> Batch {
    let mut infos = BTreeMap::new();
    for StoredActivity { activity, .. } in &batch.activities {
        if let Some(session_id) = &activity.session_id {
            infos.entry(session_id.clone()).or_insert_with(|| SessionInfo {
                session_id: session_id.clone(),
                user_agent: activity.user_agent.clone(),
                first_seen: activity.received_at.instant(),
            });
        }
    }
    batch.session_infos = infos.into_values().collect();
    batch
}

/// The row has no user agent.
pub(super) fn as_read_back(row: &StoredActivity) -> Activity {
    without_agent(row.activity.clone())
}

pub(super) fn without_agent(activity: Activity) -> Activity {
    Activity { user_agent: UserAgent::default(), ..activity }
}
