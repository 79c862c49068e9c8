//! Tokens of the real PyJWT and simplejwt, made by `tests/json_web_tokens.py`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::issuer::{config, now, user, verifier};
use crate::identity::json_web_token::{JsonWebTokens, JwtAlgorithm, JwtConfig, JwtKeys, KeySetPlace};

#[derive(Deserialize)]
pub(super) struct Golden {
    pub(super) secret: String,
    pub(super) password: String,
    algorithms: Vec<OfAlgorithm>,
    pkcs1_pem: String,
    pub(super) simplejwt: SimpleJwt,
}

#[derive(Deserialize)]
struct OfAlgorithm {
    algorithm: String,
    token: String,
    pem: Option<String>,
    jwk: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct SimpleJwt {
    pub(super) access: String,
    pub(super) access_of_a_number: String,
    pub(super) access_with_password: String,
    pub(super) access_of_nobody: String,
    pub(super) refresh: String,
}

pub(super) fn golden() -> Golden {
    serde_json::from_str(include_str!("../../golden/json_web_tokens.json")).expect("golden tokens")
}

fn strict(config: JwtConfig) -> JsonWebTokens {
    let issuers = vec!["https://issuer.example".to_owned()];
    verifier(JwtConfig { issuers, audiences: vec!["shop".to_owned()], ..config })
}

impl OfAlgorithm {
    fn algorithm(&self) -> JwtAlgorithm {
        self.algorithm.parse().expect("an algorithm")
    }
}

#[tokio::test]
async fn tokens_of_pyjwt_verify_with_secrets_and_pem_keys() {
    let golden = golden();
    assert_eq!(golden.algorithms.len(), JwtAlgorithm::ALL.len());
    for of_algorithm in &golden.algorithms {
        let algorithm = of_algorithm.algorithm();
        let key = of_algorithm.pem.as_ref().unwrap_or(&golden.secret);
        let tokens = strict(config(&[algorithm], key));
        assert_eq!(tokens.verify(&of_algorithm.token, now()).await, Ok(user("7")), "{algorithm}");
    }
    let rsa = golden.algorithms.iter().find(|one| one.algorithm == "RS256").expect("one of RSA");
    let tokens = strict(config(&[JwtAlgorithm::Rs256], &golden.pkcs1_pem));
    assert_eq!(tokens.verify(&rsa.token, now()).await, Ok(user("7")));
}

#[tokio::test]
async fn tokens_of_pyjwt_verify_with_a_key_set_in_a_file() {
    let golden = golden();
    let public: Vec<_> = golden.algorithms.iter().filter(|one| one.jwk.is_some()).collect();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("keys.json");
    let keys: Vec<_> = public.iter().map(|one| &one.jwk).collect();
    std::fs::write(&path, json!({ "keys": keys }).to_string()).expect("a file");
    let algorithms: Vec<_> = public.iter().map(|one| one.algorithm()).collect();
    let place = JwtKeys::Set(KeySetPlace::File(path));
    let tokens =
        strict(JwtConfig { algorithms, keys: place, ..config(&[JwtAlgorithm::Hs256], &golden.secret) });
    assert_eq!(tokens.probe().await, Ok("9 keys".to_owned()));
    for one in public {
        assert_eq!(tokens.verify(&one.token, now()).await, Ok(user("7")), "{}", one.algorithm);
    }
}
