//! Users, passwords, tokens, nkeys and credentials files at nats-server.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::process::Djaffar;
use djaffar_tests::{START_LIMIT, wait_until};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::{KEY, assert_carries, assert_refused, text, wait_for_red};

const PASSWORD: &str = "p@ss/w0rd 5c1a";
const IN_URL: &str = "p%40ss%2Fw0rd%205c1a";

async fn server(authorization: &str) -> NatsServer {
    let mut server = NatsServer::with_jetstream_and(authorization);
    server.start_ready().await;
    server
}

/// `nats://` with a login in it.
fn url(server: &NatsServer, login: &str) -> String {
    format!("nats://{login}@{}", server.address())
}

#[tokio::test]
async fn a_user_is_named_in_the_url_or_in_settings() {
    let server = server(&format!("authorization {{ user: anna, password: \"{PASSWORD}\" }}")).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("a file can be written");
    assert_carries(&mut Djaffar::serve().with("--queue", url(&server, &format!("anna:{IN_URL}")))).await;
    let named = || Djaffar::serve().with("--queue", server.url()).with("--queue-user", "anna");
    assert_carries(&mut named().with("--queue-password-file", text(&file))).await;

    let ingest = || Djaffar::ingest(&server.url(), KEY);
    assert_refused(ingest(), &["refuses the login", "--queue-user"]).await;
    let wrong = ingest().with("--queue-user", "anna").with("--queue-password", "guessed");
    assert_refused(wrong, &["refuses the login", "--queue-password"]).await;
    let twice = Djaffar::ingest(&url(&server, "anna:p"), KEY).with("--queue-token", "t");
    assert_refused(twice, &["queue holds a login", "remove one"]).await;
}

#[tokio::test]
async fn a_token_is_named_in_the_url_or_in_settings() {
    let server = server("authorization { token: t0ken }").await;
    assert_carries(&mut Djaffar::serve().with("--queue", url(&server, "t0ken"))).await;
    assert_carries(&mut Djaffar::serve().with("--queue", server.url()).with("--queue-token", "t0ken")).await;
    let wrong = Djaffar::ingest(&server.url(), KEY).with("--queue-token", "guessed");
    assert_refused(wrong, &["refuses the login", "--queue-token"]).await;
}

#[tokio::test]
async fn an_nkey_is_a_login() {
    let key = KeyPair::new_user();
    let server = server(&format!("authorization {{ users: [{{ nkey: {} }}] }}", key.public_key())).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("seed");
    std::fs::write(&file, key.seed().expect("a seed") + "\n").expect("a file can be written");
    let serve = Djaffar::serve().with("--queue", server.url());
    assert_carries(&mut serve.with("--queue-nkey-seed-file", text(&file))).await;

    let other = KeyPair::new_user().seed().expect("a seed");
    let stranger = Djaffar::ingest(&server.url(), KEY).with("--queue-nkey-seed", other);
    assert_refused(stranger, &["refuses the login", "--queue-nkey-seed"]).await;
}

/// A JWT as nats-server reads it: claims of `subject`, signed by `issuer`.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let claims = part(json!({
        "jti": "test", "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": "test", "nats": nats,
    }));
    let signed = format!("{header}.{claims}");
    let signature = issuer.sign(signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn credentials(account: &KeyPair) -> String {
    let user = KeyPair::new_user();
    let claims =
        json!({"type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1});
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(account, &user, claims),
        user.seed().expect("a seed")
    )
}

#[tokio::test]
async fn a_credentials_file_is_a_login_and_is_read_again() {
    let (operator, account, system) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let of_operator = jwt(&operator, &operator, json!({"type": "operator", "version": 2}));
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let claims = json!({"type": "account", "version": 2, "limits": limits});
    let of_system =
        jwt(&operator, &system, json!({"type": "account", "version": 2, "limits": {"conn": -1, "subs": -1}}));
    let configuration = |account: &KeyPair| {
        let (name, of_account) = (account.public_key(), jwt(&operator, account, claims.clone()));
        let of_nats = system.public_key();
        format!(
            "operator: {of_operator}\nsystem_account: {of_nats}\nresolver: MEMORY\n\
             resolver_preload: {{ {name}: {of_account}, {of_nats}: {of_system} }}"
        )
    };
    let mut server = server(&configuration(&account)).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("djaffar.creds");
    std::fs::write(&file, credentials(&account)).expect("a file can be written");
    let mut serve =
        Djaffar::serve().with("--queue", server.url()).with("--queue-credentials-file", text(&file));
    assert_carries(&mut serve).await;

    // Another account, and credentials of it: those that were read at the start count no more.
    let next = KeyPair::new_account();
    server.stop().await;
    server.reconfigure(&configuration(&next));
    server.start_ready().await;
    wait_for_red(&serve, "refuses the login").await;
    std::fs::write(&file, credentials(&next)).expect("a file can be written");
    serve.wait_ready().await;

    std::fs::write(&file, "no credentials").expect("a file can be written");
    let wrong = Djaffar::ingest(&server.url(), KEY).with("--queue-credentials-file", text(&file));
    assert_refused(wrong, &["queue-credentials-file", "is no credentials file"]).await;
}

#[tokio::test]
async fn a_login_that_is_refused_later_is_waited_for_in_the_open() {
    let login = |password: &str| format!("authorization {{ user: anna, password: \"{password}\" }}");
    let mut server = server(&login("first")).await;
    let mut ingest = Djaffar::ingest(&server.url(), KEY)
        .with("--queue-user", "anna")
        .with("--queue-password", "first")
        .with("--request-timeout", "500ms");
    ingest.start_ready().await;

    server.stop().await;
    server.reconfigure(&login("second"));
    server.start_ready().await;
    wait_for_red(&ingest, "refuses the login").await;
    let lines = || ingest.log().lines().filter(|line| line.contains("trouble with the server")).count();
    wait_until("a line about it", START_LIMIT, || async { lines() > 0 }).await;

    server.stop().await;
    server.reconfigure(&login("first"));
    server.start_ready().await;
    ingest.wait_ready().await;
    assert!(!ingest.log().contains("second") && !ingest.log().contains("first"), "{}", ingest.log());
}
