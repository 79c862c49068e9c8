//! Copy and hope, or merge straight away: pure.

use shared::store::Redelivered;

/// Merges after a duplicate: a failed COPY costs up to half of the throughput,
/// a merge a third, and duplicates come in runs.
const MERGES_AFTER_DUPLICATE: u8 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approach {
    /// Into the table; the first duplicate ends it.
    Copy,
    /// Through the temporary table, leaving out duplicates.
    Merge,
}

/// What the last batches have taught.
#[derive(Debug, Default)]
pub(super) struct Approaches {
    merges_left: u8,
}

impl Approaches {
    pub(super) fn next(&mut self, redelivered: Redelivered) -> Approach {
        match (self.merges_left, redelivered) {
            (0, Redelivered::No) => Approach::Copy,
            (left, _) => {
                self.merges_left = left.saturating_sub(1);
                Approach::Merge
            }
        }
    }

    pub(super) fn met_duplicate(&mut self) {
        self.merges_left = MERGES_AFTER_DUPLICATE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_is_followed_by_merges() {
        let mut approaches = Approaches::default();
        assert_eq!(approaches.next(Redelivered::No), Approach::Copy);
        approaches.met_duplicate();
        for _ in 0..MERGES_AFTER_DUPLICATE {
            assert_eq!(approaches.next(Redelivered::No), Approach::Merge);
        }
        assert_eq!(approaches.next(Redelivered::No), Approach::Copy);
    }

    #[test]
    fn what_was_redelivered_is_merged() {
        let mut approaches = Approaches::default();
        assert_eq!(approaches.next(Redelivered::Yes), Approach::Merge);
        assert_eq!(approaches.next(Redelivered::No), Approach::Copy);
    }
}
