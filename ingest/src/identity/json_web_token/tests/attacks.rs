//! What forgers have tried elsewhere (RFC 8725).

use serde_json::json;
use shared::secret::Secret;

use super::issuer::{Issuer, NOW, SECRET, config, encode, now, user, verifier};
use crate::identity::authorization::{TOKEN_BYTES_MAX, TokenVerdict};
use crate::identity::json_web_token::{GivenKeys, JsonWebTokens, JwtAlgorithm};

const INVALID: TokenVerdict = TokenVerdict::Refused("Invalid token.");

async fn assert_refused(tokens: &JsonWebTokens, token: &str) {
    assert_eq!(tokens.verify(token, now()).await, Ok(INVALID), "{token}");
}

#[tokio::test]
async fn each_algorithm_verifies_its_own_tokens_again_and_again() {
    for algorithm in JwtAlgorithm::ALL {
        let issuer = Issuer::new(algorithm);
        let tokens = issuer.verifier();
        let token = issuer.token(json!({}));
        for _ in 0..3 {
            assert_eq!(tokens.verify(&token, now()).await, Ok(user("7")), "{algorithm}");
        }
    }
}

#[tokio::test]
async fn no_algorithm_is_none_in_any_spelling() {
    for algorithm in [JwtAlgorithm::Hs256, JwtAlgorithm::Rs256] {
        let issuer = Issuer::new(algorithm);
        let tokens = issuer.verifier();
        let claims = json!({"sub": "7", "exp": NOW + 60}).to_string();
        for name in ["none", "None", "NONE", "nOnE", "none ", " none", "", "null", "hs256", "HS256 ", "RS1"] {
            let header = json!({"alg": name}).to_string();
            let signed = issuer.sign(&header, &claims);
            let stripped = &signed[..=signed.rfind('.').expect("a dot")];
            assert_refused(&tokens, &signed).await;
            assert_refused(&tokens, stripped).await;
            assert_refused(&tokens, stripped.trim_end_matches('.')).await;
        }
        for header in
            [r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":0}"#, "{}", "[]", "null", "\"HS256\""]
        {
            assert_refused(&tokens, &issuer.sign(header, &claims)).await;
        }
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let issuer = Issuer::new(JwtAlgorithm::Rs256);
    let tokens = issuer.verifier();
    let message = |header: &str| {
        format!("{}.{}", encode(header), encode(json!({"sub": "7", "exp": NOW + 60}).to_string()))
    };
    let message = message(r#"{"alg":"HS256"}"#);
    let public = issuer.public();
    for secret in [public.as_str(), public.trim_end(), SECRET, ""] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let signature = encode(ring::hmac::sign(&key, message.as_bytes()));
        assert_refused(&tokens, &format!("{message}.{signature}")).await;
    }
    // Nor is there a configuration that takes both.
    let both = config(&[JwtAlgorithm::Rs256, JwtAlgorithm::Hs256], &public).check();
    assert!(
        both.expect_err("a refusal").to_string().contains("is a public key: whoever knows it could sign")
    );
}

#[tokio::test]
async fn a_key_serves_its_own_family_alone() {
    let issuers = JwtAlgorithm::ALL.map(Issuer::new);
    for own in &issuers {
        let tokens = own.verifier();
        for other in issuers.iter().filter(|other| other.algorithm != own.algorithm) {
            assert_refused(&tokens, &other.token(json!({}))).await;
            // The right name over the wrong signature.
            let disguised = json!({"alg": own.algorithm.name()});
            assert_refused(&tokens, &other.token_with(disguised, json!({}))).await;
        }
    }
    // Configured together, each still only fits its own key.
    let [rsa, elliptic] = [JwtAlgorithm::Rs256, JwtAlgorithm::Es256].map(Issuer::new);
    let keys = rsa.public() + &elliptic.public();
    let tokens = verifier(config(&[JwtAlgorithm::Rs256, JwtAlgorithm::Es256], &keys));
    assert_eq!(tokens.verify(&rsa.token(json!({})), now()).await, Ok(user("7")));
    assert_eq!(tokens.verify(&elliptic.token(json!({})), now()).await, Ok(user("7")));
    assert_refused(&tokens, &rsa.token_with(json!({"alg": "ES256"}), json!({}))).await;
    assert_refused(&tokens, &elliptic.token_with(json!({"alg": "RS256"}), json!({}))).await;
    // Of the right family, but not configured.
    assert_refused(&tokens, &Issuer::new(JwtAlgorithm::Ps256).token(json!({}))).await;
}

#[tokio::test]
async fn signatures_that_are_stripped_or_of_nothing_are_refused() {
    for algorithm in JwtAlgorithm::ALL {
        let issuer = Issuer::new(algorithm);
        let tokens = issuer.verifier();
        let token = issuer.token(json!({}));
        let (message, signature) = token.rsplit_once('.').expect("a signature");
        let length = issuer.signature(message.as_bytes()).len();
        for forged in
            [String::new(), encode(vec![0; length]), encode(vec![0xff; length]), signature[1..].to_owned()]
        {
            assert_refused(&tokens, &format!("{message}.{forged}")).await;
        }
        assert_refused(&tokens, message).await;
        assert_refused(&tokens, &format!("{token}.")).await;
        assert_refused(&tokens, &format!("{token}.{signature}")).await;
    }
}

#[tokio::test]
async fn the_header_brings_no_keys_and_makes_no_rules() {
    let issuer = Issuer::new(JwtAlgorithm::Es256);
    let tokens = issuer.verifier();
    let forger = Issuer::new(JwtAlgorithm::Es256);
    let own_key =
        json!({"jwk": forger.jwk("a"), "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/a"});
    assert_refused(&tokens, &forger.token_with(own_key.clone(), json!({}))).await;
    // Beside a right signature they say nothing.
    assert_eq!(tokens.verify(&issuer.token_with(own_key, json!({})), now()).await, Ok(user("7")));
    for id in ["../../dev/null", "/dev/null", "http://127.0.0.1:1/keys", "' or 1=1 --", "a\u{0}b", ""] {
        let token = forger.token_with(json!({"kid": id}), json!({}));
        assert_refused(&tokens, &token).await;
        assert_eq!(
            tokens.verify(&issuer.token_with(json!({"kid": id}), json!({})), now()).await,
            Ok(user("7"))
        );
    }
    assert_refused(&tokens, &issuer.token_with(json!({"kid": 7}), json!({}))).await;
    assert_refused(&tokens, &issuer.token_with(json!({"kid": ["a"]}), json!({}))).await;
    for critical in [json!(["b64"]), json!([]), json!(["exp"]), json!("exp")] {
        assert_refused(&tokens, &issuer.token_with(json!({"crit": critical, "b64": false}), json!({}))).await;
    }
}

#[tokio::test]
async fn a_member_that_comes_twice_is_refused() {
    let issuer = Issuer::new(JwtAlgorithm::Hs256);
    let tokens = issuer.verifier();
    let header = r#"{"alg":"HS256"}"#;
    for claims in [
        format!(r#"{{"sub":"7","sub":"1","exp":{}}}"#, NOW + 60),
        format!(r#"{{"sub":"7","s\u0075b":"1","exp":{}}}"#, NOW + 60),
        format!(r#"{{"sub":"7","exp":{},"exp":{}}}"#, NOW - 60, NOW + 60),
        format!(r#"{{"sub":"7","exp":{},"a":1,"a":1}}"#, NOW + 60),
    ] {
        assert_refused(&tokens, &issuer.sign(header, &claims)).await;
    }
    let claims = json!({"sub": "7", "exp": NOW + 60}).to_string();
    assert_refused(&tokens, &issuer.sign(r#"{"alg":"none","alg":"HS256"}"#, &claims)).await;
    assert_eq!(tokens.verify(&issuer.sign(header, &claims), now()).await, Ok(user("7")));
}

#[tokio::test]
async fn a_token_has_one_spelling() {
    let issuer = Issuer::new(JwtAlgorithm::Hs256);
    let tokens = issuer.verifier();
    // 32 bytes leave two bits of the last digit unused.
    let token = issuer.token(json!({}));
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = digits.iter().position(|digit| Some(digit) == token.as_bytes().last()).expect("a digit");
    for other in (last & !3..=last | 3).filter(|other| *other != last) {
        let mut respelled = token.clone();
        respelled.pop();
        respelled.push(char::from(digits[other]));
        assert_refused(&tokens, &respelled).await;
    }
    for respelled in [
        format!("{token}="),
        format!("{token}=="),
        format!(" {token}"),
        format!("{token}\n"),
        token.replacen('.', "=.", 1),
        token.replacen('.', "..", 1),
        token.replace(['-', '_'], "+"),
    ] {
        if respelled != token {
            assert_refused(&tokens, &respelled).await;
        }
    }
    assert_eq!(tokens.verify(&token, now()).await, Ok(user("7")));
}

#[tokio::test]
async fn a_token_beyond_the_limit_is_refused_whatever_it_says() {
    let issuer = Issuer::new(JwtAlgorithm::Hs256);
    let tokens = issuer.verifier();
    let token = issuer.token(json!({"filling": "a".repeat(TOKEN_BYTES_MAX)}));
    assert_refused(&tokens, &token).await;
    let below = issuer.token(json!({"filling": "a".repeat(TOKEN_BYTES_MAX / 2)}));
    assert_eq!(tokens.verify(&below, now()).await, Ok(user("7")));
    let deep = format!(r#"{{"sub":"7","exp":{},"a":{}}}"#, NOW + 60, "[".repeat(5000));
    assert_refused(&tokens, &issuer.sign(r#"{"alg":"HS256"}"#, &deep)).await;
}

#[test]
fn nothing_prints_a_key() {
    for algorithm in JwtAlgorithm::ALL {
        let issuer = Issuer::new(algorithm);
        let shown = format!("{:?}", issuer.config());
        assert!(shown.contains("***"), "{shown}");
        assert!(!shown.contains(SECRET) && !shown.contains("n:"), "{shown}");
    }
    let error = GivenKeys::parse("--jwt-key", &Secret::new("hunter2")).expect_err("a refusal").to_string();
    assert!(error.contains("--jwt-key") && !error.contains("hunter2"), "{error}");
}
