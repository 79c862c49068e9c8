//! A flag beats the environment, the environment beats the file.

use crate::Run;

const BAD: &str = "listen = \"nowhere\"";
const GOOD: &str = "listen = \"127.0.0.1:8080\"";

fn check() -> Run {
    Run::new(&["check", "--config-only"])
}

fn check_with_flag(value: &str) -> Run {
    Run::new(&["check", "--config-only", "--listen", value])
}

/// The value in force is the one that is refused when it is bad, and that mends when it is good.
#[tokio::test]
async fn flag_over_environment_over_file() {
    let sentence = check().config(BAD).refusal().await;
    assert!(sentence.starts_with("`listen` in djaffar.toml"), "{sentence}");
    check().config(BAD).variable("DJAFFAR_LISTEN", "127.0.0.1:8080").succeeds().await;
    check_with_flag("127.0.0.1:8080").config(BAD).succeeds().await;

    let sentence = check().config(GOOD).variable("DJAFFAR_LISTEN", "nowhere").refusal().await;
    assert!(sentence.starts_with("DJAFFAR_LISTEN:"), "{sentence}");
    check_with_flag("127.0.0.1:8080").variable("DJAFFAR_LISTEN", "nowhere").succeeds().await;

    let variable = ("DJAFFAR_LISTEN", "127.0.0.1:8080");
    let sentence = check_with_flag("nowhere").config(GOOD).variable(variable.0, variable.1).refusal().await;
    assert!(sentence.starts_with("--listen:"), "{sentence}");
}

#[tokio::test]
async fn the_environment_may_name_the_file() {
    let run = check().file("other.toml", BAD).variable("DJAFFAR_CONFIG", "other.toml");
    let sentence = run.refusal().await;
    assert!(sentence.starts_with("`listen` in other.toml"), "{sentence}");
}

#[tokio::test]
async fn keys_may_have_underscores_and_lists() {
    let text = "trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]\nsession_expire_at_browser_close = true";
    check().config(text).succeeds().await;
    let sentence = check().config("trusted_proxies = [\"10.0.0.0/8\", \"no\"]").refusal().await;
    assert!(sentence.contains("trusted-proxies"), "{sentence}");
}

#[tokio::test]
async fn a_file_may_be_shared_by_commands() {
    let text =
        "listen = \"127.0.0.1:1\"\nqueue = \"nats://127.0.0.1:1\"\ndatabase = \"postgres://127.0.0.1:1/a\"";
    Run::new(&["check", "--config-only", "--role", "writer"]).config(text).succeeds().await;
}

#[tokio::test]
async fn a_secret_may_stand_in_a_file_of_its_own() {
    let run = Run::new(&["check", "--config-only", "--role", "ingest", "--queue-file", "queue"]);
    let run = run.file("queue", "nats://u:p@127.0.0.1:1\n").file("key", "0123456789abcdef0123456789abcdef\n");
    run.variable("DJAFFAR_SECRET_KEY_FILE", "key").succeeds().await;
}

#[tokio::test]
async fn variables_of_kubernetes_are_not_settings() {
    let run =
        check().variable("DJAFFAR_SERVICE_HOST", "10.0.0.1").variable("DJAFFAR_PORT", "tcp://10.0.0.1:80");
    run.variable("DJAFFAR_PORT_80_TCP_ADDR", "10.0.0.1").succeeds().await;
}
