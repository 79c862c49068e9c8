//! Frames that the stream holds and its consumer has forgotten.
//!
//! A nats-server that is killed while writers ack can come back with a frame
//! in the stream that its consumer counts as acked: nobody is ever given it
//! again, and it keeps its room. The consumer is then deleted; the next pull
//! makes it anew, and what is left in the stream is delivered from its start.
//! That costs redeliveries, which the primary key absorbs, and never a frame.
//! Held by `tests/queue_contract.rs` and by `tests/end_to_end/spool.rs`, whose brokers are killed
//! while they drain.

use async_nats::jetstream::consumer::pull;
use metrics::counter;

use super::consume::CONSUMER;
use super::{Inner, Link};

/// What one look at stream and consumer has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    messages: u64,
    first: u64,
    /// The consumer waits for nothing up to here.
    acked_to: u64,
}

impl Sight {
    fn first_is_acked(self) -> bool {
        self.messages > 0 && self.first <= self.acked_to
    }
}

/// Two looks show the same first frame, which was acked before the first of them. Other frames may come and go.
fn is_stranded(before: Option<Sight>, now: Sight) -> bool {
    now.first_is_acked() && before.is_some_and(|before| before.first == now.first && before.first_is_acked())
}

impl Inner {
    /// One look, to be compared with the one some seconds before.
    pub(super) async fn look_for_stranded(&self, before: Option<Sight>) -> Option<Sight> {
        let session = match &*self.link.borrow() {
            Link::Up(session) => std::sync::Arc::clone(session),
            Link::Down { .. } => return None,
        };
        let stream = session.connection.context.get_stream(&self.config.stream).await.ok()?;
        let consumer = stream.get_consumer::<pull::Config>(CONSUMER).await.ok()?;
        let (held, seen) = (&stream.cached_info().state, consumer.cached_info());
        let now = Sight {
            messages: held.messages,
            first: held.first_sequence,
            acked_to: seen.ack_floor.stream_sequence,
        };
        if !is_stranded(before, now) {
            return Some(now);
        }
        counter!("djaffar_queue_stranded_frames_total").increment(now.messages);
        match stream.delete_consumer(CONSUMER).await {
            Ok(_) => tracing::error!(
                frames = now.messages,
                "nats-server holds frames that it gives to nobody: its consumer is made anew, and they are delivered again"
            ),
            Err(error) => tracing::error!(
                frames = now.messages,
                %error,
                "nats-server holds frames that it gives to nobody, and its consumer cannot be made anew: delete it with `nats consumer rm`"
            ),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Sight = Sight { messages: 2, first: 34, acked_to: 635 };

    #[test]
    fn a_frame_that_stays_behind_its_ack_is_stranded_however_busy_the_stream_is() {
        assert!(is_stranded(Some(LEFT), LEFT));
        assert!(is_stranded(Some(LEFT), Sight { messages: 300, acked_to: 1200, ..LEFT }));
    }

    #[test]
    fn what_moves_and_what_waits_is_not_stranded() {
        assert!(!is_stranded(None, LEFT));
        assert!(!is_stranded(Some(Sight { first: 33, ..LEFT }), LEFT), "a removal was on its way");
        for waiting in [Sight { acked_to: 33, ..LEFT }, Sight { messages: 0, ..LEFT }] {
            assert!(!is_stranded(Some(waiting), waiting), "{waiting:?}");
            assert!(!is_stranded(Some(waiting), LEFT), "{waiting:?}");
        }
    }
}
