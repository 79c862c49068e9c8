//! The months of `activity` and the names and bounds of their partitions: pure.

use chrono::{DateTime, Datelike, Utc};

/// Late deliveries and old queues; older dates go to the default partition.
const MONTHS_BACK: i32 = 12;
/// So that the default partition only ever holds wild dates.
const MONTHS_AHEAD: i32 = 3;

/// Months since year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(i32);

impl Month {
    fn of(instant: DateTime<Utc>) -> Self {
        Self(instant.year() * 12 + instant.month0().cast_signed())
    }

    /// Those that must exist, the earliest first.
    pub(super) fn wanted(now: DateTime<Utc>) -> impl Iterator<Item = Self> {
        let Self(current) = Self::of(now);
        (current - MONTHS_BACK..=current + MONTHS_AHEAD).map(Self)
    }

    pub(super) fn partition(self) -> String {
        format!("activity_{:04}_{:02}", self.year(), self.number())
    }

    /// The first instant, for SQL: with its offset, whatever the session's time zone.
    pub(super) fn start(self) -> String {
        format!("'{:04}-{:02}-01 00:00:00+00'", self.year(), self.number())
    }

    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    fn year(self) -> i32 {
        self.0.div_euclid(12)
    }

    fn number(self) -> i32 {
        self.0.rem_euclid(12) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_months_across_the_year() {
        let now = DateTime::parse_from_rfc3339("2026-11-30T23:59:59.999999Z").expect("a date").to_utc();
        let months: Vec<Month> = Month::wanted(now).collect();
        assert_eq!(months.len(), 16);
        assert_eq!(months[0].partition(), "activity_2025_11");
        assert_eq!(months[13].partition(), "activity_2026_12");
        assert_eq!(months[13].start(), "'2026-12-01 00:00:00+00'");
        assert_eq!(months[13].next().start(), "'2027-01-01 00:00:00+00'");
        assert_eq!(months[15].partition(), "activity_2027_02");
    }
}
