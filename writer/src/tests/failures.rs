//! A store that fails in every way, and in sequences.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use shared::accounting::Accounting;
use shared::store::StoreErrorKind;
use tokio::time::Instant;

use super::probe::Counts;
use super::{World, activity, eventually};
use crate::store::memory::Attempt;

#[tokio::test(start_paused = true)]
async fn an_outage_is_red_and_makes_no_dead_letter() {
    let world = World::new();
    let writer = world.start(2);
    world.ready().await;
    world.database.script([Attempt::Fails(StoreErrorKind::Transient); 300]);
    for ten in 0..30 {
        world.publish_numbers(ten * 10..(ten + 1) * 10, 10).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(world.reason("database").is_some_and(|reason| reason.contains("scripted")));
    world.drained().await;
    world.ready().await;
    world.assert_stored(0..300);
    assert!(world.database.dead_letters().is_empty());
    assert_eq!(world.telemetry.snapshot().retries.transient, 300);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn frames_are_extended_through_an_outage() {
    let world = World::new();
    let counts = Arc::new(Counts::default());
    world.database.script([Attempt::Fails(StoreErrorKind::Transient); 20]);
    let writer = world.start_on(world.probed(&counts), 1);
    world.publish_numbers(0..10, 10).await;
    world.red("database").await;
    // This one waits for the lane.
    world.publish_numbers(10..20, 10).await;
    let began = Instant::now();
    world.drained().await;
    let tens = began.elapsed().as_secs() / 10;
    let extends = counts.extends.load(Ordering::Relaxed);
    assert!(
        tens > 5 && (2 * tens - 2..=2 * tens + 2).contains(&extends),
        "{extends} in {tens} tens of seconds"
    );
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_halves_the_next_attempt() {
    let world = World::new();
    world.database.script([Attempt::Fails(StoreErrorKind::Timeout), Attempt::Fails(StoreErrorKind::Timeout)]);
    world.publish_numbers(0..80, 80).await;
    let writer = world.start(1);
    world.drained().await;
    assert_eq!(world.database.attempts(), [80, 40, 20, 20, 40]);
    world.assert_stored(0..80);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_not_heard_counts_once() {
    let world = World::new();
    world.database.script([Attempt::CommitsUnheard(StoreErrorKind::Timeout)]);
    world.publish_numbers(0..80, 80).await;
    let writer = world.start(1);
    world.drained().await;
    world.assert_stored(0..80);
    let heard = Accounting { delivered: 80, duplicate: 80, ..Accounting::default() };
    assert_eq!(world.telemetry.snapshot().accounting, heard);
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn one_poison_activity_among_ten_thousand_is_one_dead_letter() {
    for guilty in [0, 4_321, 9_999] {
        let world = World::new();
        world.database.poison(activity(guilty).id);
        world.publish_numbers(0..10_000, 1000).await;
        let writer = world.start(2);
        world.drained().await;
        world.assert_stored((0..10_000).filter(|number| *number != guilty));
        let letters = world.database.dead_letters();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].sqlstate.as_deref(), Some("22000"));
        assert_eq!(letters[0].origin.index, guilty % 1000);
        assert!(letters[0].origin.frame_id.is_some());
        let expected = Accounting { delivered: 10_000, stored: 9_999, dead: 1, ..Accounting::default() };
        assert_eq!(world.telemetry.snapshot().accounting, expected);
        assert!(world.database.attempts().len() < 40, "{:?}", world.database.attempts());
        world.ready().await;
        world.stop(writer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_guilty_activities_are_a_schema_error() {
    let world = World::new();
    (0..100).filter(|number| number % 2 == 0).for_each(|number| world.database.poison(activity(number).id));
    let writer = world.start(1);
    world.publish_numbers(0..100, 100).await;
    world.red("database").await;
    world.publish_numbers(100..110, 10).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(world.database.dead_letters().is_empty());
    assert!(world.reason("database").is_some_and(|reason| reason.contains("schema")));
    assert_eq!(world.telemetry.snapshot().frames.decoded, 1, "nothing more is pulled");
    world.database.cure();
    world.drained().await;
    world.ready().await;
    world.assert_stored(0..110);
    assert!(world.database.dead_letters().is_empty());
    world.stop(writer).await;
}

/// A column that nothing satisfies must not turn a quiet site's activities into dead letters one by one.
#[tokio::test(start_paused = true)]
async fn small_batches_that_are_all_guilty_add_up() {
    let world = World::new();
    (0..50).for_each(|number| world.database.poison(activity(number).id));
    let writer = world.start(1);
    for number in 0..50 {
        world.publish_numbers(number..number + 1, 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.red("database").await;
    assert_eq!(world.database.dead_letters().len(), 10);
    world.database.cure();
    world.drained().await;
    assert_eq!((world.stored().len(), world.database.dead_letters().len()), (40, 10));
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_schema_stops_the_pulling_until_it_is_mended() {
    let world = World::new();
    let writer = world.start(1);
    world.ready().await;
    world.database.script([Attempt::Fails(StoreErrorKind::Schema); 5]);
    world.publish_numbers(0..10, 10).await;
    world.red("database").await;
    world.publish_numbers(10..20, 10).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.telemetry.snapshot().frames.decoded, 1);
    world.drained().await;
    world.ready().await;
    world.assert_stored(0..20);
    assert!(world.database.maintained() >= 5, "the migration may be this process's to make");
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_database_is_waited_for_at_the_start() {
    let world = World::new();
    let kinds = [StoreErrorKind::Transient, StoreErrorKind::Timeout, StoreErrorKind::Schema];
    world.database.script_maintenance(kinds.into_iter().cycle().take(9));
    world.publish_numbers(0..10, 10).await;
    let writer = world.start(2);
    world.red("database").await;
    eventually("tried", async || world.telemetry.snapshot().maintenance_failures > 3).await;
    assert_eq!(world.telemetry.snapshot().frames.decoded, 0);
    world.drained().await;
    world.ready().await;
    world.stop(writer).await;
}

#[tokio::test(start_paused = true)]
async fn schema_and_partitions_are_looked_after_every_hour() {
    let world = World::new();
    let writer = world.start(2);
    world.ready().await;
    world.database.script_maintenance([StoreErrorKind::Transient]);
    tokio::time::sleep(Duration::from_secs(3700)).await;
    assert_eq!((world.database.maintained(), world.telemetry.snapshot().maintenance_failures), (2, 1));
    assert!(world.readiness.reasons().is_empty(), "storing goes on");
    world.stop(writer).await;
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let kind = prop_oneof![
        Just(StoreErrorKind::Transient),
        Just(StoreErrorKind::Timeout),
        Just(StoreErrorKind::Schema),
    ];
    let unheard = prop_oneof![Just(StoreErrorKind::Transient), Just(StoreErrorKind::Timeout)];
    let attempt = prop_oneof![
        2 => Just(Attempt::Succeeds),
        3 => kind.prop_map(Attempt::Fails),
        1 => unheard.prop_map(Attempt::CommitsUnheard),
        1 => (1..40_u64).prop_map(|seconds| Attempt::Takes(Duration::from_secs(seconds))),
    ];
    proptest::collection::vec(attempt, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails in whatever order: each activity ends as a row or as a dead letter, and no frame is left.
    #[test]
    fn nothing_is_lost_in_any_sequence_of_failures(
        script in attempts(),
        poison in proptest::collection::btree_set(0..400_u32, 0..5),
        lanes in 1..4_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let world = World::new();
            world.database.script(script);
            poison.iter().for_each(|number| world.database.poison(activity(*number).id));
            let writer = world.start(lanes);
            for fifty in 0..8 {
                world.publish_numbers(fifty * 50..(fifty + 1) * 50, 10).await;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            world.drained().await;
            let rows = world.stored().len();
            let letters = world.database.dead_letters();
            assert_eq!(rows + letters.len(), 400);
            assert!(poison.iter().all(|number| !world.stored().contains(&activity(*number).id)));
            assert!(world.database.accounting().iter().all(|(_, totals)| totals.closes()));
            world.ready().await;
            world.stop(writer).await;
        });
    }
}
