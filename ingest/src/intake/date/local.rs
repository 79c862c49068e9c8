//! A parsed date with its offset, or without one, and the way to UTC.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset as _, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// What a text says; without an offset it is a time of the configured zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalDate {
    pub(super) local: NaiveDateTime,
    pub(super) offset: Option<Offset>,
}

/// Distance from UTC, less than a day as in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset(TimeDelta);

impl Offset {
    pub(super) const UTC: Self = Self(TimeDelta::zero());

    pub(super) fn from_micros(micros: i64) -> Option<Self> {
        let offset = TimeDelta::microseconds(micros);
        (offset.abs() < TimeDelta::days(1)).then_some(Self(offset))
    }
}

/// Python's dates, and ours, are of the years 1 to 9999.
pub(super) fn in_python_years(date: NaiveDate) -> bool {
    (1..=9999).contains(&date.year())
}

impl LocalDate {
    /// `None` when UTC or the zone's local time leaves Python's years, as DRF converts to both.
    pub(super) fn to_utc(self, time_zone: Tz) -> Option<DateTime<Utc>> {
        let offset = match self.offset {
            Some(offset) => offset.0,
            None => zone_offset(self.local, time_zone),
        };
        let utc = self.local.checked_sub_signed(offset)?.and_utc();
        let local = utc.with_timezone(&time_zone);
        (in_python_years(utc.date_naive()) && in_python_years(local.date_naive())).then_some(utc)
    }
}

/// The zone's offset at a local time: of two, the first; in a gap, the one before it (`fold=0`).
fn zone_offset(local: NaiveDateTime, time_zone: Tz) -> TimeDelta {
    let local = in_tabulated_years(local);
    let offset = time_zone.offset_from_local_datetime(&local).earliest().unwrap_or_else(|| {
        // Offsets and gaps are each at most a day, and no two changes come within three.
        time_zone.offset_from_utc_datetime(&(local - TimeDelta::days(2)))
    });
    TimeDelta::seconds(offset.fix().local_minus_utc().into())
}

/// chrono-tz knows the changes up to 2099; from then on, the year before it
/// that has the same calendar has the same rules.
fn in_tabulated_years(local: NaiveDateTime) -> NaiveDateTime {
    const LAST_YEAR: i32 = 2099;
    if local.year() <= LAST_YEAR {
        return local;
    }
    let calendar = |year| {
        let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
        Some((first.weekday(), first.leap_year()))
    };
    let wanted = calendar(local.year());
    // Within 28 years of one century, every calendar occurs.
    (LAST_YEAR - 27..=LAST_YEAR)
        .find(|year| calendar(*year) == wanted)
        .and_then(|year| local.with_year(year))
        .unwrap_or(local)
}
