//! Many seeds on all cores, and how a failing one is told.

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::run::{Ran, run};
use crate::sabotage::Sabotage;
use crate::trace::Record;
use crate::world::locked;

/// Lines of a failing run that are printed, the last ones.
const LINES_MAX: usize = 200;

/// A number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// Runs the seeds from 0 on until one fails or so many have passed; returns the failing one.
pub(crate) fn first_failing(seeds: u64, sabotage: Option<Sabotage>) -> (Total, Option<(u64, Ran)>) {
    let next = AtomicU64::new(0);
    let found: Mutex<(Total, Option<(u64, Ran)>)> = Mutex::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let done = seed >= seeds || locked(&found).1.as_ref().is_some_and(|(failing, _)| *failing < seed);
        if done {
            return;
        }
        let ran = run(seed, sabotage, Record::Digest);
        let mut found = locked(&found);
        found.0.add(&ran);
        if ran.broken.is_some() && found.1.as_ref().is_none_or(|(failing, _)| seed < *failing) {
            found.1 = Some((seed, ran));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    found.into_inner().expect("no thread has panicked")
}

/// Sums over runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    pub(crate) seeds: u64,
    pub(crate) events: u64,
    pub(crate) activities: u64,
}

impl Total {
    fn add(&mut self, ran: &Ran) {
        self.seeds += 1;
        self.events += ran.events;
        self.activities += ran.activities;
    }
}

/// Runs the seed again with its trace; panics with what is broken and how to see it again.
pub(crate) fn report(seed: u64, broken: &str) -> ! {
    let again = run(seed, None, Record::Lines);
    for line in again.lines.iter().rev().take(LINES_MAX).rev() {
        println!("{line}");
    }
    let replayed = match again.broken.as_deref() == Some(broken) {
        true => "the trace above is its end",
        false => "and, which is another defect, it does not fail again in the same way",
    };
    panic!(
        "seed {seed}: {broken}\n{replayed}; the whole of it: SIMULATION_SEED={seed} tests/run simulation replays_one_seed --nocapture"
    );
}
