//! Whoever waits for a frame: one activity, or the many of a batch.
//!
//! Rule of safety: a batch hears good news only when every one of its
//! activities is in a synced frame, and bad news with the first frame that
//! fails. Held by the tests of [`assemble`](super).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec;

use shared::frame::{EncodedActivity, FrameBuilder};
use tokio::sync::oneshot;

use super::NotSynced;
use crate::budget::Reservation;

pub(super) type Fate = oneshot::Receiver<Result<(), NotSynced>>;

/// Activities of one request that are not in a frame yet.
#[derive(Debug)]
pub(super) enum Waiting {
    One { activity: EncodedActivity, passenger: Passenger },
    Many { activities: vec::IntoIter<EncodedActivity>, party: Party },
}

/// Who hears the fate of a request's activities, and the memory that they hold until then.
#[derive(Debug)]
pub(super) struct Passenger {
    answer: oneshot::Sender<Result<(), NotSynced>>,
    _reservation: Reservation,
}

/// The passenger of a batch, shared by the frames that carry it. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Party(Arc<Mutex<Travelling>>);

#[derive(Debug)]
struct Travelling {
    /// Gone once told.
    passenger: Option<Passenger>,
    unsynced: usize,
}

/// What a frame carries of one request.
#[derive(Debug)]
pub(super) enum Seat {
    Whole(Passenger),
    Part { party: Party, activities: usize },
}

/// What became of a waiting request when a frame was filled.
#[derive(Debug)]
pub(super) struct Boarded {
    pub(super) seat: Option<Seat>,
    /// For the next frame: this one is full.
    pub(super) left: Option<Waiting>,
}

impl Boarded {
    const NOTHING: Self = Self { seat: None, left: None };
}

impl Waiting {
    /// `None`, and good news at once, when there is nothing to wait for.
    pub(super) fn many(activities: Vec<EncodedActivity>, passenger: Passenger) -> Option<Self> {
        if activities.is_empty() {
            passenger.tell(Ok(()));
            return None;
        }
        let travelling = Travelling { passenger: Some(passenger), unsynced: activities.len() };
        let party = Party(Arc::new(Mutex::new(travelling)));
        Some(Self::Many { activities: activities.into_iter(), party })
    }

    /// What its activities take in a frame.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::One { activity, .. } => activity.len(),
            Self::Many { activities, .. } => activities.as_slice().iter().map(EncodedActivity::len).sum(),
        }
    }

    /// Puts what fits into the frame, unless its client has gone.
    pub(super) fn board(self, frame: &mut FrameBuilder) -> Boarded {
        match self {
            Self::One { passenger, .. } if passenger.is_gone() => Boarded::NOTHING,
            Self::One { activity, passenger } => match Fit::of(&activity, frame) {
                Fit::Now => {
                    frame.push(&activity);
                    Boarded { seat: Some(Seat::Whole(passenger)), left: None }
                }
                Fit::NextFrame => Boarded { seat: None, left: Some(Self::One { activity, passenger }) },
                Fit::Never => {
                    passenger.tell(Err(NotSynced::TooLarge));
                    Boarded::NOTHING
                }
            },
            Self::Many { party, .. } if party.is_gone() => Boarded::NOTHING,
            Self::Many { activities, party } => board_many(activities, party, frame),
        }
    }
}

fn board_many(
    mut activities: vec::IntoIter<EncodedActivity>,
    party: Party,
    frame: &mut FrameBuilder,
) -> Boarded {
    let waiting = activities.len();
    while let Some(next) = activities.as_slice().first() {
        match Fit::of(next, frame) {
            Fit::Now => frame.push(next),
            Fit::NextFrame => break,
            Fit::Never => {
                // What is in the frame already goes with it: a retry of the batch absorbs it.
                party.settle(0, Err(NotSynced::TooLarge));
                return Boarded::NOTHING;
            }
        }
        activities.next();
    }
    let boarded = waiting - activities.len();
    let seat = (boarded > 0).then(|| Seat::Part { party: party.clone(), activities: boarded });
    let left = (activities.len() > 0).then_some(Waiting::Many { activities, party });
    Boarded { seat, left }
}

enum Fit {
    Now,
    NextFrame,
    Never,
}

impl Fit {
    fn of(activity: &EncodedActivity, frame: &FrameBuilder) -> Self {
        if frame.has_room_for(activity) {
            Self::Now
        } else if frame.can_hold(activity) {
            Self::NextFrame
        } else {
            Self::Never
        }
    }
}

impl Passenger {
    pub(super) fn new(reservation: Reservation) -> (Self, Fate) {
        let (answer, fate) = oneshot::channel();
        (Self { answer, _reservation: reservation }, fate)
    }

    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    fn tell(self, fate: Result<(), NotSynced>) {
        if self.answer.send(fate).is_err() {
            tracing::trace!("nobody waits for these activities any more");
        }
    }
}

impl Party {
    fn lock(&self) -> MutexGuard<'_, Travelling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_gone(&self) -> bool {
        self.lock().passenger.as_ref().is_none_or(Passenger::is_gone)
    }

    fn settle(&self, activities: usize, fate: Result<(), NotSynced>) {
        let mut travelling = self.lock();
        travelling.unsynced -= activities;
        if (fate.is_err() || travelling.unsynced == 0)
            && let Some(passenger) = travelling.passenger.take()
        {
            passenger.tell(fate);
        }
    }
}

impl Seat {
    pub(super) fn settle(self, fate: Result<(), NotSynced>) {
        match self {
            Self::Whole(passenger) => passenger.tell(fate),
            Self::Part { party, activities } => party.settle(activities, fate),
        }
    }
}
