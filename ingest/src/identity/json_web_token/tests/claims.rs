use serde_json::{Value, json};

use super::issuer::{Issuer, NOW, at, now, user, verifier};
use crate::identity::authorization::TokenVerdict;
use crate::identity::json_web_token::{JsonWebTokens, JwtAlgorithm, JwtConfig};

const INVALID: &str = "Invalid token.";
const NO_USER: &str = "Token names no user.";

fn site(change: impl FnOnce(&mut JwtConfig)) -> (Issuer, JsonWebTokens) {
    let issuer = Issuer::new(JwtAlgorithm::Hs256);
    let mut config = issuer.config();
    change(&mut config);
    (issuer, verifier(config))
}

async fn assert_verdicts(site: (Issuer, JsonWebTokens), table: &[(Value, Result<&str, &'static str>)]) {
    let (issuer, tokens) = site;
    for (claims, expected) in table {
        let expected = expected.map_or_else(TokenVerdict::Refused, user);
        let verdict = tokens.verify(&issuer.token(claims.clone()), now()).await;
        assert_eq!(verdict, Ok(expected), "{claims}");
    }
}

#[tokio::test]
async fn a_token_counts_from_its_beginning_to_its_end() {
    let expired = Err("Token has expired.");
    let early = Err("Token is not yet valid.");
    let table = [
        (json!({"exp": NOW + 1}), Ok("7")),
        (json!({"exp": NOW as f64 + 0.5}), Ok("7")),
        // The leeway is 10 s.
        (json!({"exp": NOW - 9}), Ok("7")),
        (json!({"exp": NOW - 10}), expired),
        (json!({"exp": 0}), expired),
        (json!({"exp": -1}), expired),
        (json!({"exp": 1e300}), Ok("7")),
        (json!({"exp": -1e300}), expired),
        (json!({"exp": null}), Err(INVALID)),
        (json!({"exp": "1900000000"}), Err(INVALID)),
        (json!({"exp": true}), Err(INVALID)),
        (json!({"exp": [NOW + 60]}), Err(INVALID)),
        (json!({"nbf": NOW + 10}), Ok("7")),
        (json!({"nbf": NOW + 11}), early),
        (json!({"nbf": "soon"}), Err(INVALID)),
        (json!({"iat": NOW + 10}), Ok("7")),
        (json!({"iat": NOW + 11}), early),
        (json!({"iat": "now"}), Err(INVALID)),
        (json!({"iat": 0, "nbf": -5}), Ok("7")),
    ];
    assert_verdicts(site(|_| {}), &table).await;
    let (issuer, tokens) = site(|_| {});
    let infinite = issuer.sign(r#"{"alg":"HS256"}"#, r#"{"sub":"7","exp":1e999}"#);
    assert_eq!(tokens.verify(&infinite, now()).await, Ok(TokenVerdict::Refused(INVALID)));
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_ends() {
    let (issuer, tokens) = site(|_| {});
    let token = issuer.token(json!({"exp": NOW + 5}));
    assert_eq!(tokens.verify(&token, now()).await, Ok(user("7")));
    assert_eq!(tokens.verify(&token, at(14)).await, Ok(user("7")));
    assert_eq!(tokens.verify(&token, at(15)).await, Ok(TokenVerdict::Refused("Token has expired.")));
}

#[tokio::test]
async fn an_audience_must_be_ours_if_either_side_names_one() {
    let other = Err("Token is for another audience.");
    let ours = || site(|config| config.audiences = vec!["shop".to_owned(), "till".to_owned()]);
    let table = [
        (json!({"aud": "shop"}), Ok("7")),
        (json!({"aud": ["bank", "till"]}), Ok("7")),
        (json!({"aud": ["bank"]}), other),
        (json!({"aud": "Shop"}), other),
        (json!({"aud": []}), other),
        (json!({"aud": ["shop", 7]}), other),
        (json!({"aud": {"shop": 1}}), other),
        (json!({}), other),
    ];
    assert_verdicts(ours(), &table).await;
    // RFC 7519, 4.1.3: who does not find himself in a token's audience refuses it.
    let table = [(json!({}), Ok("7")), (json!({"aud": "shop"}), other), (json!({"aud": []}), other)];
    assert_verdicts(site(|_| {}), &table).await;
}

#[tokio::test]
async fn an_issuer_must_be_one_of_ours() {
    let other = Err("Token is from another issuer.");
    let table = [
        (json!({"iss": "https://issuer.example"}), Ok("7")),
        (json!({"iss": "https://issuer.example/"}), other),
        (json!({"iss": ["https://issuer.example"]}), other),
        (json!({"iss": 7}), other),
        (json!({}), other),
    ];
    let ours = site(|config| config.issuers = vec!["https://issuer.example".to_owned()]);
    assert_verdicts(ours, &table).await;
    assert_verdicts(site(|_| {}), &[(json!({"iss": "anybody with the key"}), Ok("7"))]).await;
}

#[tokio::test]
async fn a_user_is_a_text_or_a_whole_number() {
    let none = Err(NO_USER);
    let table = [
        (json!({"sub": "alice"}), Ok("alice")),
        (json!({"sub": 7}), Ok("7")),
        (json!({"sub": 0}), Ok("0")),
        (json!({"sub": -7}), Ok("-7")),
        (json!({"sub": u64::MAX}), Ok("18446744073709551615")),
        (json!({"sub": 7.5}), none),
        (json!({"sub": 7.0}), none),
        (json!({"sub": 1e30}), none),
        (json!({"sub": true}), none),
        (json!({"sub": null}), none),
        (json!({"sub": ["7"]}), none),
        (json!({"sub": {"id": "7"}}), none),
        (json!({"sub": ""}), none),
        (json!({"sub": "a\u{0}b"}), none),
        (json!({"sub": "a".repeat(256)}), none),
    ];
    assert_verdicts(site(|_| {}), &table).await;
    let other = site(|config| config.user_claim = "user_id".to_owned());
    assert_verdicts(other, &[(json!({"user_id": 8}), Ok("8")), (json!({}), none)]).await;
}

#[tokio::test]
async fn claims_are_an_object_of_json() {
    let (issuer, tokens) = site(|_| {});
    for claims in ["", "null", "[]", "7", "{", "{}x", "\u{feff}{}", "{\"sub\":\"\\ud800\"}", "\"\""] {
        let token = issuer.sign(r#"{"alg":"HS256"}"#, claims);
        assert_eq!(tokens.verify(&token, now()).await, Ok(TokenVerdict::Refused(INVALID)), "{claims}");
    }
}
