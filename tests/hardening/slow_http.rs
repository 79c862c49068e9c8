//! slowhttptest against the shipped program: slow headers, slow bodies, slow reading.
//!
//! The slow connections end in the server's time, not in the tool's, and whoever
//! has something to say is answered all the while.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use djaffar_tests::client::{exchange, log_request};
use djaffar_tests::process::{Djaffar, Process};
use djaffar_tests::wait_until;
use shared::lifecycle::{OwnedTask, spawn_owned};
use uuid::Uuid;

use crate::LIMIT;

const CONNECTIONS: u64 = 100;
/// Longer than any of the server's timeouts by far.
const TOOL_SECONDS: &str = "600";

/// Somebody who logs one request after another and is answered 204 each time.
struct Visitor {
    answered: Arc<AtomicU64>,
    is_leaving: Arc<AtomicBool>,
    task: OwnedTask<()>,
}

impl Visitor {
    fn of(serve: &Djaffar) -> Self {
        let (answered, is_leaving) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let address = serve.listen();
        let task = spawn_owned({
            let (answered, is_leaving) = (Arc::clone(&answered), Arc::clone(&is_leaving));
            async move {
                while !is_leaving.load(Ordering::Relaxed) {
                    let request = log_request(Uuid::new_v4(), shared::time::now(), "/visit", None);
                    let response = exchange(address, &request).await.expect("an answer");
                    assert_eq!(response.status, 204, "{response:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { answered, is_leaving, task }
    }

    async fn is_answered_more(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        wait_until("answers to the visitor", LIMIT, || async {
            self.answered.load(Ordering::Relaxed) >= before + 10
        })
        .await;
    }

    async fn leave(self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.task.join().await.expect("every answer was 204");
    }
}

async fn serve() -> Djaffar {
    let mut serve = Djaffar::serve()
        .with("--header-timeout", "5s")
        .with("--body-timeout", "5s")
        .with("--idle-timeout", "10s")
        .with("--write-timeout", "5s")
        // However slow the disk of this machine is.
        .with("--request-timeout", "60s")
        .with("--stop-timeout", "60s");
    serve.start_ready().await;
    serve
}

fn slowhttptest(serve: &Djaffar, page: &str, mode: &[&str], log: &Path) -> Process {
    let mut command = Command::new("slowhttptest");
    command.args(mode).args(["-c", "100", "-r", "100", "-i", "1", "-l", TOOL_SECONDS, "-p", "100"]);
    command.arg("-u").arg(format!("http://{}/djaffar/{page}", serve.listen()));
    Process::start("slowhttptest", &mut command, log)
}

async fn connections(serve: &Djaffar) -> u64 {
    let (_, metrics) = serve.admin("/metrics").await.expect("the admin listener answers");
    let line = metrics.lines().find_map(|line| line.strip_prefix("djaffar_ingest_connections_open "));
    line.expect("a gauge").parse().expect("a number")
}

/// Until the tool has no connection left, and says so.
async fn ends_by_the_server(page: &str, mode: &[&str]) {
    let serve = serve().await;
    let visitor = Visitor::of(&serve);
    visitor.is_answered_more().await;
    let directory = tempfile::tempdir().expect("a directory");
    let mut tool = slowhttptest(&serve, page, mode, &directory.path().join("log"));
    visitor.is_answered_more().await;
    let status = tool.ended(LIMIT).await;
    let said = tool.log();
    assert!(status.success(), "{status}: {said}");
    assert!(said.contains("No open connections left"), "the server has kept connections: {said}");
    assert!(!said.contains("Connection refused"), "{said}");
    visitor.is_answered_more().await;
    visitor.leave().await;
}

#[tokio::test]
async fn slow_headers() {
    ends_by_the_server("log/", &["-H"]).await;
}

#[tokio::test]
async fn slow_bodies() {
    ends_by_the_server("log/", &["-B", "-t", "POST", "-s", "60000"]).await;
}

/// What the kernel has taken of an answer, the tool goes on reading without a connection to the server.
#[tokio::test]
async fn slow_reading() {
    let serve = serve().await;
    let visitor = Visitor::of(&serve);
    visitor.is_answered_more().await;
    let directory = tempfile::tempdir().expect("a directory");
    let mode = ["-X", "-k", "10", "-w", "10", "-y", "20", "-n", "5", "-z", "8"];
    let mut tool = slowhttptest(&serve, "djaffar.js", &mode, &directory.path().join("log"));
    wait_until("the slow readers", LIMIT, || async { connections(&serve).await >= CONNECTIONS / 5 }).await;
    visitor.is_answered_more().await;
    wait_until("the slow readers to be ended", LIMIT, || async { connections(&serve).await <= 2 }).await;
    assert!(tool.is_running(), "the server has ended them, not the tool: {}", tool.log());
    visitor.is_answered_more().await;
    visitor.leave().await;
    tool.kill();
}
