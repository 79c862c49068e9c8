use std::time::Duration;

use shared::secret::Secret;

use super::issuer::{Issuer, SECRET, config, patient};
use crate::identity::json_web_token::{
    GivenKeys, JsonWebTokens, JwtAlgorithm, JwtConfig, JwtKeys, KeySetPlace,
};

fn assert_refused(config: &JwtConfig, words: &[&str]) {
    let error = config.check().expect_err("a refusal").to_string();
    for word in words {
        assert!(error.contains(word), "{error} lacks {word}");
    }
}

fn key(text: &str) -> Result<GivenKeys, String> {
    GivenKeys::parse("--jwt-key", &Secret::new(text)).map_err(|error| error.to_string())
}

#[test]
fn keys_and_algorithms_fit_together() {
    use JwtAlgorithm::{EdDsa, Es256, Hs256, Rs256};
    let rsa = Issuer::new(Rs256).public();
    assert_refused(&config(&[Hs256], &rsa), &["HS256", "--jwt-key is a public key", "remove HS256"]);
    assert_refused(&config(&[Rs256], SECRET), &["RS256", "no public key"]);
    assert_refused(&config(&[Rs256, Es256], &rsa), &["ES256", "no public key"]);
    let both = rsa + &Issuer::new(EdDsa).public();
    assert_refused(&config(&[Rs256], &both), &["--jwt-key", "none of --jwt-algorithms uses"]);
    assert_eq!(config(&[Rs256, EdDsa], &both).check(), Ok(()));
    assert_refused(&config(&[], SECRET), &["--jwt-algorithms", "such as `RS256`"]);
    let place: KeySetPlace = "https://issuer.example/keys".parse().expect("a URL");
    let set = |algorithms: &[JwtAlgorithm]| JwtConfig {
        algorithms: algorithms.to_vec(),
        keys: JwtKeys::Set(place.clone()),
        ..config(&[Hs256], SECRET)
    };
    assert_refused(&set(&[Rs256, Hs256]), &["HS algorithm", "--jwt-jwks", "remove one"]);
    assert_eq!(set(&[Rs256]).check(), Ok(()));
    let missing = JwtConfig { keys: JwtKeys::Set(KeySetPlace::File("none.json".into())), ..set(&[Rs256]) };
    assert_refused(&missing, &["--jwt-jwks none.json", "public keys"]);
}

#[test]
fn claims_make_sense() {
    let sound = || config(&[JwtAlgorithm::Hs256], SECRET);
    assert_eq!(sound().check(), Ok(()));
    assert_refused(&JwtConfig { leeway: Duration::from_secs(301), ..sound() }, &["--jwt-leeway", "clocks"]);
    assert_refused(&JwtConfig { user_claim: String::new(), ..sound() }, &["--jwt-user-claim", "`sub`"]);
    assert_refused(&JwtConfig { scheme: "a b".to_owned(), ..sound() }, &["--jwt-scheme", "one word"]);
    assert_refused(&JwtConfig { audiences: vec![String::new()], ..sound() }, &["--jwt-audience", "empty"]);
}

#[test]
fn a_key_is_a_long_secret_or_a_public_pem() {
    assert!(key(SECRET).is_ok());
    for (text, word) in [
        (&SECRET[1..], "fewer than 32 bytes"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7", "looks like a public key"),
        (r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN"}"#, "looks like a public key"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "holds a certificate"),
        ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----", "holds a private key"),
        ("-----BEGIN DH PARAMETERS-----\nAA==\n-----END DH PARAMETERS-----", "of another kind"),
        ("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----", "cut off"),
        ("-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----", "cut off"),
        ("-----BEGIN PUBLIC KEY-----\nAA==", "cut off"),
        // 1024 bits; `openssl genrsa 1024 | openssl rsa -pubout`.
        (include_str!("short_rsa.pem"), "fewer than 2048"),
    ] {
        let error = key(text).expect_err("a refusal");
        assert!(error.starts_with("--jwt-key ") && error.contains(word), "{error} lacks {word}");
    }
    for algorithm in JwtAlgorithm::ALL {
        let wrapped = Issuer::new(algorithm).public().replace('\n', "\r\n");
        assert!(key(&format!("# of the issuer\r\n{wrapped}")).is_ok(), "{algorithm}");
    }
}

#[test]
fn a_place_is_a_file_or_a_url() {
    for right in ["keys.json", "/etc/keys", "http://127.0.0.1:1/keys", "https://issuer.example/a?b=c"] {
        assert!(right.parse::<KeySetPlace>().is_ok(), "{right}");
    }
    for wrong in [
        "",
        "ftp://issuer.example/keys",
        "https://user:password@issuer.example/keys",
        "https://",
        "file:///a",
    ] {
        assert!(wrong.parse::<KeySetPlace>().is_err(), "{wrong}");
    }
    let place: KeySetPlace = "https://issuer.example/keys?key=of-ours".parse().expect("a URL");
    assert_eq!(place.to_string(), "https://issuer.example/keys");
}

#[tokio::test]
async fn check_tells_what_is_configured_and_found() {
    let issuer = Issuer::new(JwtAlgorithm::Rs256);
    let tokens = issuer.verifier();
    assert_eq!(
        tokens.describe(),
        "JSON Web Tokens (`Authorization: Bearer ...`), RS256 with the given key, user in `sub`"
    );
    assert_eq!(tokens.probe().await, Ok("1 key".to_owned()));
    let server =
        super::jwks_server::JwksServer::new(super::jwks_server::Answer::keys(&[issuer.jwk("a")])).await;
    let config = JwtConfig { keys: JwtKeys::Set(server.place()), ..issuer.config() };
    let tokens = JsonWebTokens::new(config, None, &patient());
    let found = tokens.probe().await.expect("a set of keys");
    assert!(found.starts_with("1 key; they come over plain http: "), "{found}");
    server.answer(super::jwks_server::Answer::Status("404 Not Found"));
    assert!(tokens.probe().await.expect_err("no set of keys").0.contains("answers 404"));
}
