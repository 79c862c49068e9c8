//! What shells and containers ask of the command.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use djaffar_tests::free_port;
use djaffar_tests::process::Djaffar;

use crate::Run;

#[tokio::test]
async fn completions_know_the_commands_and_their_settings() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Run::new(&["completions", shell]).succeeds().await;
        for word in ["dead-letters", "completions", "health", "session-cookie-samesite", "lax"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    let refusal = Run::new(&["completions", "tcsh"]).refusal().await;
    assert!(refusal.contains("bash") && refusal.contains("fish"), "{refusal}");
}

/// The shell itself reads them, and completes with them.
#[tokio::test]
async fn bash_completes_a_command() {
    let script = Run::new(&["completions", "bash"]).succeeds().await;
    let asked =
        "COMP_WORDS=(djaffar compl); COMP_CWORD=1; _djaffar djaffar compl djaffar; echo \"${COMPREPLY[@]}\"";
    let output =
        Command::new("bash").args(["-c", &format!("{script}\n{asked}")]).stdin(Stdio::null()).output();
    let output = output.expect("bash starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "completions", "{output:?}");
}

#[tokio::test]
async fn health_is_that_of_the_process_on_the_admin_listener() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let url = serve.admin_url("");
    assert_eq!(Run::new(&["health", &url]).succeeds().await, "ready\n");
    let listen = url.trim_start_matches("http://").replace("127.0.0.1", "0.0.0.0");
    let ready = Run::new(&["health"]).variable("DJAFFAR_ADMIN_LISTEN", &listen).succeeds().await;
    assert_eq!(ready, "ready\n");
    // A writer without its queue runs and is not ready.
    let nobody = format!("nats://{}:{}", Ipv4Addr::LOCALHOST, free_port());
    let database = format!("sqlite:{}/rows.sqlite3", serve.data_directory());
    let mut writer = Djaffar::writer(&nobody, &database);
    writer.start();
    djaffar_tests::wait_until("the writer to answer", djaffar_tests::START_LIMIT, || async {
        writer.admin("/livez").await.is_some()
    })
    .await;
    let output = Run::new(&["health", &writer.admin_url("")]).output().await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), said.contains("nats: ")), (Some(1), true), "{said}");
    let output = Run::new(&["health", &format!("http://127.0.0.1:{}", free_port())]).output().await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), said.contains("is the process running")), (Some(1), true), "{said}");
}
