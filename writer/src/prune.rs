//! Pruning: what is older than a limit goes, beside running writers.
//!
//! An activity is as old as its date. Where that cannot be trusted, outside of
//! the months that exist, its arrival counts if it is earlier. Nobody waits for
//! a pruning longer than a second: months are dropped whole under locks that are
//! asked for shortly, rows are deleted in short pieces. Held by
//! `tests/store_contract/pruning.rs` and `tests/faults/keeping.rs`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A suppression is kept so long at least: what it is for may still be queued or spooled.
const SUPPRESSED_AT_LEAST: TimeDelta = TimeDelta::days(90);
/// Pruned more recently is pruned: several writers do it once a day, all together.
const PRUNED_LATELY: TimeDelta = TimeDelta::hours(20);

#[derive(Clone, Copy, Debug)]
pub struct Pruning {
    /// What is older than this instant goes; not in the future.
    pub before: DateTime<Utc>,
    pub mode: PruneMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneMode {
    Prune,
    /// Changes nothing.
    Count,
}

/// A suppression that ends before this instant has done its work.
pub(crate) fn suppression_limit(before: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    before.min(now - SUPPRESSED_AT_LEAST)
}

/// What has gone, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Dropped whole: the table's name and its rows.
    pub months: Vec<(String, u64)>,
    /// Rows that were deleted one by one.
    pub activities: u64,
    /// Of sessions without activities, first seen before the limit.
    pub session_infos: u64,
    /// Entries for what is older than the limit anyway.
    pub suppressions: u64,
    /// Dead letters from before the limit: kept, as they are nowhere else.
    pub dead_letters_kept: u64,
}

impl PruneReport {
    /// Rows of `activity`, however they went.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.activities + self.months.iter().map(|(_, rows)| rows).sum::<u64>()
    }
}

/// What the database remembers of prunings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pruned {
    pub(crate) before: Option<DateTime<Utc>>,
    pub(crate) at: Option<DateTime<Utc>>,
}

impl Pruned {
    /// Whether a retention of that length asks for another.
    pub(crate) fn is_due(&self, now: DateTime<Utc>, retention: Duration) -> bool {
        let lately = now - PRUNED_LATELY;
        let limit = limit(lately, retention);
        self.at.is_none_or(|at| at < lately) || self.before.is_none_or(|before| before < limit)
    }
}

/// The instant before which everything is older than `retention`.
#[must_use]
pub fn limit(now: DateTime<Utc>, retention: Duration) -> DateTime<Utc> {
    let age = TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pruning_is_due_once_a_day_and_for_another_limit() {
        let now = DateTime::from_timestamp(1_795_176_000, 0).expect("an instant");
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let hours = |hours| now - TimeDelta::hours(hours);
        let pruned =
            |at: i64, kept| Pruned { at: Some(hours(at)), before: Some(limit(hours(at), days(kept))) };
        assert!(Pruned::default().is_due(now, days(90)));
        assert!(!pruned(1, 90).is_due(now, days(90)));
        assert!(pruned(21, 90).is_due(now, days(90)));
        assert!(pruned(1, 90).is_due(now, days(30)), "a shorter retention is kept at once");
        assert!(!pruned(1, 30).is_due(now, days(90)));
        assert!(pruned(21, 30).is_due(now, days(90)), "what came late is older than either");
    }

    #[test]
    fn an_endless_retention_keeps_everything() {
        let limit = limit(DateTime::UNIX_EPOCH, Duration::MAX);
        assert_eq!(limit, DateTime::<Utc>::MIN_UTC);
    }
}
