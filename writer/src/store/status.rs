//! What `djaffar status` reads from a store, each adapter on a connection of its own.

use serde::Serialize;
use shared::accounting::Accounting;

/// Columns of an [`AccountingRow`], in its order.
pub(super) const ACCOUNTING: &str =
    "SELECT writer_id, delivered, stored, duplicate, dead, suppressed FROM accounting ORDER BY writer_id";

pub(super) type AccountingRow = (String, i64, i64, i64, i64, i64);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// Writer id and totals, ordered by id.
    pub accounting: Vec<(String, Accounting)>,
    pub dead_letters: DeadLetterTotals,
}

impl StoreStatus {
    /// `dead_letters` is their number and their bytes. SQL knows no unsigned numbers; none of these is negative.
    pub(super) fn from_rows(accounting: Vec<AccountingRow>, dead_letters: (i64, i64)) -> Self {
        let accounting = accounting.into_iter().map(|row| {
            let (writer, delivered, stored, duplicate, dead, suppressed) = row;
            let totals = [delivered, stored, duplicate, dead, suppressed].map(i64::cast_unsigned);
            let [delivered, stored, duplicate, dead, suppressed] = totals;
            (writer, Accounting { delivered, stored, duplicate, dead, suppressed })
        });
        let (count, bytes) = dead_letters;
        Self {
            accounting: accounting.collect(),
            dead_letters: DeadLetterTotals { count: count.cast_unsigned(), bytes: bytes.cast_unsigned() },
        }
    }

    /// All writers together, past ones too.
    #[must_use]
    pub fn total(&self) -> Accounting {
        self.accounting.iter().map(|(_, accounts)| accounts).sum()
    }

    /// Without what was loaded, which no ingest has accepted.
    #[must_use]
    pub fn total_from_queues(&self) -> Accounting {
        let writers = self.accounting.iter().filter(|(writer, _)| !crate::load::is_account(writer));
        writers.map(|(_, accounts)| accounts).sum()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeadLetterTotals {
    pub count: u64,
    /// Of the kept originals.
    pub bytes: u64,
}
