//! A writer that freezes past its time while another takes over (row 18).

use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::wait_until;
use rustix::process::Signal;

use crate::PATIENCE;

/// Stops one writer there, waits until the other has stored what it held, and wakes it up.
async fn frozen_at(test: &str, place: &str) {
    let mut pipeline = Pipeline::new().with_failpoints().started().await;
    let load = pipeline.load(16);
    load.progress(200).await;
    pipeline.writers[0].arm(place, "stop");
    pipeline.writers[0].reached(place).await;
    load.progress(300).await;
    let journal = load.finish().await;
    // Longer than ack_wait: what the frozen one held is stored by the other.
    wait_until("an empty queue", PATIENCE, || async { pipeline.frames_queued().await == 0 }).await;
    pipeline.writers[0].signal(Signal::CONT);
    pipeline.wait_ready().await;
    let load = pipeline.load(16);
    load.progress(100).await;
    let mut all = load.finish().await;
    all.extend(journal);
    let figures = pipeline.conclude(test, 1, &all).await;
    if place == "before_ack" {
        assert!(figures.duplicate > 0, "it was stored twice and counts once: {figures:?}");
    }
}

#[tokio::test]
async fn a_writer_frozen_in_its_transaction_is_replaced_and_doubles_nothing() {
    frozen_at("a_writer_frozen_in_its_transaction_is_replaced_and_doubles_nothing", "before_commit").await;
}

#[tokio::test]
async fn a_writer_frozen_in_its_copy_is_replaced_and_doubles_nothing() {
    frozen_at("a_writer_frozen_in_its_copy_is_replaced_and_doubles_nothing", "mid_copy").await;
}

#[tokio::test]
async fn a_writer_frozen_before_its_ack_is_replaced_and_doubles_nothing() {
    frozen_at("a_writer_frozen_before_its_ack_is_replaced_and_doubles_nothing", "before_ack").await;
}
