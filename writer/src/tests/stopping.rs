//! What becomes of pulled frames and of the backlog when the writer stops.

use std::time::Duration;

use shared::store::StoreErrorKind;
use tokio::time::Instant;

use super::{World, eventually};
use crate::StopMode;
use crate::store::memory::Attempt;

#[tokio::test(start_paused = true)]
async fn what_is_pulled_is_finished() {
    let world = World::new();
    world.database.script([Attempt::Takes(Duration::from_secs(3))]);
    let writer = world.start(1);
    world.publish_numbers(0..10, 10).await;
    eventually("in a lane", async || world.database.attempts().len() == 1).await;
    world.publish_numbers(10..20, 10).await;
    eventually("pulled", async || world.telemetry.snapshot().frames.decoded == 2).await;
    world.stop(writer).await;
    world.assert_stored(0..20);
    assert_eq!(world.queued().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_handed_back_at_once() {
    let world = World::new();
    world.database.script([Attempt::Fails(StoreErrorKind::Transient); 1000]);
    let writer = world.start(1);
    world.publish_numbers(0..100, 10).await;
    world.red("database").await;
    let asked = Instant::now();
    world.stop(writer).await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(world.queued().await, 10);
    assert_eq!(world.telemetry.snapshot().frames.handed_back, 10);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_database_does_not_hold_the_stop() {
    let world = World::new();
    world.database.script([Attempt::Takes(Duration::from_secs(3600))]);
    let writer = world.start(1);
    world.publish_numbers(0..10, 10).await;
    eventually("in a lane", async || world.database.attempts().len() == 1).await;
    world.publish_numbers(10..20, 10).await;
    let asked = Instant::now();
    world.stop(writer).await;
    assert!(asked.elapsed() < world.config.stop_time_max + Duration::from_secs(1));
    assert_eq!(world.queued().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_draining_writer_empties_the_queue() {
    let mut world = World::new();
    world.config.stop = StopMode::DrainBacklog;
    // Too little room to pull everything at once, and a failure on the way.
    world.config.pulled_bytes_max = 0;
    world.config.rows_max = 100;
    world
        .database
        .script([Attempt::Takes(Duration::from_secs(1)), Attempt::Fails(StoreErrorKind::Transient)]);
    let writer = world.start(2);
    world.publish_numbers(0..5000, 50).await;
    world.stop(writer).await;
    assert_eq!(world.queued().await, 0);
    world.assert_stored(0..5000);
}

#[tokio::test(start_paused = true)]
async fn a_draining_writer_gives_up_in_time() {
    let mut world = World::new();
    world.config.stop = StopMode::DrainBacklog;
    world.database.script([Attempt::Fails(StoreErrorKind::Transient); 1000]);
    let writer = world.start(1);
    world.publish_numbers(0..100, 10).await;
    world.red("database").await;
    let asked = Instant::now();
    world.stop(writer).await;
    assert!(asked.elapsed() < world.config.stop_time_max + Duration::from_secs(1));
    assert_eq!(world.queued().await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_never_reached_its_database_stops() {
    let world = World::new();
    world.database.script_maintenance([StoreErrorKind::Transient; 1000]);
    let writer = world.start(1);
    world.publish_numbers(0..10, 10).await;
    world.red("database").await;
    world.stop(writer).await;
    assert_eq!(world.queued().await, 1);
}
