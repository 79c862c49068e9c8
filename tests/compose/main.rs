//! The stack of `deploy/compose.yaml`, as it is: load through its proxy while it is scaled up and
//! down and its containers are killed, then the checker.
//!
//! Where Docker is not there and cannot be started, it says so and tests nothing.

use std::net::SocketAddr;
use std::time::Duration;

use djaffar_tests::checker::{judge, report};
use djaffar_tests::client::{Load, exchange};
use djaffar_tests::stack::Stack;
use djaffar_tests::{START_LIMIT, wait_for, wait_until};
use serde_json::Value;

const LONG_RUNNING: [&str; 6] = ["nats", "postgres", "ingest", "writer", "proxy", "prometheus"];
/// A client's own claim, which nobody may believe.
const FORGED: &str = "198.51.100.7";

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_loses_and_doubles_nothing_while_it_is_scaled_and_killed() {
    let stack = match Stack::up().await {
        Ok(stack) => stack,
        Err(reason) => return eprintln!("SKIPPED, nothing of the compose stack was tested: {reason}"),
    };
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

    stack.scale("ingest", 1);
    stack.scale("writer", 1);
    load.progress(500).await;
    every_ingest_has_work(&stack, 1).await;

    for service in ["writer", "ingest"] {
        let before = stack.containers(service);
        stack.roll(service);
        let after = stack.containers(service);
        assert!(after.len() == 1 && after != before, "{service}: {before:?} {after:?}");
        load.progress(200).await;
    }

    let journal = load.finish().await;
    let figures = judge(&journal, &stack.database(), &stack.queue()).await.assert_kept();
    report("the_stack_loses_and_doubles_nothing_while_it_is_scaled_and_killed", 1, &figures);

    the_clients_own_address_is_overwritten(&stack).await;
    a_stop_is_clean(&stack).await;
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

async fn every_ingest_has_work(stack: &Stack, count: usize) {
    let containers = stack.containers("ingest");
    assert_eq!(containers.len(), count, "{containers:?}");
    for container in containers {
        let url = format!("http://{}:8081/status", stack.address(&container, "watch"));
        let accepted = || async { get(&url).await?["ingest"]["accepted"].as_u64() };
        let before = wait_for("an ingest to answer", START_LIMIT, accepted).await;
        wait_until("an ingest to accept more", START_LIMIT, || async {
            accepted().await.is_some_and(|now| now > before)
        })
        .await;
    }
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
