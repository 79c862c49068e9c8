//! How often a fault is repeated, and the dice that choose when and where.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// `$FAULT_ROUNDS`, or a few.
#[must_use]
pub fn fault_rounds(few: usize) -> usize {
    env::var("FAULT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

/// True when more than the few rounds of every day are asked for.
#[must_use]
pub fn is_long() -> bool {
    env::var_os("FAULT_ROUNDS").is_some()
}

/// Choices that `FAULT_SEED=...` repeats.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    /// Of the test with this name; tells the seed, which is shown when the test fails.
    #[must_use]
    pub fn of(test: &str) -> Self {
        let given = env::var("FAULT_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
        let seed = given.unwrap_or_else(rand::random);
        println!("{test}: FAULT_SEED={seed}");
        let mut hasher = DefaultHasher::new();
        (seed, test).hash(&mut hasher);
        Self(StdRng::seed_from_u64(hasher.finish()))
    }

    pub fn number(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    pub fn index(&mut self, length: usize) -> usize {
        self.0.random_range(0..length)
    }

    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_has_dice_of_its_own() {
        let throws = |seed: u64| {
            let mut dice = Dice(StdRng::seed_from_u64(seed));
            [dice.number(0..1000), dice.number(0..1000), dice.number(0..1000)]
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
    }
}
