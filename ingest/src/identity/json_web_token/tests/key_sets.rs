//! Sets of keys at a real server.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::issuer::{Issuer, NOW, at, config, now, patient, user};
use super::jwks_server::{Answer, JwksServer};
use crate::identity::authorization::TokenVerdict;
use crate::identity::json_web_token::key_set::KeySet;
use crate::identity::json_web_token::key_source::SET_BYTES_MAX;
use crate::identity::json_web_token::{JsonWebTokens, JwtAlgorithm, JwtConfig, JwtKeys, KeySetPlace};
use crate::identity::look_up::{LookUpConfig, Unreachable};

const INVALID: TokenVerdict = TokenVerdict::Refused("Invalid token.");

fn reader(place: KeySetPlace, algorithms: &[JwtAlgorithm], look_up: &LookUpConfig) -> JsonWebTokens {
    let config = JwtConfig {
        algorithms: algorithms.to_vec(),
        keys: JwtKeys::Set(place),
        ..config(&[JwtAlgorithm::Hs256], super::issuer::SECRET)
    };
    config.check().expect("a sound configuration");
    JsonWebTokens::new(config, None, look_up)
}

struct Site {
    server: JwksServer,
    tokens: JsonWebTokens,
    issuer: Issuer,
}

impl Site {
    /// Its key is `a`.
    async fn new() -> Self {
        let issuer = Issuer::new(JwtAlgorithm::Es256);
        let server = JwksServer::new(Answer::keys(&[issuer.jwk("a")])).await;
        let tokens = reader(server.place(), &[JwtAlgorithm::Es256], &patient());
        Self { server, tokens, issuer }
    }

    /// A new one each time, so that none is remembered.
    fn token(&self, key: &str, number: usize) -> String {
        self.issuer.token_with(json!({"kid": key}), json!({"jti": number, "exp": NOW + 100_000}))
    }

    async fn verdict(&self, key: &str, number: usize, seconds: i64) -> Result<TokenVerdict, Unreachable> {
        self.tokens.verify(&self.token(key, number), at(seconds)).await
    }

    async fn wait_until_asked(&self, times: usize) {
        wait(|| self.server.asked() >= times).await;
    }
}

async fn wait(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the condition holds in the end");
}

#[tokio::test]
async fn fifty_unknown_keys_at_once_make_one_reading_a_minute() {
    let site = Site::new().await;
    let first = join_all((0..50).map(|number| site.verdict("a", number, 0))).await;
    assert!(first.iter().all(|verdict| *verdict == Ok(user("7"))));
    assert_eq!(site.server.asked(), 1);
    // What was just read is not read again for a key that is not there.
    assert_eq!(site.verdict("b", 0, 59).await, Ok(INVALID));
    assert_eq!(site.server.asked(), 1);
    let keys: Vec<_> = (0..50).map(|number| format!("unknown-{number}")).collect();
    let unknown = join_all(keys.iter().map(|key| site.verdict(key, 0, 61))).await;
    assert!(unknown.iter().all(|verdict| *verdict == Ok(INVALID)));
    assert_eq!(site.server.asked(), 2);
    for seconds in 62..120 {
        assert_eq!(site.verdict("c", 0, seconds).await, Ok(INVALID));
    }
    assert_eq!(site.server.asked(), 2);
}

#[tokio::test]
async fn a_new_key_counts_as_soon_as_it_is_read() {
    let site = Site::new().await;
    assert_eq!(site.verdict("a", 0, 0).await, Ok(user("7")));
    let next = Issuer::new(JwtAlgorithm::Es256);
    site.server.answer(Answer::keys(&[next.jwk("b")]));
    let token = next.token_with(json!({"kid": "b"}), json!({"exp": NOW + 1000}));
    // Too soon, and not held against the token.
    assert_eq!(site.tokens.verify(&token, at(30)).await, Ok(INVALID));
    assert_eq!(site.tokens.verify(&token, at(60)).await, Ok(user("7")));
    // The old key is withdrawn with the same reading.
    assert_eq!(site.verdict("a", 1, 60).await, Ok(INVALID));
    // Its name alone is worth nothing.
    assert_eq!(site.verdict("b", 2, 60).await, Ok(INVALID));
    assert_eq!(site.server.asked(), 2);
}

#[tokio::test]
async fn an_old_set_is_read_again_while_requests_go_on() {
    let site = Site::new().await;
    assert_eq!(site.verdict("a", 0, 0).await, Ok(user("7")));
    site.server.answer(Answer::Never);
    assert_eq!(site.verdict("a", 1, 599).await, Ok(user("7")));
    assert_eq!(site.server.asked(), 1);
    // The server never answers, and nobody waits for it.
    assert_eq!(site.verdict("a", 2, 600).await, Ok(user("7")));
    site.wait_until_asked(2).await;
    assert_eq!(site.verdict("a", 3, 601).await, Ok(user("7")));
    assert_eq!(site.server.asked(), 2);
}

#[tokio::test]
async fn the_last_good_set_outlives_a_reading_that_fails() {
    let site = Site::new().await;
    assert_eq!(site.verdict("a", 0, 0).await, Ok(user("7")));
    let empty = Answer::keys(&[]);
    let broken = Answer::Body("<html>".to_owned());
    let failures =
        [Answer::Status("500 Oops"), empty, broken, Answer::Status("404 Not Found"), Answer::Redirect];
    for (number, failure) in failures.into_iter().enumerate() {
        site.server.answer(failure);
        let seconds = 600 + 60 * i64::try_from(number).expect("small");
        // Nobody can say whether the issuer has such a key by now.
        let unknown = site.verdict("b", 0, seconds).await.expect_err("nobody can be asked");
        assert!(unknown.0.starts_with("--jwt-jwks http://127.0.0.1:"), "{unknown}");
        assert!(!unknown.0.contains("of-ours"), "{unknown}");
        assert_eq!(site.verdict("a", number, seconds).await, Ok(user("7")));
        assert_eq!(site.server.asked(), number + 2);
    }
    site.server.answer(Answer::keys(&[site.issuer.jwk("b")]));
    assert_eq!(site.verdict("b", 0, 2000).await, Ok(user("7")));
    assert_eq!(site.verdict("c", 0, 2001).await, Ok(INVALID));
}

#[tokio::test]
async fn without_any_set_nobody_is_known_and_nobody_is_refused() {
    let site = Site::new().await;
    site.server.answer(Answer::Status("503 Service Unavailable"));
    for number in 0..10 {
        let unknown = site.verdict("a", number, 0).await.expect_err("nobody can be asked");
        assert!(unknown.0.contains("answers 503"), "{unknown}");
    }
    assert_eq!(site.server.asked(), 1);
    site.server.answer(Answer::keys(&[site.issuer.jwk("a")]));
    // A first set is asked for sooner than a new one.
    assert_eq!(site.verdict("a", 0, 1).await, Ok(user("7")));
    assert_eq!(site.server.asked(), 2);
    // Garbage asks nobody.
    let nobody = Site::new().await;
    assert_eq!(nobody.tokens.verify("a.b.c", now()).await, Ok(INVALID));
    assert_eq!(nobody.server.asked(), 0);
}

#[tokio::test]
async fn a_server_that_is_slow_or_talks_too_much_is_given_up() {
    let issuer = Issuer::new(JwtAlgorithm::EdDsa);
    let server = JwksServer::new(Answer::Never).await;
    let impatient = LookUpConfig { timeout: Duration::from_millis(300), ..patient() };
    let tokens = reader(server.place(), &[JwtAlgorithm::EdDsa], &impatient);
    let token = issuer.token_with(json!({"kid": "a"}), json!({}));
    let slow = tokens.verify(&token, now()).await.expect_err("nobody can be asked");
    assert!(slow.0.ends_with("no answer within 300ms"), "{slow}");

    let mut key = issuer.jwk("a");
    key["x5c"] = json!(["A".repeat(SET_BYTES_MAX)]);
    let server = JwksServer::new(Answer::keys(&[key])).await;
    let tokens = reader(server.place(), &[JwtAlgorithm::EdDsa], &patient());
    let large = tokens.verify(&token, now()).await.expect_err("nobody can be asked");
    assert!(large.0.contains("larger than"), "{large}");
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_take_the_reading_along() {
    let site = Site::new().await;
    site.server.answer(Answer::Never);
    let token = site.token("a", 0);
    let impatient = tokio::time::timeout(Duration::from_millis(50), site.tokens.verify(&token, now()));
    assert!(impatient.await.is_err());
    // The reading goes on, so that no second one begins.
    let second = tokio::time::timeout(Duration::from_millis(50), site.verdict("a", 1, 0));
    assert!(second.await.is_err());
    site.wait_until_asked(1).await;
    assert_eq!(site.server.asked(), 1);
}

#[tokio::test]
async fn a_file_is_read_again_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("keys.json");
    let issuer = Issuer::new(JwtAlgorithm::EdDsa);
    let write = |key: &str| {
        std::fs::write(&path, json!({"keys": [issuer.jwk(key)]}).to_string()).expect("a file");
    };
    write("a");
    let tokens = reader(KeySetPlace::File(path.clone()), &[JwtAlgorithm::EdDsa], &patient());
    let token = |key: &str| issuer.token_with(json!({"kid": key}), json!({"exp": NOW + 1000}));
    assert_eq!(tokens.verify(&token("a"), now()).await, Ok(user("7")));
    write("b");
    assert_eq!(tokens.verify(&token("b"), at(59)).await, Ok(INVALID));
    assert_eq!(tokens.verify(&token("b"), at(60)).await, Ok(user("7")));
}

/// How many keys of a set with this one would serve these algorithms.
fn serves(key: &Value, algorithms: &[JwtAlgorithm]) -> bool {
    KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes(), algorithms).is_ok()
}

#[test]
fn keys_serve_what_their_members_say() {
    use JwtAlgorithm::{EdDsa, Es256, Es384, Hs256, Ps256, Rs256};
    let rsa = Issuer::new(Rs256).jwk("a");
    let elliptic = Issuer::new(Es256).jwk("a");
    let with = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    for (key, algorithms, expected) in [
        (rsa.clone(), &[Rs256][..], true),
        (rsa.clone(), &[Ps256], true),
        (rsa.clone(), &[Es256, EdDsa], false),
        (with(&rsa, "alg", json!("RS256")), &[Rs256], true),
        (with(&rsa, "alg", json!("RS256")), &[Ps256], false),
        (with(&rsa, "alg", json!("RSA-OAEP")), &[Rs256], false),
        (with(&rsa, "alg", json!("none")), &[Rs256], false),
        (with(&rsa, "use", json!("sig")), &[Rs256], true),
        (with(&rsa, "use", json!("enc")), &[Rs256], false),
        (with(&rsa, "key_ops", json!(["verify"])), &[Rs256], true),
        (with(&rsa, "key_ops", json!(["sign"])), &[Rs256], false),
        (with(&rsa, "key_ops", json!("verify")), &[Rs256], false),
        (with(&rsa, "kty", json!("EC")), &[Rs256], false),
        (with(&rsa, "d", json!("AQAB")), &[Rs256], false),
        (with(&rsa, "n", json!("AQAB")), &[Rs256], false),
        (with(&rsa, "e", json!("AQ")), &[Rs256], false),
        (with(&rsa, "e", json!("AQAC")), &[Rs256], false),
        (with(&rsa, "n", json!(7)), &[Rs256], false),
        (elliptic.clone(), &[Es256], true),
        (elliptic.clone(), &[Es384], false),
        (with(&elliptic, "crv", json!("P-384")), &[Es384], false),
        (with(&elliptic, "crv", json!("P-521")), &[Es256], false),
        (with(&elliptic, "x", json!("AQAB")), &[Es256], false),
        (with(&elliptic, "y", json!(null)), &[Es256], false),
        (Issuer::new(EdDsa).jwk("a"), &[EdDsa], true),
        (with(&Issuer::new(EdDsa).jwk("a"), "crv", json!("Ed448")), &[EdDsa], false),
        // A secret that everybody may read is none.
        (Issuer::new(Hs256).jwk("a"), &[Hs256], false),
        (json!(7), &[Rs256], false),
    ] {
        assert_eq!(serves(&key, algorithms), expected, "{key} {algorithms:?}");
    }
}

#[test]
fn a_set_keeps_what_is_of_use() {
    let (rsa, elliptic) = (Issuer::new(JwtAlgorithm::Rs256), Issuer::new(JwtAlgorithm::Es256));
    let parse = |json: Value| KeySet::parse(json.to_string().as_bytes(), &[JwtAlgorithm::Es256]);
    let set = parse(json!({"keys": [7, {"kty": "new"}, rsa.jwk("a"), elliptic.jwk("a"), elliptic.jwk("b")]}));
    let set = set.expect("keys of use");
    assert_eq!(set.describe(), "2 keys of use and 3 of none");
    let found = |id: Option<&str>| set.find(JwtAlgorithm::Es256, id).count();
    assert_eq!([found(Some("a")), found(Some("c")), found(Some("")), found(None)], [1, 0, 0, 2]);
    assert_eq!(set.find(JwtAlgorithm::Rs256, Some("a")).count(), 0);
    let error = |json: Value| parse(json).expect_err("a refusal");
    assert_eq!(error(json!({"keys": [rsa.jwk("a")]})), "holds 1 keys, but none that verifies ES256");
    assert!(error(json!({"keys": vec![elliptic.jwk("a"); 65]})).contains("more than 64"));
    for nonsense in [json!([]), json!({}), json!({"keys": {}}), json!(null)] {
        assert!(error(nonsense).contains("is no JSON Web Key Set"));
    }
}
