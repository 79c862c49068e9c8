//! A backlog many times larger than what a process may hold (row 28).

use std::fs;
use std::path::PathBuf;

use chrono::SubsecRound;
use djaffar_tests::batch::{Coding, batch_request};
use djaffar_tests::client::exchange;
use djaffar_tests::database::Database;
use djaffar_tests::journal::{Answer, Journal, Sent};
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::{Djaffar, peak_resident_bytes};
use djaffar_tests::rounds::is_long;
use rustix::process::Signal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use uuid::Uuid;

use crate::{PATIENCE, conclude_serve};

const MEBIBYTE: u64 = 1024 * 1024;
/// What is pulled and what is decoded of it, and the program itself.
const MEMORY_MAX: u64 = 256 * MEBIBYTE;
/// Nearly 1 MiB each: a backlog near the limit every day, and twice as large when more is asked for.
const BATCHES: [usize; 2] = [160, 600];
const ITEMS: usize = 900;

/// A cgroup that kills whoever takes more.
struct Cage(PathBuf);

impl Cage {
    /// `None`, said aloud, where no cgroup can be made.
    fn new() -> Option<Self> {
        let path = PathBuf::from(format!("/sys/fs/cgroup/memory/djaffar-test-{}", Uuid::new_v4().simple()));
        let made = fs::create_dir(&path)
            .and_then(|()| fs::write(path.join("memory.limit_in_bytes"), MEMORY_MAX.to_string()));
        if let Err(error) = made {
            println!("SKIPPED: no cgroup of memory here ({error}), so the peak is only measured");
            return None;
        }
        Some(Self(path))
    }

    fn put(&self, process: &Djaffar) {
        let id = process.id().expect("started").to_string();
        fs::write(self.0.join("cgroup.procs"), id).expect("the process can be caged");
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).ok();
    }
}

/// Activities that the process has accepted.
async fn backlog(process: &Djaffar) -> Journal {
    let mut journal = Journal::default();
    for batch in 0..BATCHES[usize::from(is_long())] {
        let item = |item| Sent {
            id: Uuid::new_v4(),
            date: shared::time::now().trunc_subsecs(6),
            path: format!("/{batch}/{item}/{}", "x".repeat(900)),
            session: None,
            answer: Answer::Accepted,
        };
        let items: Vec<Sent> = (0..ITEMS).map(item).collect();
        let request = batch_request(&items, Coding::Identity, None);
        let response = exchange(process.listen(), &request).await.expect("an answer");
        assert_eq!(response.status, 200, "{response:?}");
        journal.sent.extend(items);
    }
    journal
}

/// Starts the process in a cage where there is one; returns the cage.
fn start_caged(process: &mut Djaffar) -> Option<Cage> {
    let cage = Cage::new();
    process.start();
    if let Some(cage) = &cage {
        cage.put(process);
    }
    cage
}

fn assert_small(test: &str, process: &Djaffar) {
    let peak = peak_resident_bytes(process.id().expect("it was not killed"));
    println!("{test}: at most {} MiB resident", peak / MEBIBYTE);
    assert!(peak < MEMORY_MAX, "{} MiB", peak / MEBIBYTE);
}

#[tokio::test]
async fn serve_drains_a_backlog_larger_than_its_memory() {
    let test = "serve_drains_a_backlog_larger_than_its_memory";
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let Database::Sqlite(path) = Database::of_serve(&serve.data_directory()) else { unreachable!() };
    let options = SqliteConnectOptions::new().filename(&path);
    let mut blocker = SqliteConnection::connect_with(&options).await.expect("the database can be opened");
    sqlx::query("begin immediate").execute(&mut blocker).await.expect("the writer is locked out");
    let journal = backlog(&serve).await;
    serve.kill();
    sqlx::query("rollback").execute(&mut blocker).await.expect("the lock is released");
    drop(blocker);
    let _cage = start_caged(&mut serve);
    serve.wait_ready().await;
    conclude_serve(test, 1, &serve, &journal).await;
    assert_small(test, &serve);
    assert!(serve.stop(PATIENCE).await.success());
}

#[tokio::test]
async fn a_writer_drains_a_backlog_larger_than_its_memory() {
    let test = "a_writer_drains_a_backlog_larger_than_its_memory";
    let mut pipeline = Pipeline::new().single();
    pipeline.nats.start_ready().await;
    pipeline.ingests[0].start_ready().await;
    let journal = backlog(&pipeline.ingests[0]).await;
    pipeline.postgres.restart().await;
    let _cage = start_caged(&mut pipeline.writers[0]);
    pipeline.writers[0].wait_ready().await;
    pipeline.conclude(test, 1, &journal).await;
    assert_small(test, &pipeline.writers[0]);
    pipeline.writers[0].signal(Signal::TERM);
    assert!(pipeline.writers[0].ended(PATIENCE).await.success());
}
