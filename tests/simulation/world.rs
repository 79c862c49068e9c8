//! What everybody in a run shares: the seed's numbers, the trace, the weather; and how a process dies.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::frame::FrameId;
use shared::simulated::Random;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faults::{Draw, Fault, Plan};
use crate::sabotage::Sabotage;
use crate::trace::{Event, Record, Trace};

/// Clones share the world.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    plan: Plan,
    sabotage: Option<Sabotage>,
    began: Instant,
    random: Mutex<Random>,
    trace: Mutex<Trace>,
    calm: AtomicBool,
    /// Events of processes until nothing fails any more.
    storm_events: AtomicI64,
    database_away: AtomicBool,
    broker_away: AtomicBool,
    disk_full: AtomicBool,
    refused: Mutex<BTreeSet<FrameId>>,
    delivered: Mutex<BTreeSet<FrameId>>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>, record: Record) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let storm_events = plan.storm_events;
        Self(Arc::new(Shared {
            plan,
            sabotage,
            began: Instant::now(),
            random: Mutex::new(random),
            trace: Mutex::new(Trace::new(record)),
            calm: AtomicBool::new(false),
            storm_events: AtomicI64::new(storm_events),
            database_away: AtomicBool::new(false),
            broker_away: AtomicBool::new(false),
            disk_full: AtomicBool::new(false),
            refused: Mutex::default(),
            delivered: Mutex::default(),
        }))
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.0.plan
    }

    pub(crate) fn is_sabotaged(&self, sabotage: Sabotage) -> bool {
        self.0.sabotage == Some(sabotage)
    }

    pub(crate) fn tell(&self, event: &Event) {
        locked(&self.0.trace).tell(self.0.began.elapsed(), event);
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        locked(&self.0.trace)
    }

    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut locked(&self.0.random))
    }

    pub(crate) fn between(&self, range: Range<u64>) -> u64 {
        self.draw(|random| random.between(range))
    }

    pub(crate) fn millis(&self, range: Range<u64>) -> Duration {
        self.draw(|random| random.millis(range))
    }

    pub(crate) async fn sleep(&self, range: Range<u64>) {
        tokio::time::sleep(self.millis(range)).await;
    }

    /// Whether the fault strikes now.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let rate = self.0.plan.rate(fault);
        let strikes = rate > 0.0 && !self.is_calm() && self.draw(|random| random.chance(rate));
        if strikes {
            self.tell(&Event::Strikes(fault));
        }
        strikes
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.0.calm.load(Ordering::Relaxed)
    }

    /// From now on nothing fails.
    pub(crate) fn calm(&self) {
        if !self.0.calm.swap(true, Ordering::Relaxed) {
            self.tell(&Event::Calm);
        }
    }

    pub(crate) fn database_is_away(&self) -> bool {
        !self.is_calm() && self.0.database_away.load(Ordering::Relaxed)
    }

    pub(crate) fn broker_is_away(&self) -> bool {
        !self.is_calm() && self.0.broker_away.load(Ordering::Relaxed)
    }

    pub(crate) fn disk_is_full(&self) -> bool {
        !self.is_calm() && self.0.disk_full.load(Ordering::Relaxed)
    }

    /// The queue has said that it is full and does not have the frame.
    pub(crate) fn refused(&self, frame: FrameId) {
        locked(&self.0.refused).insert(frame);
    }

    pub(crate) fn delivered(&self, frame: FrameId) {
        locked(&self.0.delivered).insert(frame);
    }

    /// A frame that has come out of a queue that had refused it.
    pub(crate) fn refused_and_delivered(&self) -> Option<FrameId> {
        locked(&self.0.refused).intersection(&locked(&self.0.delivered)).next().copied()
    }

    /// Changes the weather for ever.
    pub(crate) async fn weather(self) {
        if self.0.plan.outage == 0 {
            return std::future::pending().await;
        }
        loop {
            self.sleep(0..self.0.plan.fair_weather).await;
            let (event, away) = match self.between(0..3) {
                0 => ("the database is away", &self.0.database_away),
                1 => ("the broker is away", &self.0.broker_away),
                _ => ("the disk is full", &self.0.disk_full),
            };
            self.tell(&Event::Weather(event));
            away.store(true, Ordering::Relaxed);
            self.sleep(0..self.0.plan.outage).await;
            away.store(false, Ordering::Relaxed);
            self.tell(&Event::Weather("fair"));
        }
    }
}

/// One life of a process. Whoever belongs to it does nothing to the world once it has ended. Clones share it.
#[derive(Clone)]
pub(crate) struct Life(Arc<Living>);

struct Living {
    world: World,
    process: &'static str,
    /// Events until it ends; `None`: it does not end by itself.
    left: Mutex<Option<u64>>,
    dead: AtomicBool,
    died: Notify,
}

impl Life {
    pub(crate) fn begin(world: &World, process: &'static str, events: Option<u64>) -> Self {
        world.tell(&Event::Starts { process });
        Self(Arc::new(Living {
            world: world.clone(),
            process,
            left: Mutex::new(events),
            dead: AtomicBool::new(false),
            died: Notify::new(),
        }))
    }

    /// Something happens in the process, and it may be the last.
    pub(crate) fn tell(&self, event: &Event) {
        if self.is_over() {
            return;
        }
        self.0.world.tell(event);
        if self.0.world.0.storm_events.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.0.world.calm();
        }
        let ends = match &mut *locked(&self.0.left) {
            _ if self.0.world.is_calm() => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if ends {
            self.end("killed");
        }
    }

    pub(crate) fn end(&self, cause: &'static str) {
        if !self.0.dead.swap(true, Ordering::Relaxed) {
            self.0.world.tell(&Event::Dies { process: self.0.process, cause });
            self.0.died.notify_one();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.dead.load(Ordering::Relaxed)
    }

    /// Resolves when it has ended; for one listener.
    pub(crate) async fn over(&self) {
        if !self.is_over() {
            self.0.died.notified().await;
        }
    }

    /// Never returns if the life is over: what comes next does not happen.
    pub(crate) async fn goes_on(&self) {
        if self.is_over() {
            std::future::pending().await
        }
    }
}

/// The lives of one process, one after the other.
pub(crate) struct Lives {
    world: World,
    process: &'static str,
    deaths_left: u64,
}

impl Lives {
    pub(crate) fn of(world: &World, process: &'static str) -> Self {
        let deaths_left = world.between(0..world.plan().deaths_max + 1);
        Self { world: world.clone(), process, deaths_left }
    }

    pub(crate) fn begin(&mut self) -> Life {
        let events = self.deaths_left.checked_sub(1).map(|left| {
            self.deaths_left = left;
            let most = self.world.plan().life_events_max;
            self.world.draw(|random| random.skewed(most))
        });
        Life::begin(&self.world, self.process, events)
    }

    /// Until somebody starts it again.
    pub(crate) async fn pause(&self) {
        self.world.sleep(1..3000).await;
    }
}
