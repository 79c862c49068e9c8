//! The description of the public listener, `ingest/openapi.yaml`, against the real one.
//!
//! Every answer that stands there is provoked; schemathesis then sends what fits the schemas and
//! what does not, the same requests each time. That nothing else is answered is also held by
//! `tests/bad_input`.

mod provoked;

use std::time::Duration;

use djaffar_tests::process::Djaffar;
use djaffar_tests::{tools, workspace};

/// Cut off far behind what a busy machine needs: some 20 s.
const LIMIT: Duration = Duration::from_secs(600);

#[tokio::test]
async fn schemathesis_finds_nothing() {
    // A disk that is busy with other tests shall not look like a broken server.
    let mut serve = Djaffar::serve()
        .with("--request-timeout", "120s")
        .with("--stop-timeout", "120s")
        .with("--debug-from", "127.0.0.1");
    serve.start_ready().await;
    let here = workspace().join("tests/openapi");
    let mut command = tokio::process::Command::new(tools().join("openapi/bin/st"));
    command
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .arg("run")
        .arg(workspace().join("ingest/openapi.yaml"))
        .args(["--no-color", "--url", &format!("http://{}/djaffar", serve.listen())])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", &here)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(serve.data_directory());
    let run = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, run)
        .await
        .expect("an end")
        .expect("schemathesis can be started; run tests/setup");
    let told = String::from_utf8_lossy(&output.stdout);
    // Whole bodies stand in its report.
    let told: Vec<String> = told.lines().map(|line| line.chars().take(500).collect()).collect();
    let told = told.join("\n");
    println!("{told}");
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Operations:       10 selected / 10 total"), "it has not read the description");
}
