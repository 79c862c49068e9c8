//! SIGTERM under load (row 26): nothing is lost, and no request that was taken goes unanswered.

use std::time::Duration;

use djaffar_tests::client::Load;
use djaffar_tests::journal::Journal;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::Djaffar;
use djaffar_tests::rounds::fault_rounds;

use crate::conclude_serve;

/// `--stop-timeout` and a margin.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const TIMES: usize = 10;

async fn stop(process: &mut Djaffar) {
    let status = process.stop(STOP_LIMIT).await;
    assert_eq!(status.code(), Some(0), "{}", process.log());
}

fn assert_no_reset(journal: &Journal) {
    assert_eq!(journal.attempts.get(&0), None, "a request went unanswered: {:?}", journal.attempts);
}

#[tokio::test]
async fn serve_stopped_ten_times_under_load_resets_no_request() {
    let test = "serve_stopped_ten_times_under_load_resets_no_request";
    let rounds = fault_rounds(TIMES);
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    for _ in 0..rounds {
        load.progress(100).await;
        stop(&mut serve).await;
        serve.start_ready().await;
    }
    load.progress(100).await;
    let journal = load.finish().await;
    assert_no_reset(&journal);
    let figures = conclude_serve(test, rounds, &serve, &journal).await;
    assert_eq!(figures.duplicate, 0, "a clean stop needs no second delivery: {figures:?}");
}

/// One replica after the other, as an upgrade does it.
#[tokio::test]
async fn ingests_and_writers_restarted_in_turn_show_no_error_to_a_client_that_retries() {
    let test = "ingests_and_writers_restarted_in_turn_show_no_error_to_a_client_that_retries";
    let rounds = fault_rounds(TIMES);
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    for round in 0..rounds {
        for processes in [&mut pipeline.ingests, &mut pipeline.writers] {
            let process = &mut processes[round % 2];
            load.progress(100).await;
            stop(process).await;
            load.progress(20).await;
            process.start_ready().await;
        }
    }
    load.progress(100).await;
    let journal = load.finish().await;
    assert_no_reset(&journal);
    let figures = pipeline.conclude(test, rounds, &journal).await;
    assert_eq!(figures.duplicate, 0, "a clean stop needs no second delivery: {figures:?}");
}
