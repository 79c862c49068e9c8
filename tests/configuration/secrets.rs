//! Secrets print as `***`, wherever they are printed.

use djaffar_tests::free_port;
use djaffar_tests::process::Djaffar;

use crate::Run;

const SECRETS: [&str; 4] = [
    "correct-horse-battery-staple-0123456789",
    "tr0ub4dor-and-3-and-some-more-characters",
    "queue-password-5c1a",
    "database-password-77e0",
];

fn run(arguments: &[&str]) -> Run {
    Run::new(arguments)
        .variable("DJAFFAR_SECRET_KEY", SECRETS[0])
        .variable("DJAFFAR_SECRET_KEY_FALLBACKS", SECRETS[1])
        .variable("DJAFFAR_QUEUE", &format!("nats://user:{}@127.0.0.1:1", SECRETS[2]))
        .variable("DJAFFAR_DATABASE", &format!("postgres://user:{}@127.0.0.1:1/name", SECRETS[3]))
}

fn assert_silent(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "a secret is printed: {text}");
    }
}

async fn prints(run: Run) -> String {
    let output = run.output().await;
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn help_refusals_and_check_do_not_print_secrets() {
    for command in ["serve", "ingest", "writer", "check", "status", "migrate"] {
        let help = prints(run(&[command, "--help"])).await;
        assert!(help.contains("DJAFFAR_") && !help.contains("127.0.0.1:1]"), "{help}");
        assert_silent(&help);
    }
    for arguments in [
        &["serve", "--listen", "nowhere"][..],
        &["check"],
        &["check", "--role", "ingest"],
        &["check", "--role", "writer"],
        &["status"],
        &["migrate"],
        &["dump", "activity"],
    ] {
        assert_silent(&prints(run(arguments)).await);
    }
}

/// A secret in the wrong place is still a secret.
#[tokio::test]
async fn refused_secrets_are_not_repeated() {
    let secret = SECRETS[3];
    for (flag, value) in [
        ("--database", format!("mysql://user:{secret}@127.0.0.1/name")),
        ("--database", format!("postgres://user:{secret}:1@[/name")),
        ("--queue", format!("kafka://user:{secret}@127.0.0.1")),
    ] {
        assert_silent(&Run::new(&["serve", flag, &value]).refusal().await);
    }
    let unclosed = format!("database = \"postgres://user:{secret}@127.0.0.1/name\nlisten = \"a\"");
    assert_silent(&Run::new(&["serve"]).config(&unclosed).refusal().await);
}

#[tokio::test]
async fn a_running_process_does_not_log_secrets() {
    let database = format!("postgres://user:{}@127.0.0.1:{}/name", SECRETS[3], free_port());
    let mut serve = Djaffar::serve()
        .with("--secret-key", SECRETS[0])
        .with("--secret-key-fallbacks", SECRETS[1])
        .with("--database", database)
        .with("--log-level", "trace");
    serve.start();
    crate::start::wait_for_reason(&serve, "store").await;
    for page in ["/status", "/metrics", "/readyz"] {
        let (_, text) = serve.admin(page).await.expect("the admin listener answers");
        assert_silent(&text);
    }
    assert_silent(&serve.log());
}
