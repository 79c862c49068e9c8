//! The stack of `deploy/compose.yaml`, as it is, with both versions of Compose: load through its proxy while it
//! is scaled up and down and its containers are killed or rolled, then the checker.
//!
//! Where Docker is not there and cannot be started, it says so and tests nothing.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use djaffar_tests::checker::{judge, report};
use djaffar_tests::client::{Load, exchange};
use djaffar_tests::docker::Compose;
use djaffar_tests::stack::Stack;
use djaffar_tests::{START_LIMIT, wait_for, wait_until, workspace};
use serde_json::Value;

const LONG_RUNNING: [&str; 6] = ["nats", "postgres", "ingest", "writer", "proxy", "prometheus"];
/// A client's own claim, which nobody may believe.
const FORGED: &str = "198.51.100.7";

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_loses_and_doubles_nothing_while_it_is_scaled_and_killed() {
    let Some((stack, load)) = scaled_up(Compose::V2).await else { return };
    for service in ["ingest", "writer", "nats", "postgres"] {
        let killed = stack.container(service);
        stack.engine.docker(&["kill", &killed]);
        if ["ingest", "writer"].contains(&service) {
            // The others do its work.
            load.progress(200).await;
        }
        stack.engine.docker(&["start", &killed]);
        load.progress(200).await;
    }
    scale_down_and_roll(&stack, &load).await;
    assert_kept(&stack, load, "the_stack_loses_and_doubles_nothing_while_it_is_scaled_and_killed").await;
    the_clients_own_address_is_overwritten(&stack).await;
    a_stop_is_clean(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_of_compose_v1_loses_and_doubles_nothing_while_it_is_scaled() {
    let Some((stack, load)) = scaled_up(Compose::V1).await else { return };
    scale_down_and_roll(&stack, &load).await;
    assert_kept(&stack, load, "the_stack_of_compose_v1_loses_and_doubles_nothing_while_it_is_scaled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roll_keeps_an_ingest_whose_spool_holds_frames() {
    let Some(stack) = stack_or_skip(Compose::V2, Some(&recipe_of_a_spool())).await else { return };
    let load = Load::start(&[stack.proxy], 8);
    load.progress(200).await;
    let nats = stack.container("nats");
    stack.engine.docker(&["stop", &nats]);
    let old = stack.containers("ingest");
    for container in &old {
        let spooled = || async { spooled_frames(&stack, container).await.is_some_and(|frames| frames > 0) };
        wait_until("each ingest to spool", START_LIMIT, spooled).await;
    }

    let told = stack.roll("ingest").expect_err("frames are left in the spools");

    for container in &old {
        assert_eq!(stack.inspect(container, "{{.State.Status}} {{.State.ExitCode}}"), "exited 3", "{told}");
        assert!(told.contains(&stack.inspect(container, "{{slice .Name 1}}")), "{told}");
    }
    load.progress(200).await;
    // What it tells to do, word for word.
    stack.engine.docker(&["start", &nats]);
    for container in &old {
        stack.engine.docker(&["start", container]);
        let drained = || async { spooled_frames(&stack, container).await == Some(0) };
        wait_until("an ingest to drain its spool", START_LIMIT, drained).await;
        stack.engine.docker(&["stop", "-t", "20", container]);
        assert_eq!(stack.inspect(container, "{{.State.ExitCode}}"), "0");
        stack.engine.docker(&["rm", "--volumes", container]);
    }
    load.progress(200).await;

    assert_kept(&stack, load, "roll_keeps_an_ingest_whose_spool_holds_frames").await;
}

async fn stack_or_skip(version: Compose, settings: Option<&str>) -> Option<Stack> {
    let stack = Stack::up(version, settings).await;
    stack.inspect_err(|reason| eprintln!("SKIPPED, nothing of the compose stack was tested: {reason}")).ok()
}

/// As it comes, then under load with three of each.
async fn scaled_up(version: Compose) -> Option<(Stack, Load)> {
    let stack = stack_or_skip(version, None).await?;
    assert_one_builder(&stack);
    assert_confined(&stack);
    let load = Load::start(&[stack.proxy], 8);
    load.progress(500).await;
    stack.scale("ingest", 3);
    stack.scale("writer", 3);
    every_ingest_has_work(&stack, 3).await;
    wait_until("Prometheus to find all of them", START_LIMIT, || async {
        number(&stack, r#"sum(up{job="ingest"})"#).await == Some(3.0)
            && number(&stack, r#"sum(up{job="writer"})"#).await == Some(3.0)
    })
    .await;
    Some((stack, load))
}

async fn scale_down_and_roll(stack: &Stack, load: &Load) {
    stack.scale("ingest", 1);
    stack.scale("writer", 1);
    load.progress(500).await;
    every_ingest_has_work(stack, 1).await;
    for service in ["writer", "ingest"] {
        let before = stack.containers(service);
        stack.roll(service).unwrap_or_else(|told| panic!("{told}"));
        let after = stack.containers(service);
        assert!(after.len() == 1 && after != before, "{service}: {before:?} {after:?}");
        load.progress(200).await;
    }
}

async fn assert_kept(stack: &Stack, load: Load, test: &str) {
    let journal = load.finish().await;
    let figures = judge(&journal, &stack.database(), &stack.queue()).await.assert_kept();
    report(test, 1, &figures);
}

/// Versions that build services beside each other fail where an image has two makers.
fn assert_one_builder(stack: &Stack) {
    let config = stack.compose(&["config"]);
    assert_eq!(config.lines().filter(|line| line.trim() == "build:").count(), 1, "{config}");
}

/// Nobody is root, nobody may write to its image or gain a privilege, and each says how it is.
fn assert_confined(stack: &Stack) {
    for service in LONG_RUNNING {
        let container = stack.container(service);
        let said = |template: &str| stack.inspect(&container, template);
        let user = said("{{.Config.User}}");
        assert!(
            !["", "0", "root"].contains(&user.split(':').next().unwrap_or_default()),
            "{service}: {user}"
        );
        assert_eq!(said("{{.HostConfig.ReadonlyRootfs}}"), "true", "{service}");
        assert_eq!(said("{{.HostConfig.CapDrop}}"), "[ALL]", "{service}");
        assert!(said("{{.HostConfig.SecurityOpt}}").contains("no-new-privileges"), "{service}");
        assert_ne!(said("{{.HostConfig.Memory}}"), "0", "{service}");
        assert!(["healthy", "starting"].contains(&said("{{.State.Health.Status}}").as_str()), "{service}");
        let secrets = said("{{range .Config.Env}}{{println .}}{{end}}");
        assert!(!secrets.contains("PASSWORD=") && !secrets.contains("postgres://"), "{service}: {secrets}");
    }
}

/// `compose.override.yaml` as RUNBOOK.md has it.
fn recipe_of_a_spool() -> String {
    let runbook = fs::read_to_string(workspace().join("deploy/RUNBOOK.md")).expect("it is there");
    let (_, entry) = runbook.split_once("**A spool**").expect("an entry");
    let (_, recipe) = entry.split_once("```yaml\n").expect("a recipe");
    recipe.split_once("```").expect("its end").0.to_owned()
}

async fn every_ingest_has_work(stack: &Stack, count: usize) {
    let containers = stack.containers("ingest");
    assert_eq!(containers.len(), count, "{containers:?}");
    for container in containers {
        let accepted = || async { status(stack, &container).await?["ingest"]["accepted"].as_u64() };
        let before = wait_for("an ingest to answer", START_LIMIT, accepted).await;
        wait_until("an ingest to accept more", START_LIMIT, || async {
            accepted().await.is_some_and(|now| now > before)
        })
        .await;
    }
}

async fn spooled_frames(stack: &Stack, container: &str) -> Option<u64> {
    status(stack, container).await?["spool"]["frames"].as_u64()
}

async fn status(stack: &Stack, container: &str) -> Option<Value> {
    get(&format!("http://{}:8081/status", stack.address(container, "watch"))).await
}

async fn the_clients_own_address_is_overwritten(stack: &Stack) {
    let body = "date=2026-11-25T00:29:13.148Z&path=/forged/";
    let request = format!(
        "POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: {FORGED}\r\nForwarded: for={FORGED}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = exchange(stack.proxy, request.as_bytes()).await.expect("the proxy answers");
    assert_eq!(response.status, 204, "{response:?}");
    let stored = "select count(*) from activity where path = '/forged/' and ip_address is not null";
    let database = stack.database();
    wait_until("the row", START_LIMIT, || async { database.number(stored).await == 1 }).await;
    let forged = "select count(*) from activity where ip_address = '198.51.100.7'";
    assert_eq!(database.number(forged).await, 0);
}

/// SIGTERM ends both kinds of processes with exit code 0, well within `stop_grace_period`.
async fn a_stop_is_clean(stack: &Stack) {
    for service in ["ingest", "writer"] {
        let container = stack.container(service);
        stack.engine.docker(&["stop", "--time", "20", &container]);
        assert_eq!(stack.inspect(&container, "{{.State.ExitCode}}"), "0", "{service}");
    }
    // Without any ingest the proxy says what its clients must do.
    let response = wait_for("an answer without any ingest", Duration::from_secs(30), || async {
        exchange(stack.proxy, b"GET /djaffar/djaffar.js HTTP/1.1\r\nHost: example.com\r\n\r\n").await.ok()
    });
    let response = response.await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")), "{response:?}");
}

async fn number(stack: &Stack, expression: &str) -> Option<f64> {
    let SocketAddr::V4(prometheus) = stack.prometheus else { return None };
    let url = format!("http://{prometheus}/api/v1/query?query={}", encoded(expression));
    get(&url).await?["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn get(url: &str) -> Option<Value> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().ok()?;
    client.get(url).send().await.ok()?.json().await.ok()
}
