//! Where a frame goes, and what its fate means. Pure.

use std::time::Duration;

use crate::queue::{PublishError, Synced};

/// What a frame may cost in time before it is spooled, as a share of what it has.
const PATIENCE: u32 = 4;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What is known of the queue behind the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// No connection.
    Away,
    /// Connected, but the last publish got no answer, and the spool's draining has not got one since.
    Silent,
    Answering,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the queue behind, whose answer is waited for so long; then on.
    Behind {
        patience: Duration,
    },
    Spool,
}

/// `is_spooled`: frames wait in the spool, whose draining will notice when the queue answers.
#[must_use]
pub fn behind(is_reachable: bool, was_silent: bool, is_spooled: bool) -> Behind {
    match (is_reachable, was_silent && is_spooled) {
        (false, _) => Behind::Away,
        (true, true) => Behind::Silent,
        (true, false) => Behind::Answering,
    }
}

/// A frame never waits for a queue that is known not to answer.
#[must_use]
pub fn route(behind: Behind, time_left: Duration) -> Route {
    match behind {
        Behind::Away | Behind::Silent => Route::Spool,
        Behind::Answering => Route::Behind { patience: time_left / PATIENCE },
    }
}

/// What the queue behind has made of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Tell the publisher; a full queue is back-pressure and no outage.
    Known(Result<Synced, PublishError>),
    /// It has the frame or not: the spool takes it too, under the same id.
    Spool,
}

#[must_use]
pub fn fate(outcome: Result<Synced, PublishError>) -> Fate {
    match outcome {
        Ok(_) | Err(PublishError::Full { .. }) => Fate::Known(outcome),
        Err(PublishError::Unknown { .. }) => Fate::Spool,
    }
}

/// What the publisher hears when the spool has had the last word.
///
/// A full spool does not have the frame, but a queue that was asked and has not answered may.
pub fn unanswered(route: Route, spooled: Result<Synced, PublishError>) -> Result<Synced, PublishError> {
    match (route, spooled) {
        (Route::Behind { .. }, Err(PublishError::Full { reason })) => Err(PublishError::Unknown { reason }),
        (_, spooled) => spooled,
    }
}

/// What becomes of a frame that was to leave the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drained {
    /// The queue behind has it: the spool may forget it.
    Forget,
    /// It stays; the next one is tried after the pause.
    Keep { pause: Duration, error: PublishError },
}

/// `failures` in a row so far, this one included if it is one.
#[must_use]
pub fn drained(outcome: Result<Synced, PublishError>, failures: u32) -> Drained {
    match outcome {
        Ok(_) => Drained::Forget,
        Err(error) => {
            let doublings = failures.saturating_sub(1).min(8);
            Drained::Keep { pause: PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX), error }
        }
    }
}

/// Why log requests cannot be taken; `None`: they can.
#[must_use]
pub fn objection(behind: Behind, is_spool_full: bool) -> Option<&'static str> {
    match (behind, is_spool_full) {
        (Behind::Answering, _) | (_, false) => None,
        (Behind::Away, true) => Some("nats-server is unreachable and the spool is full"),
        (Behind::Silent, true) => Some("nats-server does not answer and the spool is full"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn unknown() -> Result<Synced, PublishError> {
        Err(PublishError::Unknown { reason: "no answer".to_owned() })
    }

    fn full() -> Result<Synced, PublishError> {
        Err(PublishError::Full { reason: "it holds 9 bytes".to_owned() })
    }

    #[test]
    fn a_frame_waits_only_where_an_answer_can_be_hoped_for() {
        assert_eq!(route(behind(true, false, true), 4 * SECOND), Route::Behind { patience: SECOND });
        assert_eq!(route(behind(true, true, true), SECOND), Route::Spool);
        assert_eq!(route(behind(false, false, false), SECOND), Route::Spool);
        // Nothing is drained that could notice an answer: the frame itself must ask.
        assert_eq!(behind(true, true, false), Behind::Answering);
    }

    #[test]
    fn only_what_is_unknown_is_spooled() {
        assert_eq!(fate(unknown()), Fate::Spool);
        for known in [Ok(Synced { duplicate: true }), full()] {
            assert_eq!(fate(known.clone()), Fate::Known(known));
        }
    }

    #[test]
    fn a_full_spool_is_no_refusal_by_a_queue_that_was_asked() {
        let asked = Route::Behind { patience: SECOND };
        assert!(matches!(unanswered(asked, full()), Err(PublishError::Unknown { .. })));
        assert_eq!(unanswered(Route::Spool, full()), full());
        let synced = Ok(Synced { duplicate: false });
        assert_eq!(unanswered(asked, synced.clone()), synced);
    }

    #[test]
    fn a_frame_leaves_the_spool_only_with_an_ack() {
        assert_eq!(drained(Ok(Synced { duplicate: true }), 0), Drained::Forget);
        let kept = |outcome, failures| match drained(outcome, failures) {
            Drained::Keep { pause, .. } => Some(pause),
            Drained::Forget => None,
        };
        assert_eq!(kept(unknown(), 1), Some(PAUSE_FIRST));
        assert_eq!(kept(full(), u32::MAX), Some(PAUSE_MAX));
    }

    #[test]
    fn ready_while_one_of_them_takes_frames() {
        assert_eq!(objection(Behind::Answering, true), None);
        assert_eq!(objection(Behind::Away, false), None);
        assert!(objection(Behind::Away, true).is_some() && objection(Behind::Silent, true).is_some());
    }
}
