//! The dashboards and alerts of `deploy/`, in a real Prometheus that scrapes a real pipeline: every
//! metric that they name exists, every expression evaluates, every panel shows something, and every
//! alert has its entry in the runbook.

mod pipeline;
mod prometheus;

use std::collections::BTreeSet;
use std::fs;

use djaffar_tests::{START_LIMIT, wait_until, workspace};
use serde_json::Value;

use crate::pipeline::busy_pipeline;
use crate::prometheus::{Prometheus, promtool};

/// What each entry of the runbook tells.
const PARTS: [&str; 3] = ["**Means.**", "**Look at.**", "**Do.**"];

fn deploy(path: &str) -> std::path::PathBuf {
    workspace().join("deploy").join(path)
}

/// Title and expression of every target of every dashboard.
fn panel_expressions() -> Vec<(String, String)> {
    let sources = fs::read_to_string(deploy("grafana/provisioning/datasources/prometheus.yaml"));
    let sources = sources.expect("the data source is there");
    let mut expressions = Vec::new();
    for entry in fs::read_dir(deploy("grafana/dashboards")).expect("the dashboards are there") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a dashboard can be read");
        let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        for panel in dashboard["panels"].as_array().expect("it has panels") {
            let title = panel["title"].as_str().expect("a panel has a title");
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().expect("a target has an expression");
                let source = target["datasource"]["uid"].as_str().expect("a target has a data source");
                assert!(
                    sources.contains(&format!("uid: {source}\n")),
                    "{title}: {source} is not provisioned"
                );
                // Grafana puts in at least four scrapes.
                expressions.push((title.to_owned(), expression.replace("$__rate_interval", "20s")));
            }
        }
    }
    assert!(expressions.len() > 30, "{expressions:?}");
    expressions
}

/// Names of the metrics in an expression.
fn metrics(expression: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = expression.split(|character| !is_name(character));
    words.filter(|word| word.starts_with("djaffar_") || *word == "up").map(str::to_owned).collect()
}

#[test]
fn promtool_finds_the_rules_right_and_they_fire_when_they_should() {
    promtool(&["check", "rules"], &deploy("prometheus/alerts.yml"));
    promtool(&["check", "config"], &deploy("prometheus/prometheus.yml"));
    promtool(&["test", "rules"], &workspace().join("tests/dashboards/alerts_test.yml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_and_every_alert_lives_on_metrics_that_exist() {
    let pipeline = busy_pipeline().await;
    let prometheus = Prometheus::scraping(&pipeline, &deploy("prometheus/alerts.yml")).await;
    for (title, expression) in panel_expressions() {
        // Some need two scrapes, some the first look at the database.
        let what = format!("the panel {title} to show {expression}");
        wait_until(&what, START_LIMIT, || async { !prometheus.query(&expression).await.is_empty() }).await;
    }
    let known = prometheus.metric_names().await;
    for rule in prometheus.rules().await {
        assert_eq!((rule["health"].as_str(), rule["lastError"].as_str()), (Some("ok"), None), "{rule}");
        let expression = rule["query"].as_str().expect("a rule has an expression");
        let named = metrics(expression);
        assert!(!named.is_empty(), "{expression}");
        for metric in named {
            assert!(known.contains(&metric), "{metric} of {} does not exist", rule["name"]);
        }
    }
    for (title, expression) in panel_expressions() {
        for metric in metrics(&expression) {
            assert!(known.contains(&metric), "{metric} of the panel {title} does not exist");
        }
    }
}

#[tokio::test]
async fn every_alert_has_its_entry_in_the_runbook() {
    let runbook = fs::read_to_string(deploy("RUNBOOK.md")).expect("the runbook is there");
    let prometheus = Prometheus::alone(&deploy("prometheus/alerts.yml")).await;
    let rules = prometheus.rules().await;
    assert!(rules.len() >= 10, "{rules:?}");
    let mut names = BTreeSet::new();
    for rule in rules {
        let name = rule["name"].as_str().expect("an alert has a name").to_owned();
        let anchor = format!("deploy/RUNBOOK.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook"].as_str(), Some(anchor.as_str()), "{name}");
        let (_, entry) =
            runbook.split_once(&format!("\n### {name}\n")).unwrap_or_else(|| panic!("no {name}"));
        let entry = entry.split("\n#").next().unwrap_or_default();
        for part in PARTS {
            assert!(entry.contains(part), "the entry of {name} lacks {part}");
        }
        names.insert(name);
    }
    // No entry for an alert that is gone.
    for heading in runbook.lines().filter_map(|line| line.strip_prefix("### Djaffar")) {
        assert!(names.contains(&format!("Djaffar{heading}")), "{heading} is no alert");
    }
}

#[test]
fn the_metrics_of_an_expression_are_found() {
    let expression = r#"sum(rate(djaffar_a_total{reason="x"}[1m])) / up + vector(0)"#;
    assert_eq!(metrics(expression), BTreeSet::from(["djaffar_a_total".to_owned(), "up".to_owned()]));
}
