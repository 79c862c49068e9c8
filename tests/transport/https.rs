//! https to the site and to the keys of an issuer, with an authority of one's own.

use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use djaffar_tests::certificates::{Authority, Certified};
use djaffar_tests::process::{Djaffar, djaffar_prints};
use djaffar_tests::tls_front::TlsFront;
use djaffar_tests::{START_LIMIT, wait_until};
use nkeys::KeyPair;
use serde_json::{Value, json};
use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::text;

/// A web server that answers everybody the same, behind TLS.
struct Site {
    front: TlsFront,
    _server: OwnedTask<()>,
}

impl Site {
    async fn start(answer: Value, certified: &Certified) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("a bound listener");
        let server = spawn_owned(answer_everybody(listener, answer.to_string()));
        Self { front: TlsFront::start(address, certified).await, _server: server }
    }
}

async fn answer_everybody(listener: TcpListener, body: String) {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    while let Ok((mut client, _)) = listener.accept().await {
        let mut question = Vec::new();
        while !question.ends_with(b"\r\n\r\n")
            && client.read_buf(&mut question).await.is_ok_and(|count| count > 0)
        {}
        // Whoever has gone away hears nothing.
        client.write_all(answer.as_bytes()).await.ok();
    }
}

/// Status of a log request with this token.
async fn ask(serve: &Djaffar, token: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.post(format!("http://{}/djaffar/log/", serve.listen())).bearer_auth(token);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body("date=2026-11-25T00:29:13Z&path=a/").send().await;
    answer.expect("an answer").status().as_u16()
}

/// With the authority in SSL_CERT_FILE the token is anna's; without it nobody can be asked.
async fn assert_asked_over_tls(configured: impl Fn() -> Djaffar, authority: &Authority, token: &str) {
    let mut believing = configured().with_variable("SSL_CERT_FILE", &text(&authority.ca()));
    believing.start_ready().await;
    assert_eq!(ask(&believing, token).await, 204, "{}", believing.log());
    let data = believing.data_directory();
    wait_until("the row", START_LIMIT, || async {
        djaffar_prints(["dump", "activity", "--format", "ndjson", "--data-dir", &data]).contains("\"anna\"")
    })
    .await;

    let mut doubting = configured();
    doubting.start_ready().await;
    assert_eq!(ask(&doubting, token).await, 503, "{}", doubting.log());
    let why = || {
        doubting.log().contains("its certificate is not trusted") && doubting.log().contains("SSL_CERT_FILE")
    };
    wait_until("the reason in the log", START_LIMIT, || async { why() }).await;
}

#[tokio::test]
async fn the_site_is_asked_over_https() {
    let authority = Authority::new();
    let certified = authority.certify(&["127.0.0.1"]);
    let site = Site::start(json!({"user": "anna", "session": null}), &certified).await;
    let configured = || Djaffar::serve().with("--auth-url", site.front.url("/djaffar/identity/"));
    assert_asked_over_tls(configured, &authority, "t0ken").await;
}

#[tokio::test]
async fn keys_are_read_over_https() {
    let authority = Authority::new();
    let certified = authority.certify(&["127.0.0.1"]);
    let key = KeyPair::new_user();
    let (_, public) = nkeys::from_public_key(&key.public_key()).expect("an Ed25519 key");
    let x = URL_SAFE_NO_PAD.encode(public);
    let set =
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "a", "x": x}]});
    let site = Site::start(set, &certified).await;

    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"typ": "JWT", "alg": "EdDSA", "kid": "a"}));
    let signed = format!("{header}.{}", part(json!({"sub": "anna", "exp": 4_000_000_000_u64})));
    let signature = key.sign(signed.as_bytes()).expect("a signature");
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    let configured = || {
        Djaffar::serve().with("--jwt-algorithms", "EdDSA").with("--jwt-jwks", site.front.url("/keys.json"))
    };
    assert_asked_over_tls(configured, &authority, &token).await;
}
