//! The activity and its parts, valid by construction.
//!
//! Every type here is checked once, where it is made; nothing later checks
//! again. Limits count code points, as django-djaffar's columns did, except
//! where a limit says bytes. No text holds U+0000, which Postgres refuses. Texts share
//! their bytes with what they were read from: the writer copies none before it encodes rows.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use bytestring::ByteString;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Longest path, in code points.
pub const PATH_CHARACTERS_MAX: usize = 1000;
/// Longest referer that any configuration may allow, in code points.
pub const REFERER_CHARACTERS_MAX: usize = 65_536;
/// Longest user agent, in code points; a longer one is cut.
pub const USER_AGENT_CHARACTERS_MAX: usize = 1000;
/// Longest user id, in bytes: one B-tree entry of Postgres must hold it.
pub const USER_ID_BYTES_MAX: usize = 255;
/// Longest session id, in bytes: one B-tree entry of Postgres must hold it.
pub const SESSION_ID_BYTES_MAX: usize = 255;

/// One validated, enriched record; becomes one row of `activity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub id: EventId,
    /// When it happened, by the client's clock.
    pub date: EventDate,
    /// When ingest accepted it, by the server's clock.
    pub received_at: EventDate,
    pub session_id: Option<SessionId>,
    /// The user whom the site has authenticated; never taken from a payload.
    pub user_id: Option<UserId>,
    pub ip_address: Option<ClientAddress>,
    pub path: PagePath,
    pub referer: Referer,
    /// Stored once per session, in `session_info`.
    pub user_agent: UserAgent,
}

/// UUID of an activity: sent by the client or made at intake; with the date, the primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Uuid);

impl EventId {
    /// A new time-ordered id (UUIDv7), so that index inserts stay local.
    #[must_use]
    pub fn generate() -> Self {
        Self(crate::chance::time_ordered_id())
    }
}

/// An instant from year 1 to 9999 (UTC), in whole microseconds: what every
/// reader of the database can represent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventDate {
    /// Since 1970.
    micros: i64,
}

impl EventDate {
    /// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z.
    const RANGE: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

    /// Cuts to microseconds; `None` outside the years 1 to 9999.
    #[must_use]
    pub fn new(instant: DateTime<Utc>) -> Option<Self> {
        Self::from_micros(instant.timestamp_micros())
    }

    /// From microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        Self::RANGE.contains(&micros).then_some(Self { micros })
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.micros
    }

    #[must_use]
    pub fn instant(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.micros).expect("chrono knows these years and more")
    }
}

impl fmt::Debug for EventDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.instant().fmt(formatter)
    }
}

/// A text that a limit or U+0000 keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    #[error("is empty")]
    Blank,
    #[error("is too long")]
    TooLong,
    #[error("contains U+0000")]
    Null,
}

fn check_text(text: &str, characters_max: usize) -> Result<(), InvalidText> {
    // A text of n bytes has at most n code points: counting is rare.
    if text.len() > characters_max && text.chars().count() > characters_max {
        return Err(InvalidText::TooLong);
    }
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(InvalidText::Null);
    }
    Ok(())
}

/// The page's path or URL: 1 to 1000 code points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePath(ByteString);

impl PagePath {
    pub fn new(text: impl Into<ByteString>) -> Result<Self, InvalidText> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidText::Blank);
        }
        check_text(&text, PATH_CHARACTERS_MAX)?;
        Ok(Self(text))
    }
}

/// Where the user came from; empty when unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referer(ByteString);

impl Referer {
    /// `characters_max` is the configured limit (`--referer-max`).
    pub fn new(text: impl Into<ByteString>, characters_max: usize) -> Result<Self, InvalidText> {
        let text = text.into();
        check_text(&text, characters_max)?;
        Ok(Self(text))
    }
}

/// The browser's user agent, cut to 1000 code points and freed of U+0000; empty when unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAgent(ByteString);

impl UserAgent {
    /// Takes any header value: invalid UTF-8 is replaced, the rest is cut.
    #[must_use]
    pub fn from_header(value: &[u8]) -> Self {
        Self::new(String::from_utf8_lossy(value).into_owned())
    }

    /// Cuts what is too long.
    #[must_use]
    pub fn new(text: impl Into<ByteString>) -> Self {
        let text = text.into();
        if check_text(&text, USER_AGENT_CHARACTERS_MAX).is_ok() {
            return Self(text);
        }
        let kept = text.chars().filter(|character| *character != '\0').take(USER_AGENT_CHARACTERS_MAX);
        Self(kept.collect::<String>().into())
    }
}

/// The browser session: ours (32 hex digits) or, in Django mode, Django's own key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(ByteString);

impl SessionId {
    pub fn new(text: impl Into<ByteString>) -> Result<Self, InvalidText> {
        let text = text.into();
        check_key(&text, SESSION_ID_BYTES_MAX)?;
        Ok(Self(text))
    }
}

// A Django session id is a live credential: it must not reach a log by accident.
impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionId(***)")
    }
}

/// The verified user's id, as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(ByteString);

impl UserId {
    pub fn new(text: impl Into<ByteString>) -> Result<Self, InvalidText> {
        let text = text.into();
        check_key(&text, USER_ID_BYTES_MAX)?;
        Ok(Self(text))
    }
}

fn check_key(text: &str, bytes_max: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Blank);
    }
    if text.len() > bytes_max {
        return Err(InvalidText::TooLong);
    }
    check_text(text, bytes_max)
}

/// The client's address; an IPv4-mapped IPv6 address is the IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

// Personal data: printed only where somebody asks for it by name.
impl fmt::Debug for ClientAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientAddress(***)")
    }
}

macro_rules! text_access {
    ($($name:ident),*) => {$(
        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            #[must_use]
            pub fn into_string(self) -> String {
                self.0.into()
            }
        }
    )*};
}
text_access!(PagePath, Referer, UserAgent, SessionId, UserId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_code_points() {
        assert!(PagePath::new("é".repeat(1000)).is_ok());
        assert_eq!(PagePath::new("é".repeat(1001)), Err(InvalidText::TooLong));
        assert_eq!(PagePath::new(""), Err(InvalidText::Blank));
        assert_eq!(PagePath::new("a\0"), Err(InvalidText::Null));
        assert!(Referer::new("", 2048).is_ok());
        assert_eq!(Referer::new("abc", 2), Err(InvalidText::TooLong));
    }

    #[test]
    fn key_limits_count_bytes() {
        assert!(UserId::new("é".repeat(127)).is_ok());
        assert_eq!(UserId::new("é".repeat(128)), Err(InvalidText::TooLong));
    }

    #[test]
    fn a_user_agent_is_cut_not_refused() {
        let agent = UserAgent::from_header("é".repeat(1200).as_bytes());
        assert_eq!(agent.as_str().chars().count(), 1000);
        assert_eq!(UserAgent::from_header(b"a\xffb\0c").as_str(), "a\u{fffd}bc");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(ClientAddress::new(mapped).to_string(), "192.0.2.1");
    }

    #[test]
    fn dates_end_where_readers_do() {
        assert!(EventDate::from_micros(i64::MAX).is_none());
        for (inside, outside) in [
            ("0001-01-01T00:00:00Z", "0000-12-31T23:59:59.999999Z"),
            ("9999-12-31T23:59:59.9999999Z", "+10000-01-01T00:00:00Z"),
        ] {
            let instant = |text: &str| text.parse::<DateTime<Utc>>().expect("an instant");
            assert!(EventDate::new(instant(inside)).is_some(), "{inside}");
            assert!(EventDate::new(instant(outside)).is_none(), "{outside}");
        }
        let before_1970 = "1969-12-31T23:59:59.9999999Z".parse().expect("an instant");
        let cut = EventDate::new(before_1970).expect("a date");
        assert_eq!(
            (cut.micros(), cut.instant().to_rfc3339()),
            (-1, "1969-12-31T23:59:59.999999+00:00".to_owned())
        );
        let date = EventDate::from_micros(1_482_996_922_571_123).expect("a date");
        assert_eq!(date.instant().to_rfc3339(), "2016-12-29T07:35:22.571123+00:00");
    }

    #[test]
    fn personal_data_does_not_print() {
        let session = SessionId::new("0123456789abcdef").expect("a session id");
        assert_eq!(format!("{session:?}"), "SessionId(***)");
    }
}
