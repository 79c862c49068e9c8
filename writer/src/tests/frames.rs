//! The ordinary way of frames, and of odd ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shared::accounting::Accounting;
use shared::lifecycle::TaskError;
use shared::queue::QueueError;
use shared::store::StoreErrorKind;

use super::probe::Counts;
use super::{World, activity, eventually, frame, raw_frame};
use crate::store::memory::Attempt;

#[tokio::test(start_paused = true)]
async fn every_activity_is_stored_once_and_every_frame_acked() {
    let world = World::new();
    world.publish_numbers(0..1000, 7).await;
    let writer = world.start(2);
    world.publish_numbers(1000..1200, 50).await;
    world.drained().await;
    world.assert_stored(0..1200);
    assert!(world.readiness.reasons().is_empty());
    assert_eq!(world.database.session_infos().len(), 120);
    let snapshot = world.telemetry.snapshot();
    assert_eq!(snapshot.frames.decoded, 143 + 4);
    assert_eq!(snapshot.frames.acked, 147);
    assert_eq!(snapshot.accounting, Accounting { delivered: 1200, stored: 1200, ..Accounting::default() });
    assert_eq!(world.database.accounting(), [("writer".to_owned(), snapshot.accounting)]);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acked_before_it_is_committed() {
    let world = World::new();
    let counts = Arc::new(Counts::default());
    world.database.script([
        Attempt::Takes(Duration::from_secs(1)),
        Attempt::Fails(StoreErrorKind::Transient),
        Attempt::Fails(StoreErrorKind::Timeout),
        Attempt::Takes(Duration::from_secs(3)),
        Attempt::CommitsUnheard(StoreErrorKind::Timeout),
        Attempt::Fails(StoreErrorKind::Data),
        Attempt::Fails(StoreErrorKind::Schema),
    ]);
    let writer = world.start_on(world.probed(&counts), 2);
    for hundred in 0..20 {
        world.publish_numbers(hundred * 100..(hundred + 1) * 100, 10).await;
        tokio::time::sleep(Duration::from_millis(90)).await;
    }
    world.drained().await;
    world.assert_stored(0..2000);
    assert_eq!(counts.acks.load(Ordering::Relaxed), 200);
    assert_eq!(*counts.early.lock().expect("no panic"), []);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn redelivered_frames_are_absorbed() {
    let world = World::new();
    let writer = world.start(1);
    let twice = frame((0..50).map(activity));
    world.publish(twice.clone()).await;
    world.drained().await;
    world.publish(twice).await;
    world.drained().await;
    world.assert_stored(0..50);
    let expected = Accounting { delivered: 100, stored: 50, duplicate: 50, ..Accounting::default() };
    assert_eq!(world.telemetry.snapshot().accounting, expected);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn two_lanes_store_at_the_same_time() {
    let world = World::new();
    world.database.script([Attempt::Takes(Duration::from_secs(5)), Attempt::Takes(Duration::from_secs(5))]);
    let writer = world.start(2);
    world.publish_numbers(0..10, 10).await;
    eventually("the first is in a lane", async || world.database.attempts().len() == 1).await;
    world.publish_numbers(10..20, 10).await;
    world.drained().await;
    assert_eq!(world.database.overlap(), 2);
    world.assert_stored(0..20);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn while_all_lanes_are_busy_the_batch_grows() {
    let world = World::new();
    world.database.script([Attempt::Takes(Duration::from_secs(5))]);
    let writer = world.start(1);
    world.publish_numbers(0..10, 10).await;
    eventually("the first is in a lane", async || world.database.attempts().len() == 1).await;
    for ten in 1..10 {
        world.publish_numbers(ten * 10..(ten + 1) * 10, 10).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    world.drained().await;
    assert_eq!(world.database.attempts(), [10, 90]);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_delivered_often_is_stored_alone() {
    let world = World::new();
    let counts = Arc::new(Counts::default());
    world.publish_numbers(0..30, 10).await;
    let mut consumer = world.probed(&counts);
    consumer.redeliveries = 5;
    let writer = world.start_on(consumer, 1);
    world.drained().await;
    assert_eq!(world.database.attempts(), [10, 10, 10]);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_frame_is_one_dead_letter_with_all_its_bytes() {
    let world = World::new();
    let writer = world.start(1);
    world.publish(raw_frame(b"DJF\x01what is this")).await;
    world.publish_numbers(0..5, 5).await;
    world.drained().await;
    world.assert_stored(0..5);
    let letters = world.database.dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(&letters[0].bytes[..], b"DJF\x01what is this");
    assert_eq!(letters[0].origin.frame_id, None);
    let expected = Accounting { delivered: 6, stored: 5, dead: 1, ..Accounting::default() };
    assert_eq!(world.telemetry.snapshot().accounting, expected);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_frame_stays_in_the_queue_with_an_alarm() {
    let world = World::new();
    let writer = world.start(1);
    world.publish(raw_frame(b"DJF\xff\0\0\0\0something new")).await;
    world.publish_numbers(0..5, 5).await;
    eventually("the others are stored", async || world.stored().len() == 5).await;
    let reason = world.reason("queue").expect("red");
    assert!(reason.contains("upgrade the writers first"), "{reason}");
    // It is asked for again, now and then.
    eventually("again", async || world.telemetry.snapshot().frames.newer >= 4).await;
    assert!(world.reason("queue").is_some());
    assert_eq!(world.queued().await, 1);
    assert!(world.database.dead_letters().is_empty());
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn frames_are_extended_while_an_attempt_is_inside_its_time() {
    let world = World::new();
    let counts = Arc::new(Counts::default());
    world.database.script([Attempt::Takes(Duration::from_secs(35))]);
    let writer = world.start_on(world.probed(&counts), 1);
    world.publish_numbers(0..10, 5).await;
    eventually("in a lane", async || world.database.attempts().len() == 1).await;
    // This one waits for the lane.
    world.publish_numbers(10..15, 5).await;
    world.drained().await;
    let extends = counts.extends.load(Ordering::Relaxed);
    assert!((8..=10).contains(&extends), "three frames, 35 s: {extends}");

    world.database.script([Attempt::Takes(Duration::from_secs(600))]);
    world.publish_numbers(20..25, 5).await;
    world.drained().await;
    let extends = counts.extends.load(Ordering::Relaxed) - extends;
    assert!((4..=6).contains(&extends), "one frame, 60 s and no longer: {extends}");
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_away_is_waited_for() {
    let world = World::new();
    let mut consumer = world.probed(&Arc::default());
    consumer.errors = vec![QueueError::Unavailable { reason: "refused".to_owned() }; 5];
    let writer = world.start_on(consumer, 1);
    world.publish_numbers(0..10, 5).await;
    world.drained().await;
    world.assert_stored(0..10);
    world.ready().await;
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_can_never_work_ends_the_writer() {
    let world = World::new();
    let mut consumer = world.probed(&Arc::default());
    consumer.errors = vec![QueueError::Misconfigured { reason: "memory storage".to_owned() }];
    let error = world.start_on(consumer, 1).join().await.expect("no panic").expect_err("an error");
    assert!(matches!(error, TaskError::Misconfigured(reason) if reason == "memory storage"));
}

#[tokio::test(start_paused = true)]
async fn the_lag_is_known() {
    let world = World::new();
    world.database.script([Attempt::Takes(Duration::from_secs(20))]);
    let writer = world.start(1);
    world.publish_numbers(0..10, 5).await;
    eventually("two wait", async || world.telemetry.snapshot().queue_frames == Some(2)).await;
    assert!(world.telemetry.snapshot().lag_seconds.is_some());
    eventually("none waits", async || world.telemetry.snapshot().queue_frames == Some(0)).await;
    world.stop(writer).await;
}
