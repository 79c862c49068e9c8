//! What a simulation puts in place of the wall clock and of chance, for its own thread.

use std::cell::RefCell;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct World {
    random: Random,
    began: Instant,
    wall_clock: DateTime<Utc>,
}

/// As long as this lives, [`time`](crate::time) and [`chance`](crate::chance) of this thread follow
/// tokio's clock and the seed.
#[derive(Debug)]
#[must_use]
pub struct Simulated(());

/// Begins at `wall_clock`; call it in the simulation's runtime, whose clock is paused.
///
/// # Panics
/// This thread simulates already.
pub fn begin(seed: u64, wall_clock: DateTime<Utc>) -> Simulated {
    let world = World { random: Random::new(seed), began: Instant::now(), wall_clock };
    let before = WORLD.with_borrow_mut(|current| current.replace(world));
    assert!(before.is_none(), "one simulation at a time on one thread");
    Simulated(())
}

/// The wall clock of this thread's simulation is set.
pub fn jump(by: TimeDelta) {
    with(|world| world.wall_clock += by);
}

impl Drop for Simulated {
    fn drop(&mut self) {
        WORLD.set(None);
    }
}

fn with<T>(ask: impl FnOnce(&mut World) -> T) -> Option<T> {
    WORLD.with_borrow_mut(|world| world.as_mut().map(ask))
}

pub(crate) fn now() -> Option<DateTime<Utc>> {
    with(|world| world.wall_clock + world.began.elapsed())
}

pub(crate) fn fraction() -> Option<f64> {
    with(|world| world.random.fraction())
}

pub(crate) fn time_ordered_id() -> Option<Uuid> {
    let milliseconds = now()?.timestamp_millis().unsigned_abs();
    with(|world| {
        let mut bytes = [0; 10];
        bytes.copy_from_slice(
            &u128::from(world.random.number()).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[..10],
        );
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid()
    })
}

/// SplitMix64: the same numbers from the same seed, with any version of any crate.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, not including, 1.
    pub fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
