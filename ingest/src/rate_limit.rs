//! How much one key, an address or a session, may send: a rate with a burst, in bounded memory.
//!
//! The generic cell rate algorithm: of a key only the time is kept at which its burst will be whole
//! again (the *theoretical arrival time*). The table never grows; where a key finds its set full, the
//! one that is nearest to being whole is forgotten. So forgetting is only ever to a key's advantage,
//! and a flood of new keys displaces its own kind, not those that are over their limit.
//! Held by the tests beside this file.

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hash, RandomState};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keys of one set; more make it unlikelier that some other key must be forgotten.
const WAYS: usize = 8;
const SETS: usize = 16 * 1024;

/// `600/min`, or `600/min,burst=1200`: how many activities a key may send, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    interval_nanos: u64,
    burst: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number, `/` and s, min or h, with a burst where another is meant: `600/min,burst=1200`")]
pub struct InvalidRate;

impl RateLimit {
    /// How long a key that has used up its burst waits for one more.
    fn tolerance_nanos(self) -> u64 {
        self.interval_nanos.saturating_mul(u64::from(self.burst - 1))
    }
}

/// Without a burst of its own, what a whole period allows may come at once.
impl FromStr for RateLimit {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rate, burst) =
            text.split_once(',').map_or((text, None), |(rate, burst)| (rate, Some(burst.trim())));
        let (count, unit) = rate.trim().split_once('/').ok_or(InvalidRate)?;
        let count = positive(count)?;
        let period: u64 = match unit {
            "s" | "second" => 1,
            "min" | "minute" => 60,
            "h" | "hour" => 3600,
            _ => return Err(InvalidRate),
        };
        let burst = match burst {
            Some(burst) => positive(burst.strip_prefix("burst=").ok_or(InvalidRate)?)?,
            None => count,
        };
        Ok(Self { interval_nanos: period * 1_000_000_000 / u64::from(count), burst })
    }
}

/// At most one a nanosecond.
fn positive(text: &str) -> Result<u32, InvalidRate> {
    text.parse().ok().filter(|number| (1..=1_000_000_000).contains(number)).ok_or(InvalidRate)
}

/// A key has used up its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// Until one more activity would be taken.
    pub wait: Duration,
}

impl RateLimited {
    /// For `Retry-After`: whole seconds, never too early.
    #[must_use]
    pub fn retry_after_seconds(self) -> u64 {
        let seconds = self.wait.as_secs();
        seconds + u64::from(seconds == 0 || self.wait.subsec_nanos() > 0)
    }
}

/// Charges keys; shared by all requests. Takes [`KeyedLimiter::BYTES`], however many keys there are.
pub struct KeyedLimiter {
    limit: RateLimit,
    sets: Box<[Mutex<Set>]>,
    /// Nobody can choose keys that meet in one set.
    hasher: RandomState,
    begun: Instant,
}

impl std::fmt::Debug for KeyedLimiter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyedLimiter").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl KeyedLimiter {
    /// Memory of its table.
    pub const BYTES: usize = SETS * size_of::<Mutex<Set>>();

    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self { limit, sets, hasher: RandomState::new(), begun: Instant::now() }
    }

    /// Whether the key may send anything now; costs it nothing.
    ///
    /// # Errors
    /// It must wait.
    pub fn check(&self, key: &impl Hash) -> Result<(), RateLimited> {
        self.charge(key, 0)
    }

    /// A key that may send one activity may send `activities`, and pays for all of them: whatever the
    /// burst, each batch is taken one day, and the rate holds.
    ///
    /// # Errors
    /// It must wait, and has paid nothing.
    pub fn charge(&self, key: &impl Hash, activities: usize) -> Result<(), RateLimited> {
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.charge_at(self.hasher.hash_one(key), activities, now)
    }

    fn charge_at(&self, key: u64, activities: usize, now_nanos: u64) -> Result<(), RateLimited> {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are as good as any")]
        let set = &self.sets[key as usize % SETS];
        set.lock().unwrap_or_else(PoisonError::into_inner).charge(self.limit, key, activities, now_nanos)
    }
}

#[derive(Debug, Default)]
struct Set([Cell; WAYS]);

/// An empty one is as one of a key whose burst is whole.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    key: u64,
    /// When the key's burst is whole again.
    theoretical_arrival_nanos: u64,
}

impl Set {
    fn charge(
        &mut self,
        limit: RateLimit,
        key: u64,
        activities: usize,
        now_nanos: u64,
    ) -> Result<(), RateLimited> {
        let Self(cells) = self;
        let mut least = 0;
        let mut index = None;
        for (position, cell) in cells.iter().enumerate() {
            if cell.key == key {
                index = Some(position);
                break;
            }
            if cell.theoretical_arrival_nanos < cells[least].theoretical_arrival_nanos {
                least = position;
            }
        }
        let arrival = index.map_or(now_nanos, |index| cells[index].theoretical_arrival_nanos.max(now_nanos));
        let latest = now_nanos.saturating_add(limit.tolerance_nanos());
        if arrival > latest {
            return Err(RateLimited { wait: Duration::from_nanos(arrival - latest) });
        }
        if activities > 0 {
            let cost = limit.interval_nanos.saturating_mul(activities as u64);
            cells[index.unwrap_or(least)] =
                Cell { key, theoretical_arrival_nanos: arrival.saturating_add(cost) };
        }
        Ok(())
    }
}
