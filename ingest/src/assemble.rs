//! Group commit: many requests, one frame, one synced ack.
//!
//! While `frames_in_flight` frames are on their way, activities gather. When
//! an ack returns, all that gathered goes out as the next frame, closed only
//! by the queue's size limit. There is no timer: an idle queue gets a lone
//! activity at once, a busy one gets large frames. A batch is handed over whole
//! and answered once; it shares frames with its neighbours and may span several.
//! What waits is bounded by the [`Budget`](crate::budget::Budget).

mod passenger;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::failpoint::{self, Place, Sabotage};
use shared::frame::{Compression, EncodedActivity, Frame, FrameBuilder, FrameId};
use shared::lifecycle::Shutdown;
use shared::queue::{FramePublisher, PublishError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::budget::Reservation;
use crate::telemetry::IngestTelemetry;
use passenger::{Boarded, Fate, Passenger, Seat, Waiting};

/// Why an activity is not known to be synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSynced {
    /// The queue is full; it does not have the activity.
    Full,
    /// No answer in time: the queue may have the activity or not.
    Unknown,
    /// Larger than a frame.
    TooLarge,
}

/// What the requests and the assembler share. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Assembly(Arc<Gathering>);

#[derive(Debug, Default)]
struct Gathering {
    waiting: Mutex<VecDeque<Waiting>>,
    arrived: Notify,
}

impl Assembly {
    /// Hands an activity over and waits until the queue has synced it.
    ///
    /// Dropping the future before the activity is in a frame takes it back.
    ///
    /// # Errors
    /// What became of it instead.
    pub async fn commit(&self, activity: EncodedActivity, reservation: Reservation) -> Result<(), NotSynced> {
        let (passenger, fate) = Passenger::new(reservation);
        self.wait(Waiting::One { activity, passenger });
        hear(fate).await
    }

    /// Hands many activities over and waits until the queue has synced all of them.
    ///
    /// Dropping the future takes back whatever is not in a frame yet.
    ///
    /// # Errors
    /// What became of at least one of them instead; the others may be synced or not.
    pub async fn commit_all(
        &self,
        activities: Vec<EncodedActivity>,
        reservation: Reservation,
    ) -> Result<(), NotSynced> {
        let (passenger, fate) = Passenger::new(reservation);
        if let Some(many) = Waiting::many(activities, passenger) {
            self.wait(many);
        }
        hear(fate).await
    }

    fn wait(&self, arrival: Waiting) {
        let first = {
            let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push_back(arrival);
            waiting.len() == 1
        };
        if first {
            self.0.arrived.notify_one();
        }
    }

    fn is_waited_for(&self) -> bool {
        !self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn take_into(&self, queue: &mut VecDeque<Waiting>) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_empty() {
            std::mem::swap(queue, &mut waiting);
        } else {
            queue.append(&mut waiting);
        }
    }
}

/// A dropped sender means that the assembler is gone.
async fn hear(fate: Fate) -> Result<(), NotSynced> {
    fate.await.unwrap_or(Err(NotSynced::Unknown))
}

/// A frame and everybody who waits for it.
#[derive(Debug)]
struct Group {
    frame: Frame,
    seats: Vec<Seat>,
}

/// Takes the next frame's worth off the front of `queue`; `None` when nobody waits any more.
///
/// Whoever has gone is left out; an activity that no frame can hold is refused.
fn next_group(queue: &mut VecDeque<Waiting>, frame_bytes_max: usize) -> Option<Group> {
    let mut builder = FrameBuilder::new(frame_bytes_max);
    builder.reserve(queue.iter().map(Waiting::bytes).sum());
    let mut seats = Vec::with_capacity(queue.len());
    while let Some(next) = queue.pop_front() {
        let Boarded { seat, left } = next.board(&mut builder);
        seats.extend(seat);
        if let Some(left) = left {
            queue.push_front(left);
            break;
        }
    }
    (builder.count() > 0)
        .then(|| Group { frame: builder.finish(FrameId::generate(), Compression::None), seats })
}

impl Group {
    fn settle(self, fate: Result<(), NotSynced>) {
        for seat in self.seats {
            seat.settle(fate);
        }
    }
}

/// Sends frames until asked to stop, then until nothing waits.
#[derive(Debug)]
pub struct Assembler<P> {
    pub assembly: Assembly,
    pub publisher: Arc<P>,
    pub frames_in_flight: NonZeroUsize,
    /// Longest life of a frame: a queue that does not answer delays the next frame no longer.
    pub publish_timeout: Duration,
    pub telemetry: IngestTelemetry,
}

impl<P: FramePublisher> Assembler<P> {
    pub async fn run(self, stop: Shutdown) {
        let mut queue = VecDeque::new();
        let mut in_flight = FuturesUnordered::new();
        loop {
            while in_flight.len() < self.frames_in_flight.get() {
                if self.assembly.is_waited_for() {
                    // Requests that have arrived meanwhile are read first: fewer, larger frames.
                    tokio::task::yield_now().await;
                }
                self.assembly.take_into(&mut queue);
                match next_group(&mut queue, self.publisher.frame_bytes_max()) {
                    Some(group) => in_flight.push(self.publish(group)),
                    None => break,
                }
            }
            let stopped = stop.is_requested();
            if stopped && in_flight.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(()) = in_flight.next() => {}
                () = self.assembly.0.arrived.notified(), if in_flight.len() < self.frames_in_flight.get() => {}
                () = stop.requested(), if !stopped => {}
            }
        }
    }

    async fn publish(&self, group: Group) {
        failpoint::reach(Place::BeforePublish);
        if failpoint::is_armed(Sabotage::DropFrame) {
            return group.settle(Ok(()));
        }
        let begun = Instant::now();
        if failpoint::is_armed(Sabotage::DoubleFrame) {
            let again = Frame { id: FrameId::generate(), ..group.frame.clone() };
            self.publisher.publish(&again, begun + self.publish_timeout).await.ok();
        }
        let result = self.publisher.publish(&group.frame, begun + self.publish_timeout).await;
        self.telemetry.frame_published(&group.frame, begun.elapsed(), &result);
        let fate = match result {
            Ok(_) => {
                failpoint::reach(Place::BeforeAnswer);
                Ok(())
            }
            Err(PublishError::Full { reason }) => {
                tracing::debug!(frame = %group.frame.id, reason, "the queue is full");
                Err(NotSynced::Full)
            }
            Err(PublishError::Unknown { reason }) => {
                tracing::warn!(frame = %group.frame.id, activities = group.frame.count, reason, "given up");
                Err(NotSynced::Unknown)
            }
        };
        group.settle(fate);
    }
}
