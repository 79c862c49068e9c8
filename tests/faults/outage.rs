//! Back-pressure all the way: a database that is away at full rate (rows 13 and 28).

use std::time::Duration;

use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::{Djaffar, resident_bytes};
use djaffar_tests::rounds::is_long;
use djaffar_tests::wait_until;
use tokio::time::{Instant, sleep};

/// What a process may grow by while everybody is told to retry: allocators are no clocks.
const GROWTH_MAX: u64 = 16 * 1024 * 1024;

/// A busy machine fills it slowly.
const FULL_LIMIT: Duration = Duration::from_secs(400);

fn memory(pipeline: &Pipeline) -> Vec<u64> {
    let processes = pipeline.ingests.iter().chain(&pipeline.writers).map(Djaffar::resident_bytes);
    processes.chain(pipeline.nats.id().map(resident_bytes)).collect()
}

#[tokio::test]
async fn a_database_away_at_full_rate_fills_the_stream_and_drains_by_itself() {
    let test = "a_database_away_at_full_rate_fills_the_stream_and_drains_by_itself";
    let mut pipeline = Pipeline::new().with("--stream-bytes-max", "4MiB").started().await;
    let load = pipeline.load(64);
    load.progress(500).await;
    pipeline.postgres.stop().await;
    wait_until("a full stream", FULL_LIMIT, || async { load.told_to_retry() > 100 }).await;

    let hold = Duration::from_secs(if is_long() { 120 } else { 15 });
    // The first moments belong to the warm-up.
    sleep(Duration::from_secs(3)).await;
    let (begun, before, told) = (Instant::now(), memory(&pipeline), load.told_to_retry());
    let mut most = before.clone();
    while begun.elapsed() < hold {
        sleep(Duration::from_millis(250)).await;
        for (most, now) in most.iter_mut().zip(memory(&pipeline)) {
            *most = now.max(*most);
        }
    }
    assert!(load.told_to_retry() > told + 100, "503 all the time");
    println!("{test}: resident bytes before {before:?}, at most {most:?} within {hold:?}");
    for (before, most) in before.iter().zip(&most) {
        assert!(most - before < GROWTH_MAX, "memory is flat: {before} to {most} within {hold:?}");
    }

    pipeline.postgres.restart().await;
    load.progress(500).await;
    let journal = load.finish().await;
    assert!(journal.longest_answer < Duration::from_secs(15), "{:?}", journal.longest_answer);
    assert_eq!(journal.attempts.get(&0), None, "every request is answered: {:?}", journal.attempts);
    pipeline.conclude(test, 1, &journal).await;
    pipeline.wait_ready().await;
}
