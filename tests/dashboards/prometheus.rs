//! Debian's Prometheus, on a port and in a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::{Djaffar, Process};
use djaffar_tests::{START_LIMIT, free_port, tools, wait_until};
use serde_json::Value;
use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct Prometheus {
    url: String,
    _process: Process,
    // Dropped after the process.
    _directory: TempDir,
}

fn program(name: &str) -> PathBuf {
    let path = tools().join("prometheus/usr/bin").join(name);
    assert!(path.exists(), "{} is missing: run tests/setup", path.display());
    path
}

/// Runs `promtool` on a file, which it must find right.
pub(crate) fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new(program("promtool")).args(arguments).arg(file).output().expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}

impl Prometheus {
    /// With the processes of a pipeline under the names of their jobs.
    pub(crate) async fn scraping(pipeline: &Pipeline, rules: &Path) -> Self {
        let job = |name: &str, processes: &[Djaffar]| {
            let targets = processes.iter().map(|process| process.admin_url("").replace("http://", ""));
            let targets = targets.collect::<Vec<_>>().join(", ");
            format!("  - job_name: {name}\n    static_configs: [{{ targets: [{targets}] }}]\n")
        };
        let jobs = job("ingest", &pipeline.ingests) + &job("writer", &pipeline.writers);
        Self::start(rules, &format!("scrape_configs:\n{jobs}")).await
    }

    /// With nothing to scrape.
    pub(crate) async fn alone(rules: &Path) -> Self {
        Self::start(rules, "").await
    }

    async fn start(rules: &Path, jobs: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\n{jobs}",
            rules.display()
        );
        fs::write(&config, text).expect("a file can be written");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program("prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::start("prometheus", &mut command, &directory.path().join("log"));
        let prometheus = Self { url: format!("http://{address}"), _process: process, _directory: directory };
        wait_until("Prometheus to have looked at every rule", START_LIMIT, || async {
            let rules = prometheus.get("/api/v1/rules", &[]).await;
            rules.is_some_and(|rules| {
                let rules = rules_in(&rules);
                !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")
            })
        })
        .await;
        prometheus
    }

    /// The series that an expression has now; it must evaluate.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.get("/api/v1/query", &[("query", expression)]).await.expect("Prometheus answers");
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn metric_names(&self) -> BTreeSet<String> {
        let answer = self.get("/api/v1/label/__name__/values", &[]).await.expect("Prometheus answers");
        let names = answer["data"].as_array().expect("a list");
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub(crate) async fn rules(&self) -> Vec<Value> {
        rules_in(&self.get("/api/v1/rules", &[]).await.expect("Prometheus answers"))
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().ok()?;
        client.get(format!("{}{path}?{}", self.url, query.join("&"))).send().await.ok()?.json().await.ok()
    }
}

fn rules_in(answer: &Value) -> Vec<Value> {
    let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
    groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect()
}
