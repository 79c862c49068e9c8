//! Requests per second of verified users against anonymous ones.

use std::path::Path;
use std::process::Command;

use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::Djaffar;
use serde::Deserialize;
use tempfile::TempDir;

use crate::effort;
use crate::machine::cpu_seconds;
use crate::report::{Report, Target, median, or_dash, ratios, spread, thousands};
use crate::servers;
use crate::wrk::{self, Load, Measured, Visitor};

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
const CONNECTIONS: u32 = 64;
const USERS: usize = 1000;
const TARGET: Target = Target::AtLeast(0.85);
/// Those of `site.py`.
const JWT_KEY: &str = "the key of the benchmark's JSON Web Tokens";
const SITE_KEY: &str = "the secret key of the benchmark's site";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Anonymous,
    Session,
    Token,
    Jwt,
    SessionCold,
    TokenCold,
    JwtCold,
}

const VARIANTS: [Variant; 7] = [
    Variant::Anonymous,
    Variant::Session,
    Variant::Token,
    Variant::Jwt,
    Variant::SessionCold,
    Variant::TokenCold,
    Variant::JwtCold,
];

/// What one of the site's users sends.
#[derive(Debug, Deserialize)]
struct User {
    session: String,
    token: String,
    jwt: String,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Session => "Django session",
            Self::Token => "token of Django REST framework",
            Self::SessionCold => "Django session, looked up for each request",
            Self::Jwt => "JSON Web Token, HS256",
            Self::TokenCold => "token, looked up for each request",
            Self::JwtCold => "JSON Web Token, verified for each request",
        }
    }

    fn is_cold(self) -> bool {
        matches!(self, Self::SessionCold | Self::TokenCold | Self::JwtCold)
    }

    fn target(self) -> Option<Target> {
        matches!(self, Self::Session | Self::Token | Self::Jwt).then_some(TARGET)
    }

    fn visitor(self, user: &User) -> Visitor {
        // A page of the site itself, so that the session needs no CSRF token.
        let own = ("Sec-Fetch-Site", "same-origin".to_owned());
        match self {
            Self::Anonymous => Visitor(vec![own]),
            Self::Session | Self::SessionCold => {
                Visitor(vec![own, ("Cookie", format!("sessionid={}", user.session))])
            }
            Self::Token | Self::TokenCold => {
                Visitor(vec![own, ("Authorization", format!("Token {}", user.token))])
            }
            Self::Jwt | Self::JwtCold => {
                Visitor(vec![own, ("Authorization", format!("Bearer {}", user.jwt))])
            }
        }
    }
}

struct Site {
    directory: TempDir,
    users: Vec<User>,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = Command::new(djaffar_tests::tools().join("django/bin/python"))
            .arg(djaffar_tests::workspace().join("tests/bench/site.py"))
            .arg(directory.path().join("site.sqlite3"))
            .arg(USERS.to_string())
            .output()
            .expect("Python starts: tests/setup installs Django");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).expect("UTF-8");
        let users = lines.lines().map(|line| serde_json::from_str(line).expect("a user")).collect();
        Self { directory, users }
    }

    /// An ingest that believes this site, on a queue of its own.
    async fn ingest(&self, variant: Variant, nats: &NatsServer) -> Djaffar {
        let database = self.directory.path().join("site.sqlite3");
        let ingest = servers::ingest(nats)
            .with("--django-database", format!("sqlite:{}", database.display()))
            .with("--django-secret-key", SITE_KEY)
            .with("--token-preset", "drf")
            .with("--jwt-algorithms", "HS256")
            .with("--jwt-key", JWT_KEY)
            // Nobody's first visit is measured.
            .with("--django-sessions-per-second", 0);
        let mut ingest = if variant.is_cold() { ingest.with("--identity-cache-time", "1ms") } else { ingest };
        ingest.start_ready().await;
        ingest
    }

    async fn measure(&self, variant: Variant, directory: &Path) -> Round {
        let mut nats = NatsServer::with_jetstream("sync_interval: 2m");
        nats.start_ready().await;
        let ingest = self.ingest(variant, &nats).await;
        let visitors: Vec<_> = self.users.iter().map(|user| variant.visitor(user)).collect();
        let process = ingest.id().expect("it runs");
        let before = cpu_seconds(process);
        let load =
            Load { target: ingest.listen(), connections: CONNECTIONS, seconds: effort::seconds(SECONDS) };
        let measured = wrk::run(load, &visitors, directory).await;
        Round { measured, cpu_micros: (cpu_seconds(process) - before) * 1e6 / measured.requests }
    }
}

struct Round {
    measured: Measured,
    cpu_micros: f64,
}

pub(crate) async fn run(report: &mut Report) {
    report.heading("Verified users");
    report.table(&[
        &format!("{CONNECTIONS} connections, {USERS} users"),
        "requests/s",
        "ratio",
        "target",
        "p99 ms",
        "CPU µs/request",
    ]);
    let site = Site::new();
    let scripts = tempfile::tempdir().expect("a temporary directory");
    let mut rounds: [Vec<Round>; VARIANTS.len()] = Default::default();
    for _ in 0..effort::rounds(ROUNDS) {
        for (variant, rounds) in VARIANTS.iter().zip(&mut rounds) {
            rounds.push(site.measure(*variant, scripts.path()).await);
        }
    }
    for (variant, measured) in VARIANTS.iter().zip(&rounds) {
        row(report, *variant, measured, &rounds[0]);
    }
    report.line("");
    report.line(
        "`djaffar ingest` on JetStream with default sync, where ingest itself counts for most; the site's database \
         is SQLite. Answers are remembered for 30 s, or, looked up for each request, for 1 ms.",
    );
}

fn row(report: &mut Report, variant: Variant, rounds: &[Round], anonymous: &[Round]) {
    let each = |value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<f64>>();
    let rate = |round: &Round| round.measured.requests_per_second;
    let rates = each(rate);
    let ratios = ratios(&rates, &anonymous.iter().map(rate).collect::<Vec<f64>>());
    let target = variant.target().map(|target| {
        report.judge(format!("verified users: {}", variant.name()), median(&ratios), "", target)
    });
    report.row([
        variant.name().to_owned(),
        thousands(median(&rates)),
        spread(&ratios, 2),
        or_dash(target),
        format!("{:.1}", median(&each(|round| round.measured.p99_milliseconds))),
        format!("{:.1}", median(&each(|round| round.cpu_micros))),
    ]);
}
