//! The months of `activity` and the names and bounds of their partitions in Postgres: pure.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};

/// Late deliveries and old queues; older dates go to the default partition.
const MONTHS_BACK: i32 = 12;
/// So that the default partition only ever holds wild dates.
const MONTHS_AHEAD: i32 = 3;

/// Months since year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Month(i32);

impl Month {
    pub(crate) fn of(instant: DateTime<Utc>) -> Self {
        Self(instant.year() * 12 + instant.month0().cast_signed())
    }

    /// Those that must exist, the earliest first; none that has been pruned.
    pub(crate) fn wanted(
        now: DateTime<Utc>,
        pruned_before: Option<DateTime<Utc>>,
    ) -> impl Iterator<Item = Self> {
        let Self(current) = Self::of(now);
        let months = (current - MONTHS_BACK..=current + MONTHS_AHEAD).map(Self);
        months.filter(move |month| !pruned_before.is_some_and(|limit| month.ends_by(limit)))
    }

    /// Whether every date in it is before the limit.
    pub(crate) fn ends_by(self, limit: DateTime<Utc>) -> bool {
        self < Self::of(limit)
    }

    /// The month of a partition with such a name.
    pub(crate) fn of_partition(name: &str) -> Option<Self> {
        let (year, number) = name.strip_prefix("activity_")?.split_once('_')?;
        let month = Self(year.parse::<i32>().ok()? * 12 + number.parse::<i32>().ok()? - 1);
        (month.partition() == name).then_some(month)
    }

    pub(crate) fn partition(self) -> String {
        format!("activity_{:04}_{:02}", self.year(), self.number())
    }

    /// The first instant, for SQL: with its offset, whatever the session's time zone.
    pub(crate) fn start(self) -> String {
        format!("'{:04}-{:02}-01 00:00:00+00'", self.year(), self.number())
    }

    /// The first date beyond those that must exist: a wild one, by a clock that is wrong.
    pub(crate) fn wild_from(now: DateTime<Utc>) -> DateTime<Utc> {
        let Self(current) = Self::of(now);
        let Self(month) = Self(current + MONTHS_AHEAD + 1);
        let first =
            NaiveDate::from_ymd_opt(month.div_euclid(12), (month.rem_euclid(12) + 1).cast_unsigned(), 1);
        first.map_or(DateTime::<Utc>::MAX_UTC, |day| day.and_time(NaiveTime::MIN).and_utc())
    }

    pub(crate) fn next(self) -> Self {
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
        let months: Vec<Month> = Month::wanted(now, None).collect();
        assert_eq!(months.len(), 16);
        assert_eq!(months[0].partition(), "activity_2025_11");
        assert_eq!(months[13].partition(), "activity_2026_12");
        assert_eq!(months[13].start(), "'2026-12-01 00:00:00+00'");
        assert_eq!(months[13].next().start(), "'2027-01-01 00:00:00+00'");
        assert_eq!(months[15].partition(), "activity_2027_02");
        assert_eq!(Month::wild_from(now).to_rfc3339(), "2027-03-01T00:00:00+00:00");
        let limit = DateTime::parse_from_rfc3339("2026-08-31T23:59:59.999999Z").expect("a date").to_utc();
        let kept: Vec<Month> = Month::wanted(now, Some(limit)).collect();
        assert_eq!((kept.len(), kept[0].partition().as_str()), (7, "activity_2026_08"));
    }

    #[test]
    fn a_month_knows_its_partition() {
        let month = Month::of_partition("activity_2026_08").expect("a month");
        let limit = |text| DateTime::parse_from_rfc3339(text).expect("a date").to_utc();
        assert!(!month.ends_by(limit("2026-08-31T23:59:59.999999Z")));
        assert!(month.ends_by(limit("2026-09-01T00:00:00Z")));
        for name in
            ["activity_default", "activity_stray", "activity_2026_13", "activity_26_8", "other_2026_08"]
        {
            assert_eq!(Month::of_partition(name), None, "{name}");
        }
    }
}
