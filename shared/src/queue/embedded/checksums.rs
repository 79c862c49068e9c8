//! The CRC-32C of any part of a segment, at a price that does not depend on the part's length.

use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The checksum of everything up to each multiple of this is remembered.
const STEP_BYTES: usize = 4096;

pub(super) struct Checksums<'a> {
    bytes: &'a [u8],
    /// What lies before is not asked for.
    from: usize,
    /// Of `from` up to each step; made when the first part is asked for, which is rare.
    steps: OnceCell<Vec<u32>>,
    /// Bytes that were looked at so far.
    summed: Cell<usize>,
}

impl<'a> Checksums<'a> {
    pub(super) fn new(bytes: &'a [u8], from: usize) -> Self {
        Self { bytes, from, steps: OnceCell::new(), summed: Cell::new(0) }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Of a part that lies in the segment, behind `from`, and is not empty.
    pub(super) fn of(&self, part: Range<usize>) -> u32 {
        // Combining is its own inverse: what comes before is taken off again.
        crc32c::crc32c_combine(self.up_to(part.start), self.up_to(part.end), part.len())
    }

    /// How many bytes were looked at so far, for tests of what this costs.
    #[cfg(test)]
    pub(super) fn summed(&self) -> usize {
        self.summed.get()
    }

    fn up_to(&self, end: usize) -> u32 {
        let steps = self.steps.get_or_init(|| self.steps());
        let step = (end - self.from) / STEP_BYTES;
        self.sum(steps[step], self.from + step * STEP_BYTES..end)
    }

    fn steps(&self) -> Vec<u32> {
        let mut steps = vec![0];
        let mut begin = self.from;
        while begin + STEP_BYTES <= self.bytes.len() {
            steps.push(self.sum(steps[steps.len() - 1], begin..begin + STEP_BYTES));
            begin += STEP_BYTES;
        }
        steps
    }

    fn sum(&self, before: u32, part: Range<usize>) -> u32 {
        self.summed.set(self.summed.get() + part.len());
        crc32c::crc32c_append(before, &self.bytes[part])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    proptest! {
        #[test]
        fn a_part_has_the_checksum_of_its_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 1..4 * STEP_BYTES),
            places in any::<[Index; 3]>(),
        ) {
            let mut places = places.map(|place| place.index(bytes.len()));
            places.sort_unstable();
            let [from, begin, last] = places;
            let end = last + 1;
            let checksums = Checksums::new(&bytes, from);
            prop_assert_eq!(checksums.of(begin..end), crc32c::crc32c(&bytes[begin..end]));
        }
    }

    #[test]
    fn many_long_parts_cost_as_much_as_short_ones() {
        let bytes = vec![7; 256 * 1024];
        let checksums = Checksums::new(&bytes, 100);
        for begin in (100..bytes.len() / 2).step_by(50) {
            checksums.of(begin..begin + bytes.len() / 2);
        }
        let parts = bytes.len() / 2 / 50;
        assert!(checksums.summed() <= bytes.len() + 2 * parts * STEP_BYTES);
    }
}
