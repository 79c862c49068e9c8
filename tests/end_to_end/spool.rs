//! While NATS is away, an ingest with a spool goes on answering, and keeps its word through `kill -9`.

use std::time::Duration;

use chrono::{SubsecRound, TimeDelta};
use djaffar_tests::checker::DRAIN_LIMIT;
use djaffar_tests::client::{Load, exchange, log_request};
use djaffar_tests::journal::{Answer, Journal, Sent};
use djaffar_tests::pipeline::{Pipeline, SECRET_KEY};
use djaffar_tests::process::{Djaffar, djaffar, djaffar_prints};
use djaffar_tests::{START_LIMIT, wait_until};
use rustix::process::Signal;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{STOP_LIMIT, fault_rounds};

/// Two writers, and one ingest with a spool. The ingest is not started yet, the rest runs.
async fn pipeline(spool_max: &str) -> Pipeline {
    let mut pipeline = Pipeline::new();
    pipeline.ingests = vec![spooling(&pipeline, spool_max)];
    pipeline.nats.start_ready().await;
    pipeline.postgres.restart().await;
    for writer in &mut pipeline.writers {
        writer.start();
    }
    pipeline
}

fn spooling(pipeline: &Pipeline, spool_max: &str) -> Djaffar {
    let ingest = Djaffar::ingest(&pipeline.nats.url(), SECRET_KEY);
    let data = ingest.data_directory();
    ingest.with("--spool-max", spool_max).with("--data-dir", data)
}

async fn spooled(ingest: &Djaffar, what: &str) -> Option<u64> {
    let (_, body) = ingest.admin("/status").await?;
    serde_json::from_str::<serde_json::Value>(&body).ok()?["spool"][what].as_u64()
}

async fn emptied(ingest: &Djaffar) {
    wait_until("an empty spool", DRAIN_LIMIT, || async { spooled(ingest, "frames").await == Some(0) }).await;
}

async fn readiness(ingest: &Djaffar) -> (u16, String) {
    ingest.admin("/readyz").await.expect("the admin listener answers")
}

/// One log request after the other; how long they took.
async fn log_some(ingest: &Djaffar, count: usize, journal: &mut Journal) -> Duration {
    let started = Instant::now();
    for number in 0..count {
        let date = (shared::time::now() - TimeDelta::seconds(5)).trunc_subsecs(6);
        let path = format!("/spooled/{number}");
        let sent = Sent { id: Uuid::new_v4(), date, path, session: None, answer: Answer::Accepted };
        let request = log_request(sent.id, sent.date, &sent.path, None);
        let response = exchange(ingest.listen(), &request).await.expect("an answer");
        assert_eq!(response.status, 204, "{response:?}");
        journal.sent.push(sent);
    }
    started.elapsed()
}

#[tokio::test]
async fn an_ingest_killed_with_its_spool_loses_and_doubles_nothing() {
    let mut pipeline = pipeline("64MiB").await;
    pipeline.ingests[0].start_ready().await;
    let load = pipeline.load(16);
    for round in 0..fault_rounds() {
        load.progress(200).await;
        if round % 2 == 0 {
            pipeline.nats.kill()
        } else {
            pipeline.nats.stop().await
        }
        // Spooled, killed in the middle of it, found again by the next process and added to.
        for _ in 0..3 {
            load.progress(rand::random_range(10..300)).await;
            pipeline.ingests[0].kill();
            pipeline.ingests[0].start();
        }
        load.progress(200).await;
        pipeline.nats.start_ready().await;
        // Killed while it drains: what was acked is drained again and counts once.
        load.progress(rand::random_range(1..50)).await;
        pipeline.ingests[0].kill();
        pipeline.ingests[0].start();
    }
    load.progress(200).await;
    let journal = load.finish().await;
    emptied(&pipeline.ingests[0]).await;
    pipeline.assert_exact(&journal).await;
}

#[tokio::test]
async fn what_a_killed_ingest_has_spooled_needs_no_client_to_come_back() {
    let mut pipeline = pipeline("64MiB").await;
    pipeline.nats.stop().await;
    pipeline.ingests[0].start_ready().await;
    let load = pipeline.load(16);
    load.progress(500).await;
    pipeline.ingests[0].kill();
    let journal = load.give_up().await;
    pipeline.nats.start_ready().await;
    pipeline.ingests[0].start_ready().await;
    emptied(&pipeline.ingests[0]).await;
    pipeline.assert_exact(&journal).await;
}

#[tokio::test]
async fn an_outage_of_nats_is_answered_with_204_and_at_once() {
    let mut pipeline = pipeline("64MiB").await;
    // As at a start, as a stop, and as a server that says nothing any more.
    pipeline.nats.stop().await;
    pipeline.ingests[0].start_ready().await;
    let mut journal = Journal::default();
    // With a wait each, they would take more than twice as long.
    let limit = Duration::from_secs(10);
    let took = log_some(&pipeline.ingests[0], 20, &mut journal).await;
    assert!(took < limit, "{took:?}");
    assert_eq!(spooled(&pipeline.ingests[0], "activities").await, Some(20));
    let (status, body) = readiness(&pipeline.ingests[0]).await;
    assert!(status == 200 && body.contains(r#""spool":{"activities":20"#), "{status} {body}");
    pipeline.nats.start_ready().await;
    emptied(&pipeline.ingests[0]).await;

    pipeline.nats.signal(Signal::STOP);
    let took = log_some(&pipeline.ingests[0], 20, &mut journal).await;
    assert!(took < limit, "{took:?}");
    assert_eq!(readiness(&pipeline.ingests[0]).await.0, 200);
    pipeline.nats.signal(Signal::CONT);
    emptied(&pipeline.ingests[0]).await;

    pipeline.nats.kill();
    let took = log_some(&pipeline.ingests[0], 20, &mut journal).await;
    assert!(took < limit, "{took:?}");
    pipeline.nats.start_ready().await;
    emptied(&pipeline.ingests[0]).await;
    // New frames go to NATS again: nothing is spooled on the way.
    log_some(&pipeline.ingests[0], 5, &mut journal).await;
    let counted = || async {
        let (_, metrics) = pipeline.ingests[0].admin("/metrics").await.expect("the admin listener answers");
        let figure =
            |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        let figures =
            ["", "_spooled_total", "_drained_total"].map(|end| format!("djaffar_spool_frames{end} "));
        let [waiting, spooled, drained] = figures.map(|name| figure(&name));
        waiting == Some(0) && spooled == drained && spooled.is_some_and(|count: u64| count >= 3)
    };
    wait_until("the figures on /metrics", START_LIMIT, counted).await;
    pipeline.assert_exact(&journal).await;
}

#[tokio::test]
async fn a_full_spool_answers_503_and_drains() {
    let mut pipeline = pipeline("2MiB").await;
    pipeline.nats.stop().await;
    pipeline.ingests[0].start_ready().await;
    let load = pipeline.load(32);
    wait_until("answers 503", DRAIN_LIMIT, || async { load.told_to_retry() > 20 }).await;
    // A small frame may still find room where a large one does not.
    wait_until("a full spool", DRAIN_LIMIT, || async {
        let (status, body) = readiness(&pipeline.ingests[0]).await;
        status == 503 && body.contains("the spool is full")
    })
    .await;
    pipeline.nats.start_ready().await;
    pipeline.ingests[0].wait_ready().await;
    load.progress(500).await;
    let journal = load.finish().await;
    emptied(&pipeline.ingests[0]).await;
    pipeline.assert_exact(&journal).await;
}

#[tokio::test]
async fn a_stop_with_a_spool_is_no_success_and_drain_empties_it() {
    let mut pipeline = pipeline("64MiB").await;
    pipeline.nats.stop().await;
    pipeline.ingests[0].start_ready().await;
    let mut journal = Journal::default();
    log_some(&pipeline.ingests[0], 10, &mut journal).await;
    let status = pipeline.ingests[0].stop(STOP_LIMIT).await;
    let log = pipeline.ingests[0].log();
    assert!(
        status.code() == Some(3) && log.contains("(10 activities) that NATS has not taken"),
        "{status} {log}"
    );

    let data = pipeline.ingests[0].data_directory();
    let (queue, key) = (pipeline.nats.url(), SECRET_KEY);
    let drain = ["spool", "drain", "--queue", &queue, "--data-dir", &data];
    let refusals: [&[&str]; 2] = [
        &drain,
        &["ingest", "--queue", &queue, "--data-dir", &data, "--secret-key", key, "--listen", "127.0.0.1:0"],
    ];
    for (arguments, words) in refusals.iter().zip(["queue: ", "spool-max is 0, but the spool in"]) {
        let output = djaffar(*arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(words), "{arguments:?}: {said}");
        assert!(said.contains("(10 activities)"), "{said}");
    }
    pipeline.nats.start_ready().await;
    let said = djaffar_prints(drain);
    assert!(said.ends_with("(10 activities) drained; the spool is empty\n"), "{said}");
    assert!(djaffar_prints(drain).starts_with("0 frames"), "nothing is left");
    pipeline.ingests[0].start_ready().await;
    assert!(pipeline.ingests[0].stop(STOP_LIMIT).await.success(), "{}", pipeline.ingests[0].log());
    pipeline.assert_exact(&journal).await;
}

#[tokio::test]
async fn a_stop_drains_the_spool_into_a_queue_that_is_there() {
    let mut pipeline = pipeline("64MiB").await;
    pipeline.nats.stop().await;
    pipeline.ingests[0].start_ready().await;
    let mut journal = Journal::default();
    log_some(&pipeline.ingests[0], 10, &mut journal).await;
    pipeline.nats.start_ready().await;
    wait_until("the connection", START_LIMIT, || async {
        let (_, body) = pipeline.ingests[0].admin("/status").await.expect("the admin listener answers");
        !body.contains("\"error\"")
    })
    .await;
    assert!(pipeline.ingests[0].stop(STOP_LIMIT).await.success(), "{}", pipeline.ingests[0].log());
    pipeline.assert_exact(&journal).await;
}

/// Nothing more is promised by a process whose disk is gone; the next one finds what was synced.
#[tokio::test]
async fn a_spool_whose_disk_fails_ends_the_process() {
    let mut pipeline = pipeline("4MiB").await;
    pipeline.nats.stop().await;
    pipeline.ingests[0].start_ready().await;
    std::fs::remove_dir_all(format!("{}/spool", pipeline.ingests[0].data_directory()))
        .expect("the spool was there");
    let load = Load::start(&[pipeline.ingests[0].listen()], 16);
    // The open file takes frames to its end; the next one cannot be made.
    let status = pipeline.ingests[0].ended(DRAIN_LIMIT).await;
    let log = pipeline.ingests[0].log();
    assert!(
        status.code() == Some(1) && log.contains("the disk of the embedded queue has failed"),
        "{status} {log}"
    );
    drop(load);
}
