//! `kill -9` of every process, at random and at the worst places (rows 1 to 5 and 8).

use std::time::Duration;

use chrono::DateTime;
use djaffar_tests::checker::{judge, retry_unclear};
use djaffar_tests::client::{Load, exchange, log_request};
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::Djaffar;
use djaffar_tests::rounds::{Dice, fault_rounds};
use djaffar_tests::wait_until;
use rustix::process::Signal;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{PATIENCE, conclude_serve, judge_serve};

/// Kills the process at one of the places, or at random; starts it again.
pub(crate) async fn die_somewhere(process: &mut Djaffar, places: &[&str], dice: &mut Dice) {
    match places.get(dice.index(places.len() + 1)) {
        Some(place) => process.die_at(place).await,
        None => {
            process.kill();
            process.start();
        }
    }
}

pub(crate) const INGEST_PLACES: [&str; 2] = ["before_publish", "before_answer"];
pub(crate) const WRITER_PLACES: [&str; 3] = ["mid_copy", "before_commit", "before_ack"];
pub(crate) const SERVE_PLACES: [&str; 5] =
    ["before_publish", "before_sync", "before_answer", "before_commit", "before_ack"];

#[tokio::test]
async fn an_ingest_killed_anywhere_loses_and_doubles_nothing() {
    let test = "an_ingest_killed_anywhere_loses_and_doubles_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(6));
    let mut pipeline = Pipeline::new().with_failpoints().started().await;
    let load = pipeline.load(16);
    for place in INGEST_PLACES {
        pipeline.ingests[0].die_at(place).await;
    }
    for round in 0..rounds {
        load.progress(dice.number(10..300)).await;
        die_somewhere(&mut pipeline.ingests[round % 2], &INGEST_PLACES, &mut dice).await;
    }
    load.progress(50).await;
    // Clients that never come back: what they have no answer for is stored once or not at all.
    for ingest in &mut pipeline.ingests {
        ingest.arm("before_answer", "kill");
    }
    for ingest in &mut pipeline.ingests {
        ingest.ended(PATIENCE).await;
    }
    let mut journal = load.give_up().await;
    judge(&journal, &pipeline.database(), &pipeline.queue()).await.assert_kept();
    pipeline.ingests[0].start();
    let unclear = retry_unclear(&mut journal, pipeline.ingests[0].listen()).await;
    assert!(unclear > 0, "both ingests died with answers owed");
    let figures = pipeline.conclude(test, rounds, &journal).await;
    assert_eq!(figures.sent, figures.stored, "each exactly once after the retry");
}

#[tokio::test]
async fn a_writer_killed_anywhere_loses_and_doubles_nothing() {
    let test = "a_writer_killed_anywhere_loses_and_doubles_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(4));
    let mut pipeline = Pipeline::new().with_failpoints().started().await;
    let load = pipeline.load(16);
    for (number, place) in WRITER_PLACES.into_iter().enumerate() {
        pipeline.writers[number % 2].die_at(place).await;
    }
    for round in 0..rounds {
        load.progress(dice.number(10..300)).await;
        die_somewhere(&mut pipeline.writers[round % 2], &WRITER_PLACES, &mut dice).await;
    }
    let journal = load.finish().await;
    let figures = pipeline.conclude(test, rounds + WRITER_PLACES.len(), &journal).await;
    assert!(figures.duplicate > 0, "what was committed and not acked came again: {figures:?}");
}

#[tokio::test]
async fn a_broker_killed_under_load_loses_and_doubles_nothing() {
    let test = "a_broker_killed_under_load_loses_and_doubles_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(4));
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    for _ in 0..rounds {
        load.progress(dice.number(10..300)).await;
        pipeline.nats.kill();
        sleep(dice.millis(0..2000)).await;
        pipeline.nats.start_ready().await;
    }
    load.progress(50).await;
    let journal = load.finish().await;
    assert!(journal.longest_answer < Duration::from_secs(15), "{:?}", journal.longest_answer);
    pipeline.conclude(test, rounds, &journal).await;
    pipeline.wait_ready().await;
}

#[tokio::test]
async fn postgres_killed_in_the_middle_of_a_copy_loses_and_doubles_nothing() {
    let test = "postgres_killed_in_the_middle_of_a_copy_loses_and_doubles_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(4));
    let mut pipeline = Pipeline::new().with_failpoints().started().await;
    let load = pipeline.load(16);
    for round in 0..rounds {
        load.progress(dice.number(10..300)).await;
        let writer = &pipeline.writers[round % 2];
        let place = ["mid_copy", "before_commit"][round / 2 % 2];
        // The writer waits in the middle of its transaction for the server to die.
        writer.arm(place, "stop");
        writer.reached(place).await;
        pipeline.postgres.kill();
        writer.signal(Signal::CONT);
        load.progress(10).await;
        pipeline.postgres.restart().await;
    }
    load.progress(50).await;
    let journal = load.finish().await;
    pipeline.conclude(test, rounds, &journal).await;
    pipeline.wait_ready().await;
}

#[tokio::test]
async fn serve_killed_anywhere_loses_and_doubles_nothing() {
    let test = "serve_killed_anywhere_loses_and_doubles_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(10));
    let mut serve = Djaffar::serve().with_failpoints();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    for place in SERVE_PLACES {
        serve.die_at(place).await;
    }
    for _ in 0..rounds {
        load.progress(dice.number(10..300)).await;
        die_somewhere(&mut serve, &SERVE_PLACES, &mut dice).await;
    }
    load.progress(50).await;
    serve.arm("before_answer", "kill");
    serve.ended(PATIENCE).await;
    let mut journal = load.give_up().await;
    serve.start_ready().await;
    judge_serve(&serve, &journal).await.assert_kept();
    assert!(retry_unclear(&mut journal, serve.listen()).await > 0, "it died with answers owed");
    let figures = conclude_serve(test, rounds + SERVE_PLACES.len() + 1, &serve, &journal).await;
    assert_eq!(figures.sent, figures.stored, "each exactly once after the retry");
}

/// The broker forgets the ids of consumed frames when it restarts (nats-server#3272): the key does not.
#[tokio::test]
async fn a_retry_after_a_restart_of_the_broker_counts_once() {
    let mut pipeline = Pipeline::new().single().started().await;
    let date = DateTime::from_timestamp(1_700_000_000, 0).expect("a date");
    let request = log_request(Uuid::from_u128(1), date, "/once", None);
    let database = pipeline.database();
    for delivered in 1..=3 {
        wait_until("an accepted retry", PATIENCE, || async {
            exchange(pipeline.ingests[0].listen(), &request).await.is_ok_and(|answer| answer.status == 204)
        })
        .await;
        wait_until("its delivery", PATIENCE, || async { database.accounting().await.delivered == delivered })
            .await;
        pipeline.nats.kill();
        pipeline.nats.start_ready().await;
    }
    let accounting = database.accounting().await;
    assert_eq!(
        (accounting.stored, accounting.duplicate, database.count().await),
        (1, 2, 1),
        "{accounting:?}"
    );
}
