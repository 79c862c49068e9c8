//! Secrets print as `***`, wherever they are printed.

use djaffar_tests::free_port;
use djaffar_tests::process::Djaffar;

use crate::Run;

const SECRETS: [&str; 12] = [
    "correct-horse-battery-staple-0123456789",
    "tr0ub4dor-and-3-and-some-more-characters",
    "queue-password-5c1a",
    "database-password-77e0",
    "django-password-1f3b",
    "djangos-secret-key-with-more-than-enough-characters",
    "tokens-password-9a2c",
    "key-that-the-site-is-shown-6b1d",
    "the-issuers-secret-with-more-than-enough-characters",
    "queue-users-password-3e8d",
    "queue-token-0f4a",
    // The seed of a user that exists nowhere.
    "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
];

fn run(arguments: &[&str]) -> Run {
    Run::new(arguments)
        .variable("DJAFFAR_SECRET_KEY", SECRETS[0])
        .variable("DJAFFAR_SECRET_KEY_FALLBACKS", SECRETS[1])
        .variable("DJAFFAR_QUEUE", &format!("nats://user:{}@127.0.0.1:1", SECRETS[2]))
        .variable("DJAFFAR_DATABASE", &format!("postgres://user:{}@127.0.0.1:1/name", SECRETS[3]))
        .variable("DJAFFAR_DJANGO_DATABASE", &format!("postgres://user:{}@127.0.0.1:1/site", SECRETS[4]))
        .variable("DJAFFAR_DJANGO_SECRET_KEY", SECRETS[5])
        .variable("DJAFFAR_TOKEN_DATABASE", &format!("postgres://user:{}@127.0.0.1:1/tokens", SECRETS[6]))
        .variable("DJAFFAR_AUTH_URL", "http://127.0.0.1:1/identity/")
        .variable("DJAFFAR_AUTH_URL_KEY", SECRETS[7])
        .variable("DJAFFAR_JWT_KEY", SECRETS[8])
        .variable("DJAFFAR_JWT_ALGORITHMS", "HS256")
        .variable("DJAFFAR_TOKEN_QUERY", "select user_id from token where key = $1")
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

/// None of them is used: NATS is away, or they contradict each other.
#[tokio::test]
async fn logins_at_nats_are_not_printed() {
    let login = |setting: &str, secret: usize| (format!("--queue-{setting}"), SECRETS[secret].to_owned());
    let user = ("--queue-user".to_owned(), "anna".to_owned());
    for flags in [
        vec![user.clone(), login("password", 9)],
        vec![login("token", 10)],
        vec![login("nkey-seed", 11)],
        vec![user, login("password", 9), login("token", 10), login("nkey-seed", 11)],
        vec![login("nkey-seed", 10)],
    ] {
        for command in ["check", "status", "ingest"] {
            let flags = flags.iter().flat_map(|(flag, value)| [flag.as_str(), value.as_str()]);
            let arguments: Vec<&str> = [command].into_iter().chain(flags).collect();
            let queue = ("DJAFFAR_QUEUE", "tls://127.0.0.1:1");
            // An ingest that is not refused would wait for NATS.
            let config = if command == "ingest" { "listen = \"nowhere\"" } else { "" };
            let run = Run::new(&arguments).config(config).variable(queue.0, queue.1);
            assert_silent(&prints(run).await);
        }
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
