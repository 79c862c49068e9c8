//! `djaffar serve` through `kill -9`.

use std::path::Path;

use djaffar_tests::client::Load;
use djaffar_tests::process::Djaffar;

use crate::{STOP_LIMIT, assert_exact, fault_rounds};

#[tokio::test]
async fn serve_killed_under_load_loses_and_doubles_nothing() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    for _ in 0..fault_rounds() {
        load.progress(rand::random_range(10..500)).await;
        serve.kill();
        serve.start();
    }
    load.progress(100).await;
    let journal = load.finish().await;
    assert_exact(&serve, &journal).await;
    assert!(serve.stop(STOP_LIMIT).await.success(), "{}", serve.log());
    assert_exact(&serve, &journal).await;
}

#[tokio::test]
async fn what_a_killed_server_had_answered_needs_no_client_to_come_back() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    load.progress(300).await;
    serve.kill();
    let journal = load.give_up().await;
    serve.start_ready().await;
    assert_exact(&serve, &journal).await;
}

#[tokio::test]
async fn a_data_directory_serves_one_process() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let mut second = Djaffar::serve_in(Path::new(&serve.data_directory()));
    second.start();
    let status = second.ended(STOP_LIMIT).await;
    assert_eq!(status.code(), Some(2), "{}", second.log());
    let log = second.log();
    assert!(log.contains("data-dir") && log.contains("another"), "it names the setting: {log}");
}
