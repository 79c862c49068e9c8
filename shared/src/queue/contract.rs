//! What every queue adapter must do, as tests.
//!
//! `queue_contract!(MyFixture)` makes one test of each case. The cases know
//! nothing of the adapter; time limits are generous, because a real queue may
//! take its `ack_wait` to deliver again.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    Backlog, Delivery, FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle,
};
use crate::frame::{Frame, FrameId};

/// How long a case waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The bound of the queues that the cases open: room for some 1000 small frames.
pub const BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Opens an adapter's queue over state that outlives the handle.
pub trait Fixture: Sized + Send {
    type Queue: FramePublisher + QueueBacklog + Clone;
    type Consumer: FrameConsumer;

    /// A new and empty queue of at most `bytes_max`.
    fn open(bytes_max: u64) -> impl Future<Output = (Self, Self::Queue)> + Send;

    fn consumer(&self, queue: &Self::Queue) -> impl Future<Output = Self::Consumer> + Send;

    /// Closes the queue (all consumers are gone) and opens it again, as the next process would.
    fn reopen(&mut self, queue: Self::Queue) -> impl Future<Output = Self::Queue> + Send;
}

/// One test per case of the contract.
#[macro_export]
macro_rules! queue_contract {
    ($fixture:ty) => {
        $crate::queue_contract!(@cases $fixture,
            what_is_published_is_delivered,
            an_acked_frame_is_gone,
            what_was_not_acked_comes_again_after_reopening,
            a_dropped_delivery_comes_again,
            a_frame_handed_back_comes_again_after_its_delay,
            an_extended_delivery_can_be_acked,
            the_same_frame_twice_is_no_error,
            a_full_queue_says_so_and_loses_nothing,
            the_backlog_counts_what_waits,
            hundreds_of_frames_wait_and_come_out,
            publishers_and_consumers_work_side_by_side,
            what_remains_of_a_consumer_that_ends_is_its_own_or_the_next_ones,
            a_cancelled_wait_loses_nothing,
        );
    };
    (@cases $fixture:ty, $($case:ident,)*) => {
        mod contract {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::queue::contract::$case::<$fixture>().await;
                }
            )*
        }
    };
}

/// A frame whose bytes nobody else has. The queue does not look inside.
#[must_use]
pub fn frame(bytes: usize) -> Frame {
    let id = FrameId::generate();
    let mut content = id.to_string().into_bytes();
    // Nothing that a compressing file system or a sloppy comparison could collapse.
    let mut state = id.0.as_u64_pair().1 | 1;
    while content.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        content.push((state >> 56) as u8);
    }
    Frame { id, count: 3, bytes: Bytes::from(content) }
}

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// Publishes; any error fails the test.
pub async fn publish(queue: &impl FramePublisher, frame: &Frame) {
    let published = timeout(PATIENCE, queue.publish(frame, deadline())).await;
    published.expect("an answer by the deadline").expect("a synced frame");
}

/// The next delivery, however often the queue is away meanwhile.
pub async fn next<C: FrameConsumer>(consumer: &mut C) -> Delivery<C::Settle> {
    let wait = async {
        loop {
            match consumer.next().await {
                Ok(delivery) => return delivery,
                Err(QueueError::Unavailable { .. }) => {}
                Err(error) => panic!("the consumer has failed: {error}"),
            }
        }
    };
    timeout(PATIENCE, wait).await.expect("a delivery in time")
}

/// Waits until the backlog is as asked.
pub async fn backlog_until(queue: &impl QueueBacklog, fits: impl Fn(&Backlog) -> bool) -> Backlog {
    let mut last = None;
    let wait = async {
        loop {
            if let Ok(backlog) = queue.backlog().await {
                last = Some(backlog);
                if fits(&backlog) {
                    return backlog;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("the backlog stays {last:?}"))
}

/// Takes and acks until nothing waits; returns the contents.
pub async fn drain<C: FrameConsumer>(queue: &impl QueueBacklog, consumer: &mut C) -> BTreeSet<Bytes> {
    let mut contents = BTreeSet::new();
    let drained = async {
        loop {
            tokio::select! {
                biased;
                delivery = next(consumer) => {
                    contents.insert(delivery.bytes.clone());
                    delivery.settle.ack().await.expect("an ack");
                }
                _ = backlog_until(queue, |backlog| backlog.frames == 0) => return,
            }
        }
    };
    timeout(PATIENCE, drained).await.expect("an empty queue in time");
    contents
}

fn contents<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> BTreeSet<Bytes> {
    frames.into_iter().map(|frame| frame.bytes.clone()).collect()
}

pub async fn what_is_published_is_delivered<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let mut consumer = fixture.consumer(&queue).await;
    for bytes in [40, 5000, 300_000, queue.frame_bytes_max()] {
        let frame = frame(bytes);
        publish(&queue, &frame).await;
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.bytes, frame.bytes);
        assert_eq!(delivery.count, 1);
        delivery.settle.ack().await.expect("an ack");
    }
}

pub async fn an_acked_frame_is_gone<F: Fixture>() {
    let (mut fixture, queue) = F::open(BYTES_MAX).await;
    let mut consumer = fixture.consumer(&queue).await;
    for _ in 0..20 {
        publish(&queue, &frame(500)).await;
        next(&mut consumer).await.settle.ack().await.expect("an ack");
    }
    backlog_until(&queue, |backlog| backlog.frames == 0).await;
    drop(consumer);
    let queue = fixture.reopen(queue).await;
    let mut consumer = fixture.consumer(&queue).await;
    let last = frame(500);
    publish(&queue, &last).await;
    assert_eq!(drain(&queue, &mut consumer).await, contents([&last]));
}

pub async fn what_was_not_acked_comes_again_after_reopening<F: Fixture>() {
    let (mut fixture, queue) = F::open(BYTES_MAX).await;
    let frames: Vec<Frame> = (0..10).map(|_| frame(2000)).collect();
    for frame in &frames {
        publish(&queue, frame).await;
    }
    let mut consumer = fixture.consumer(&queue).await;
    let mut kept = Vec::new();
    let mut acked = BTreeSet::new();
    for position in 0..6 {
        let delivery = next(&mut consumer).await;
        if position % 2 == 0 {
            acked.insert(delivery.bytes.clone());
            delivery.settle.ack().await.expect("an ack");
        } else {
            kept.push(delivery);
        }
    }
    backlog_until(&queue, |backlog| backlog.frames == 7).await;
    drop((kept, consumer));
    let queue = fixture.reopen(queue).await;
    let mut consumer = fixture.consumer(&queue).await;
    let again = drain(&queue, &mut consumer).await;
    assert_eq!(again, &contents(&frames) - &acked);
}

pub async fn a_dropped_delivery_comes_again<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let mut consumer = fixture.consumer(&queue).await;
    let frame = frame(100);
    publish(&queue, &frame).await;
    drop(next(&mut consumer).await);
    let again = next(&mut consumer).await;
    assert_eq!(again.bytes, frame.bytes);
    assert_eq!(again.count, 2);
}

pub async fn a_frame_handed_back_comes_again_after_its_delay<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let mut consumer = fixture.consumer(&queue).await;
    let (slow, quick) = (frame(100), frame(100));
    publish(&queue, &slow).await;
    let delivery = next(&mut consumer).await;
    let delay = Duration::from_millis(400);
    let handed_back = Instant::now();
    delivery.settle.retry_after(delay).await.expect("handed back");
    // Others are not held up.
    publish(&queue, &quick).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.bytes, quick.bytes);
    delivery.settle.ack().await.expect("an ack");
    let again = next(&mut consumer).await;
    assert_eq!(again.bytes, slow.bytes);
    assert_eq!(again.count, 2);
    assert!(handed_back.elapsed() >= delay * 9 / 10, "came back after {:?}", handed_back.elapsed());
    again.settle.ack().await.expect("an ack");
    backlog_until(&queue, |backlog| backlog.frames == 0).await;
}

pub async fn an_extended_delivery_can_be_acked<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let mut consumer = fixture.consumer(&queue).await;
    publish(&queue, &frame(100)).await;
    let delivery = next(&mut consumer).await;
    for _ in 0..3 {
        delivery.settle.extend().await.expect("more time");
    }
    delivery.settle.ack().await.expect("an ack");
    backlog_until(&queue, |backlog| backlog.frames == 0).await;
}

pub async fn the_same_frame_twice_is_no_error<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let frame = frame(700);
    publish(&queue, &frame).await;
    publish(&queue, &frame).await;
    let mut consumer = fixture.consumer(&queue).await;
    assert_eq!(drain(&queue, &mut consumer).await, contents([&frame]));
}

pub async fn a_full_queue_says_so_and_loses_nothing<F: Fixture>() {
    let (fixture, queue) = F::open(2 * 1024 * 1024).await;
    let mut held = Vec::new();
    loop {
        let frame = frame(50_000);
        match queue.publish(&frame, deadline()).await {
            Ok(_) => held.push(frame),
            Err(PublishError::Full { .. }) => break,
            Err(error) => panic!("neither synced nor full: {error}"),
        }
    }
    assert!((10..=42).contains(&held.len()), "full after {} frames", held.len());
    let mut consumer = fixture.consumer(&queue).await;
    assert_eq!(drain(&queue, &mut consumer).await, contents(&held));
    publish(&queue, &frame(50_000)).await;
}

pub async fn the_backlog_counts_what_waits<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    assert_eq!(queue.backlog().await.expect("a backlog").frames, 0);
    let before = crate::time::now();
    for _ in 0..4 {
        publish(&queue, &frame(1000)).await;
    }
    let backlog = queue.backlog().await.expect("a backlog");
    assert_eq!(backlog.frames, 4);
    assert!((4000..8000).contains(&backlog.bytes), "{backlog:?}");
    assert!(backlog.activities.is_none_or(|activities| activities == 12), "{backlog:?}");
    let oldest = backlog.oldest.expect("the oldest frame's time");
    // Another machine's clock, or the queue's rounding, may be a little behind.
    assert!((oldest - before).num_milliseconds().abs() < 5000, "{oldest} against {before}");
    let mut consumer = fixture.consumer(&queue).await;
    // Delivered but not acked still waits.
    let delivery = next(&mut consumer).await;
    assert_eq!(queue.backlog().await.expect("a backlog").frames, 4);
    delivery.settle.ack().await.expect("an ack");
    backlog_until(&queue, |backlog| backlog.frames == 3).await;
}

pub async fn hundreds_of_frames_wait_and_come_out<F: Fixture>() {
    let (mut fixture, queue) = F::open(BYTES_MAX).await;
    let frames: Vec<Frame> = (0..500).map(|position| frame(100 + position * 20)).collect();
    for some in frames.chunks(8) {
        join_all(some.iter().map(|frame| publish(&queue, frame))).await;
    }
    let queue = fixture.reopen(queue).await;
    assert_eq!(queue.backlog().await.expect("a backlog").frames, 500);
    let mut consumer = fixture.consumer(&queue).await;
    assert_eq!(drain(&queue, &mut consumer).await, contents(&frames));
}

pub async fn publishers_and_consumers_work_side_by_side<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let frames: Vec<Frame> = (0..400).map(|_| frame(3000)).collect();
    let publish_all = join_all(frames.chunks(50).map(|some| {
        let queue = queue.clone();
        async move {
            for frame in some {
                publish(&queue, frame).await;
            }
        }
    }));
    let mut first = fixture.consumer(&queue).await;
    let mut second = fixture.consumer(&queue).await;
    let expected = contents(&frames);
    let mut seen = BTreeSet::new();
    let consume = async {
        while seen != expected {
            let delivery = tokio::select! {
                delivery = next(&mut first) => delivery,
                delivery = next(&mut second) => delivery,
            };
            seen.insert(delivery.bytes.clone());
            delivery.settle.ack().await.expect("an ack");
        }
    };
    let both = futures_util::future::join(publish_all, consume);
    timeout(PATIENCE, both).await.expect("all published and consumed in time");
    backlog_until(&queue, |backlog| backlog.frames == 0).await;
}

pub async fn what_remains_of_a_consumer_that_ends_is_its_own_or_the_next_ones<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let frames: Vec<Frame> = (0..40).map(|_| frame(1000)).collect();
    for frame in &frames {
        publish(&queue, frame).await;
    }
    let mut consumer = fixture.consumer(&queue).await;
    let mut delivery = Some(next(&mut consumer).await);
    let mut seen = BTreeSet::new();
    while let Some(Delivery { bytes, settle, .. }) = delivery {
        seen.insert(bytes);
        settle.ack().await.expect("an ack");
        delivery = timeout(PATIENCE, consumer.remaining()).await.expect("an end in time");
    }
    drop(consumer);
    seen.extend(drain(&queue, &mut fixture.consumer(&queue).await).await);
    assert_eq!(seen, contents(&frames));
}

pub async fn a_cancelled_wait_loses_nothing<F: Fixture>() {
    let (fixture, queue) = F::open(BYTES_MAX).await;
    let mut consumer = fixture.consumer(&queue).await;
    let frames: Vec<Frame> = (0..40).map(|_| frame(1000)).collect();
    for frame in &frames {
        // Polled once and dropped, before and while there is something to take.
        let mut taken = None;
        tokio::select! {
            biased;
            delivery = consumer.next() => taken = Some(delivery),
            () = std::future::ready(()) => {}
        }
        drop(taken);
        publish(&queue, frame).await;
    }
    assert_eq!(drain(&queue, &mut consumer).await, contents(&frames));
}
