//! The exact sum of what became of every committed delivery.

use std::iter::Sum;

use serde::{Deserialize, Serialize};

use crate::store::StoreReport;

/// Totals of one writer, or of all. Counts activities; redeliveries count again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    pub delivered: u64,
    pub stored: u64,
    pub duplicate: u64,
    pub dead: u64,
    pub suppressed: u64,
}

impl Accounting {
    /// `delivered = stored + duplicate + dead + suppressed`.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.delivered == self.stored + self.duplicate + self.dead + self.suppressed
    }

    pub fn add(&mut self, delivered: u64, report: &StoreReport) {
        self.delivered += delivered;
        self.stored += report.stored;
        self.duplicate += report.duplicate;
        self.dead += report.dead;
        self.suppressed += report.suppressed;
    }
}

impl<'a> Sum<&'a Self> for Accounting {
    fn sum<I: Iterator<Item = &'a Self>>(accounts: I) -> Self {
        accounts.fold(Self::default(), |mut total, writer| {
            total.delivered += writer.delivered;
            total.stored += writer.stored;
            total.duplicate += writer.duplicate;
            total.dead += writer.dead;
            total.suppressed += writer.suppressed;
            total
        })
    }
}
