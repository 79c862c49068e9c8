//! `deploy/nats-accounts.conf`: the split pipeline works with it as it is, and nobody may do more.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use djaffar_tests::journal::Journal;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::pipeline::SECRET_KEY;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::{Djaffar, djaffar};
use djaffar_tests::{START_LIMIT, wait_until};
use tokio::sync::mpsc;

use crate::log;

const PASSWORDS: [(&str, &str); 4] = [
    ("NATS_INGEST_PASSWORD", "ingests-5c1a"),
    ("NATS_WRITER_PASSWORD", "writers-77e0"),
    ("NATS_LOOK_PASSWORD", "looks-1f3b"),
    ("NATS_ADMIN_PASSWORD", "admins-9a2c"),
];

fn password(user: &str) -> &'static str {
    let variable = format!("NATS_{}_PASSWORD", user.to_uppercase());
    PASSWORDS.iter().find(|(name, _)| *name == variable).expect("a user of the file").1
}

async fn server() -> NatsServer {
    let mut server = NatsServer::of_deploy("nats-accounts.conf", &PASSWORDS);
    server.start_ready().await;
    server
}

fn flags(user: &str) -> [String; 6] {
    let prefix = format!("_INBOX_{user}");
    ["--queue-user", user, "--queue-password", password(user), "--queue-inbox-prefix", &prefix]
        .map(str::to_owned)
}

fn as_user(djaffar: Djaffar, user: &str) -> Djaffar {
    let [flag, name, password_flag, password, prefix_flag, prefix] = flags(user);
    djaffar.with(&flag, name).with(&password_flag, password).with(&prefix_flag, prefix)
}

/// Exit code and what is printed.
fn looked(command: &[&str], server: &NatsServer, more: &[&str]) -> (Option<i32>, String) {
    let url = server.url();
    let mut arguments: Vec<String> = command.iter().map(ToString::to_string).collect();
    arguments.extend(["--queue".to_owned(), url]);
    arguments.extend(flags("look"));
    arguments.extend(more.iter().map(ToString::to_string));
    let output = djaffar(arguments);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

struct Intruder {
    client: Client,
    complaints: mpsc::UnboundedReceiver<String>,
}

impl Intruder {
    async fn new(server: &NatsServer, user: &str) -> Self {
        let (sender, complaints) = mpsc::unbounded_channel();
        let options = ConnectOptions::with_user_and_password(user.to_owned(), password(user).to_owned())
            .custom_inbox_prefix(format!("_INBOX_{user}"))
            .request_timeout(Some(Duration::from_secs(60)))
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    // Nobody listens any more at the end of the test.
                    sender.send(error.to_string()).ok();
                }
                std::future::ready(())
            });
        Self { client: options.connect(server.url()).await.expect("a known user"), complaints }
    }

    /// What the server says about a publish.
    async fn is_forbidden(&mut self, subject: &str) {
        self.client.publish(subject.to_owned(), "{}".into()).await.expect("sent");
        self.client.flush().await.expect("sent");
        self.hears(subject).await;
    }

    async fn is_not_told(&mut self, subject: &str) {
        let _subscription = self.client.subscribe(subject.to_owned()).await.expect("sent");
        self.client.flush().await.expect("sent");
        self.hears(subject).await;
    }

    async fn hears(&mut self, subject: &str) {
        let said =
            tokio::time::timeout(START_LIMIT, self.complaints.recv()).await.expect(subject).expect(subject);
        let said = said.to_lowercase();
        assert!(
            said.contains("permissions violation") && said.contains(&subject.to_lowercase()),
            "{subject}: {said}"
        );
    }
}

#[tokio::test]
async fn the_split_pipeline_works_with_the_sample_and_nobody_may_do_more() {
    let nats = server().await;
    let postgres = Postgres::start().await;
    let database = postgres.first_database();

    // Who looks makes nothing.
    for _ in 0..2 {
        let (code, said) = looked(&["check", "--role", "writer"], &nats, &["--database", &database]);
        assert!(code == Some(0) && said.contains("the stream DJAFFAR does not exist yet"), "{said}");
    }
    let (_, said) = looked(&["status"], &nats, &["--database", &database]);
    assert!(said.contains("the stream DJAFFAR does not exist yet: ingest or writer creates it"), "{said}");

    let mut writer = as_user(Djaffar::writer(&nats.url(), &database), "writer");
    let mut ingest = as_user(Djaffar::ingest(&nats.url(), SECRET_KEY), "ingest");
    ingest.start_ready().await;
    assert_eq!(log(&ingest, "before/the/writer/").await, Some(204));
    let held = looked(&["check", "--role", "writer"], &nats, &["--database", &database]);
    assert!(held.0 == Some(0) && held.1.contains("queue reached: 1 frames"), "{held:?}");
    let context = async_nats::jetstream::new(Intruder::new(&nats, "admin").await.client);
    let messages = async || {
        let stream = context.get_stream("DJAFFAR").await.expect("the stream");
        stream.cached_info().state.messages
    };
    assert_eq!(messages().await, 1);

    // The ingest neither reads nor removes what waits, nor listens to what others are told.
    let mut intruder = Intruder::new(&nats, "ingest").await;
    for subject in [
        "$JS.API.STREAM.MSG.GET.DJAFFAR",
        "$JS.API.DIRECT.GET.DJAFFAR",
        "$JS.API.STREAM.PURGE.DJAFFAR",
        "$JS.API.STREAM.DELETE.DJAFFAR",
        "$JS.API.STREAM.UPDATE.DJAFFAR",
        "$JS.API.STREAM.MSG.DELETE.DJAFFAR",
        "$JS.API.CONSUMER.CREATE.DJAFFAR.thief",
        "$JS.API.CONSUMER.MSG.NEXT.DJAFFAR.djaffar-writer",
        "$JS.API.CONSUMER.DELETE.DJAFFAR.djaffar-writer",
        "$JS.ACK.DJAFFAR.djaffar-writer.1.1.1.1.0",
    ] {
        intruder.is_forbidden(subject).await;
    }
    for subject in ["djaffar.frames.>", "_INBOX_writer.>", "_INBOX.>", ">"] {
        intruder.is_not_told(subject).await;
    }
    // The writer publishes no frames, and changes no stream.
    let mut intruder = Intruder::new(&nats, "writer").await;
    for subject in [
        "djaffar.frames.0",
        "$JS.API.STREAM.PURGE.DJAFFAR",
        "$JS.API.STREAM.DELETE.DJAFFAR",
        "$JS.API.STREAM.UPDATE.DJAFFAR",
        "$JS.API.CONSUMER.CREATE.DJAFFAR.thief",
    ] {
        intruder.is_forbidden(subject).await;
    }
    let mut intruder = Intruder::new(&nats, "look").await;
    for subject in ["djaffar.frames.0", "$JS.API.STREAM.CREATE.DJAFFAR", "$JS.API.STREAM.MSG.GET.DJAFFAR"] {
        intruder.is_forbidden(subject).await;
    }
    assert_eq!(messages().await, 1);

    writer.start_ready().await;
    let load = djaffar_tests::client::Load::start(&[ingest.listen()], 4);
    load.progress(200).await;
    let journal: Journal = load.finish().await;
    assert!(journal.accepted() >= 200);
    wait_until("an empty stream", START_LIMIT, || async { messages().await == 0 }).await;
    let listeners = format!("{},{}", ingest.admin_url(""), writer.admin_url(""));
    let (code, said) = looked(&["status"], &nats, &["--database", &database, "--admin", &listeners]);
    assert!(code == Some(0) && said.contains("queue          nats: 0 frames"), "{said}");
    assert_eq!(said.matches(": holds").count(), 2, "{said}");
    // Nothing that they do in their work is forbidden to them.
    for (name, log) in [("ingest", ingest.log()), ("writer", writer.log())] {
        assert!(!log.to_lowercase().contains("permissions violation"), "{name}: {log}");
    }
}

#[tokio::test]
async fn what_the_server_forbids_is_a_reason_and_not_a_riddle() {
    let nats = server().await;
    let mut ingest = as_user(Djaffar::ingest(&nats.url(), SECRET_KEY).with("--stream", "OTHER"), "ingest");
    ingest.start();
    crate::wait_for_red(&ingest, "deploy/nats-accounts.conf").await;
    assert!(ingest.log().to_lowercase().contains("permissions violation"), "{}", ingest.log());
}
