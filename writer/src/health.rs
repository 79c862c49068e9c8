//! The two conditions of the writer, `queue` and `database`, and the pause that a wrong schema means.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::readiness::Condition;
use tokio::sync::watch;
use tokio::time::Instant;

/// A newer frame keeps the writer red for so long: longer than until it is delivered again.
const NEWER_RED_TIME: Duration = Duration::from_secs(90);

/// Whether frames can be had and read.
#[derive(Clone, Debug)]
pub(crate) struct QueueHealth(Arc<Mutex<QueueState>>);

#[derive(Debug)]
struct QueueState {
    condition: Condition,
    unavailable: Option<String>,
    newer: Option<(String, Instant)>,
}

impl QueueHealth {
    pub(crate) fn new(condition: Condition) -> Self {
        Self(Arc::new(Mutex::new(QueueState { condition, unavailable: None, newer: None })))
    }

    pub(crate) fn available(&self) {
        self.change(|state| state.unavailable = None);
    }

    pub(crate) fn unavailable(&self, reason: String) {
        self.change(|state| state.unavailable = Some(reason));
    }

    /// A frame that only a newer build can read.
    pub(crate) fn newer(&self, reason: String) {
        self.change(|state| state.newer = Some((reason, Instant::now())));
    }

    fn change(&self, change: impl FnOnce(&mut QueueState)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.newer = state.newer.take().filter(|(_, seen)| seen.elapsed() < NEWER_RED_TIME);
        let newer = state.newer.as_ref().map(|(reason, _)| reason);
        match newer.or(state.unavailable.as_ref()) {
            Some(reason) => state.condition.red(reason),
            None => state.condition.green(),
        }
    }
}

/// Whether batches are stored. Each lane has its own connection and its own word.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseHealth(Arc<Mutex<DatabaseState>>);

#[derive(Debug)]
struct DatabaseState {
    condition: Condition,
    lanes: Vec<LaneState>,
    paused: watch::Sender<bool>,
    working_until: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LaneState {
    Working,
    Failing(String),
    /// No batch can be stored until somebody mends the schema: nothing more is pulled.
    AwaitingSchema(String),
}

impl DatabaseHealth {
    /// Red until every lane has been told to work.
    pub(crate) fn new(condition: Condition, lanes: usize) -> Self {
        let lanes = vec![LaneState::Failing("not reached yet".to_owned()); lanes];
        let (paused, _) = watch::channel(false);
        let working_until = Instant::now();
        Self(Arc::new(Mutex::new(DatabaseState { condition, lanes, paused, working_until })))
    }

    /// The database has been reached: every lane is believed to work until it says otherwise.
    pub(crate) fn reached(&self) {
        self.change(|state| state.lanes.fill(LaneState::Working));
    }

    pub(crate) fn lane(&self, lane: usize, now: LaneState) {
        self.change(|state| {
            if let Some(state) = state.lanes.get_mut(lane) {
                *state = now;
            }
        });
    }

    /// True while a lane awaits the schema.
    pub(crate) fn paused(&self) -> watch::Receiver<bool> {
        self.state().paused.subscribe()
    }

    /// A store attempt or a counted back-off may last until then: frames that wait for a lane are worth keeping.
    pub(crate) fn works_until(&self, until: Instant) {
        let mut state = self.state();
        state.working_until = state.working_until.max(until);
    }

    pub(crate) fn is_working(&self) -> bool {
        Instant::now() < self.state().working_until
    }

    fn change(&self, change: impl FnOnce(&mut DatabaseState)) {
        let mut state = self.state();
        change(&mut state);
        let objection = state.lanes.iter().find_map(|lane| match lane {
            LaneState::Working => None,
            LaneState::Failing(reason) | LaneState::AwaitingSchema(reason) => Some(reason),
        });
        match objection {
            Some(reason) => state.condition.red(reason),
            None => state.condition.green(),
        }
        let paused = state.lanes.iter().any(|lane| matches!(lane, LaneState::AwaitingSchema(_)));
        state.paused.send_replace(paused);
    }

    fn state(&self) -> MutexGuard<'_, DatabaseState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
