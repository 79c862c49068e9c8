//! Rows that are hard to print.

use chrono::{DateTime, Utc};
use shared::event::{
    Activity, ClientAddress, EventDate, EventId, PagePath, Referer, SessionId, UserAgent, UserId,
};
use shared::frame::FrameId;
use shared::store::{Batch, Origin, SessionInfo, StoredActivity};
use uuid::Uuid;

const DATES: [&str; 10] = [
    "2016-12-29T07:35:22Z",
    "2016-12-29T07:35:22.571Z",
    "2016-12-29T07:35:22.571123Z",
    "2016-12-29T07:35:22.999999Z",
    "2016-12-29T07:35:22.000001Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00.000999Z",
    "0999-12-31T23:59:59.5Z",
    "1969-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.999999Z",
];

const TEXTS: [&str; 14] = [
    "users/me/cart/",
    "\"quoted\" 'single' `back`",
    "back\\slash and \\u0041 and \\\" and /slash/",
    "\u{1}\u{2}\u{8}\t\n\u{b}\u{c}\r\u{e}\u{1f}\u{7f}",
    "\u{80}\u{9f}\u{a0}\u{ad}",
    "line\u{2028}paragraph\u{2029}",
    "emoji 😀👩‍👩‍👧 and e\u{301} and é",
    "\u{202e}right to left\u{200f} שלום",
    "\u{feff}bom \u{fffd} \u{fffe} \u{ffff} \u{10ffff}",
    "<script>alert(1)</script> & </",
    "{\"model\": \"djaffar.activity\"}, [",
    "null",
    " ",
    "null, 0, -0, 1e5",
];

/// Every date and every text, with and without what may be missing; ids in no order of time.
pub(crate) fn activities() -> Vec<Activity> {
    let count = DATES.len() * TEXTS.len();
    (0..count)
        .map(|number| activity(number, DATES[number % DATES.len()], TEXTS[number % TEXTS.len()]))
        .collect()
}

fn activity(number: usize, date: &str, text: &str) -> Activity {
    let known = !number.is_multiple_of(3);
    let id = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Activity {
        id: EventId(Uuid::from_u128(id)),
        date: event_date(date),
        received_at: event_date(DATES[0]),
        session_id: known.then(|| session(number)),
        user_id: (!number.is_multiple_of(4)).then(|| UserId::new(text).expect("a user id")),
        ip_address: (!number.is_multiple_of(5)).then(|| address(number)),
        path: PagePath::new(text).expect("a path"),
        referer: Referer::new(if known { text } else { "" }, 2048).expect("a referer"),
        user_agent: UserAgent::from_header(text.as_bytes()),
    }
}

fn event_date(text: &str) -> EventDate {
    let instant: DateTime<Utc> = text.parse().expect("a date");
    EventDate::new(instant).expect("a date of the years 1 to 9999")
}

fn session(number: usize) -> SessionId {
    SessionId::new(format!("{:032x}", number * 7919 % 10_007)).expect("a session id")
}

fn address(number: usize) -> ClientAddress {
    let text = if number.is_multiple_of(2) { "192.0.2.7" } else { "2001:db8::1" };
    ClientAddress::new(text.parse().expect("an address"))
}

/// As the writer would hand them to a store.
pub(crate) fn batch(activities: &[Activity]) -> Batch {
    let mut activities = activities.to_vec();
    activities.sort_by_key(|activity| (activity.date, activity.id));
    let mut session_infos: Vec<_> = activities.iter().filter_map(session_info).collect();
    session_infos.sort_by(|one, other| one.session_id.cmp(&other.session_id));
    session_infos.dedup_by(|one, other| one.session_id == other.session_id);
    let origin = |index: usize| Origin {
        frame_id: Some(FrameId::generate()),
        index: u32::try_from(index).expect("a small batch"),
    };
    let stored = activities.into_iter().enumerate().map(|(index, activity)| StoredActivity {
        activity,
        raw: shared::frame::RawEntry::default(),
        origin: origin(index),
    });
    let activities: Vec<_> = stored.collect();
    Batch { delivered: activities.len() as u64, activities, session_infos, ..Batch::default() }
}

fn session_info(activity: &Activity) -> Option<SessionInfo> {
    Some(SessionInfo {
        session_id: activity.session_id.clone()?,
        user_agent: activity.user_agent.clone(),
        first_seen: activity.received_at.instant(),
    })
}
