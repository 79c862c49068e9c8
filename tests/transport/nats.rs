//! TLS to nats-server.

use djaffar_tests::certificates::{Authority, Certified};
use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::Djaffar;

use crate::{KEY, assert_carries, assert_refused, text};

const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

async fn server(certified: &Certified, more: &str) -> NatsServer {
    let (certificate, key) = (text(&certified.certificate), text(&certified.key));
    let mut server = NatsServer::with_jetstream_and(&format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", {more} }}"
    ));
    server.start_ready().await;
    server
}

fn tls(server: &NatsServer) -> String {
    format!("tls://{}", server.address())
}

fn serve(queue: &str) -> Djaffar {
    Djaffar::serve().with("--queue", queue)
}

fn ingest(queue: &str) -> Djaffar {
    Djaffar::ingest(queue, KEY)
}

#[tokio::test]
async fn frames_travel_over_tls_with_a_client_certificate() {
    let authority = Authority::new();
    let more = format!("ca_file: \"{}\", verify: true", text(&authority.ca()));
    let server = server(&authority.certify(&NAMES), &more).await;
    let own = authority.certify(&["djaffar"]);
    // The URL need not say it: the server does.
    for queue in [tls(&server), server.url()] {
        let mut serve = serve(&queue)
            .with("--queue-ca-file", text(&authority.ca()))
            .with("--queue-certificate-file", text(&own.certificate))
            .with("--queue-key-file", text(&own.key));
        assert_carries(&mut serve).await;
    }

    let known = ingest(&tls(&server)).with("--queue-ca-file", text(&authority.ca()));
    assert_refused(known, &["wants a client certificate", "--queue-certificate-file"]).await;
    let other = Authority::new();
    let foreign = other.certify(&["djaffar"]);
    let stranger = |key: &Certified| {
        ingest(&tls(&server))
            .with("--queue-ca-file", text(&authority.ca()))
            .with("--queue-certificate-file", text(&foreign.certificate))
            .with("--queue-key-file", text(&key.key))
    };
    assert_refused(stranger(&own), &["queue-key-file", "does not fit"]).await;
    assert_refused(stranger(&foreign), &["no TLS with the nats-server", "--queue-certificate-file"]).await;
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let authority = Authority::new();
    let server = server(&authority.certify(&NAMES), "").await;
    let words = ["no TLS with the nats-server", "not trusted", "--queue-ca-file"];
    assert_refused(ingest(&tls(&server)), &words).await;
    let other = Authority::new();
    assert_refused(ingest(&tls(&server)).with("--queue-ca-file", text(&other.ca())), &words).await;
    // Where the server is free to speak in plain text, the setting still is not.
    let mut plain = NatsServer::new();
    plain.start_ready().await;
    for queue in [tls(&plain), plain.url()] {
        let ingest = ingest(&queue).with("--queue-ca-file", text(&authority.ca()));
        assert_refused(ingest, &["does not answer in TLS", "nats://"]).await;
    }
    // The system's certificates are what SSL_CERT_FILE names.
    let mut believed = serve(&tls(&server)).with_variable("SSL_CERT_FILE", &text(&authority.ca()));
    assert_carries(&mut believed).await;
}

#[tokio::test]
async fn a_server_of_another_name_or_time_is_refused() {
    let authority = Authority::new();
    for (certified, words) in [
        (authority.certify(&["elsewhere.example"]), ["for another name", "--queue"]),
        (authority.certify_expired(&NAMES), ["out of date", "clock"]),
    ] {
        let server = server(&certified, "").await;
        let ingest = ingest(&tls(&server)).with("--queue-ca-file", text(&authority.ca()));
        assert_refused(ingest, &words).await;
    }
}

#[tokio::test]
async fn tls_comes_first_where_both_say_so() {
    let authority = Authority::new();
    let certified = authority.certify(&NAMES);
    let first = server(&certified, "handshake_first: true").await;
    let with_ca = |djaffar: Djaffar| djaffar.with("--queue-ca-file", text(&authority.ca()));
    let mut carrying = with_ca(serve(&tls(&first))).with("--queue-tls-first=true", "--log-level=info");
    assert_carries(&mut carrying).await;

    // Each waits for the other: that looks like a server that is away.
    let mut waiting = with_ca(ingest(&tls(&first)));
    waiting.start();
    crate::wait_for_red(&waiting, "handshake_first needs --queue-tls-first").await;

    let second = server(&certified, "").await;
    let early = with_ca(ingest(&tls(&second))).with("--queue-tls-first=true", "--log-level=info");
    assert_refused(early, &["does not answer in TLS", "--queue-tls-first"]).await;
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_named() {
    let authority = Authority::new();
    let own = authority.certify(&["djaffar"]);
    let (ca, certificate, key) = (text(&authority.ca()), text(&own.certificate), text(&own.key));
    let garbage = authority.directory().join("garbage");
    std::fs::write(&garbage, "not PEM").expect("a file can be written");
    let garbage = text(&garbage);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 8] = [
        (&[("--queue-ca-file", "missing.pem")], &["queue-ca-file: cannot read missing.pem", "No such file"]),
        (&[("--queue-ca-file", &garbage)], &["queue-ca-file:", "holds no certificate"]),
        (&[("--queue-ca-file", &key)], &["queue-ca-file:", "holds no certificate"]),
        (&[("--queue-certificate-file", &certificate)], &["without queue-key-file"]),
        (
            &[("--queue-certificate-file", &garbage), ("--queue-key-file", &key)],
            &["queue-certificate-file:", "holds no certificate"],
        ),
        (
            &[("--queue-certificate-file", &certificate), ("--queue-key-file", &certificate)],
            &["queue-key-file:", "holds no private key"],
        ),
        (
            &[("--queue-certificate-file", &ca), ("--queue-key-file", &key)],
            &["queue-key-file:", "does not fit", "queue-certificate-file"],
        ),
        (&[("--queue-nkey-seed", "SUAB")], &["queue-nkey-seed", "begins with SU"]),
    ];
    for (flags, words) in cases {
        let ingest =
            flags.iter().fold(ingest("tls://127.0.0.1:1"), |ingest, (flag, value)| ingest.with(flag, value));
        assert_refused(ingest, words).await;
    }
    let embedded = Djaffar::serve().with("--queue-ca-file", &ca);
    assert_refused(embedded, &["queue-ca-file is set", "embedded"]).await;
}
