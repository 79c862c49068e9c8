//! Clocks that jump (row 25): libfaketime moves the wall clock of our processes, not the monotonic one,
//! as a step of NTP does. The broker is a static binary and keeps the true time.

use std::path::{Path, PathBuf};

use djaffar_tests::client::Load;
use djaffar_tests::database::Database;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::Djaffar;
use tempfile::TempDir;

use crate::conclude_serve;

const JUMPS: [&str; 5] = ["+1d", "-1d", "+40d", "+0", "-2s"];

struct Clock(TempDir);

impl Clock {
    fn new() -> Self {
        let clock = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        clock.jump("+0");
        clock
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("clock")
    }

    fn jump(&self, offset: &str) {
        let half = self.0.path().join("half");
        std::fs::write(&half, offset).expect("the clock is written");
        std::fs::rename(half, self.file()).expect("the clock jumps");
    }

    fn moves(&self, process: Djaffar) -> Djaffar {
        process
            .with_variable("LD_PRELOAD", &library().display().to_string())
            .with_variable("FAKETIME_TIMESTAMP_FILE", &self.file().display().to_string())
            .with_variable("FAKETIME_NO_CACHE", "1")
            .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .with_variable("DONT_FAKE_MONOTONIC", "1")
    }
}

/// Debian's package libfaketime has it in the directory of the architecture.
fn library() -> PathBuf {
    let architectures = Path::new("/usr/lib").read_dir().expect("/usr/lib can be read").flatten();
    let mut libraries = architectures.map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    libraries.find(|path| path.exists()).expect("libfaketime is missing: run tests/setup")
}

async fn jumps(clock: &Clock, load: &Load) {
    for jump in JUMPS {
        load.progress(200).await;
        clock.jump(jump);
    }
    load.progress(200).await;
}

async fn assert_moved(database: &Database, sql: &'static str) {
    assert!(database.number(sql).await > 0, "the clock has moved");
}

#[tokio::test]
async fn a_clock_that_jumps_under_serve_loses_and_doubles_nothing() {
    let clock = Clock::new();
    let mut serve = clock.moves(Djaffar::serve());
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 16);
    jumps(&clock, &load).await;
    serve.kill();
    clock.jump("-1d");
    serve.start_ready().await;
    load.progress(100).await;
    let journal = load.finish().await;
    let test = "a_clock_that_jumps_under_serve_loses_and_doubles_nothing";
    conclude_serve(test, JUMPS.len(), &serve, &journal).await;
    let database = Database::of_serve(&serve.data_directory());
    assert_moved(&database, "select count(*) from activity where received_at > datetime('now', '+12 hours')")
        .await;
}

#[tokio::test]
async fn clocks_that_jump_in_the_split_pipeline_lose_and_double_nothing() {
    let clock = Clock::new();
    let mut pipeline = Pipeline::new();
    // The second ingest and the second writer keep the true time: replicas disagree.
    for processes in [&mut pipeline.ingests, &mut pipeline.writers] {
        let first = processes.remove(0);
        processes.insert(0, clock.moves(first));
    }
    let mut pipeline = pipeline.started().await;
    let load = pipeline.load(16);
    jumps(&clock, &load).await;
    let journal = load.finish().await;
    let test = "clocks_that_jump_in_the_split_pipeline_lose_and_double_nothing";
    pipeline.conclude(test, JUMPS.len(), &journal).await;
    let moved = "select count(*) from activity where received_at > now() + interval '12 hours'";
    assert_moved(&pipeline.database(), moved).await;
    pipeline.wait_ready().await;
}
