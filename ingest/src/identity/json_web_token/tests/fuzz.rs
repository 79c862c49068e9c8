//! Tokens, sets of keys and PEM that are nearly right.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shared::fuzz::{Target, mutated, mutated_text};

use super::issuer::{Issuer, NOW, encode, now};
use crate::identity::authorization::TokenVerdict;
use crate::identity::json_web_token::claims::ClaimRules;
use crate::identity::json_web_token::compact::CompactToken;
use crate::identity::json_web_token::key_set::KeySet;
use crate::identity::json_web_token::{JwtAlgorithm, pem};

const ALGORITHMS: [JwtAlgorithm; 5] =
    [JwtAlgorithm::Rs256, JwtAlgorithm::Ps256, JwtAlgorithm::Es256, JwtAlgorithm::Es384, JwtAlgorithm::EdDsa];
const WORDS: &[&str] = &[
    ".",
    "=",
    "-",
    "_",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "1e400",
    "-1",
    "9223372036854775808",
    "\"alg\":",
    "\"none\"",
    "\"HS256\"",
    "\"kid\":",
    "\"crit\":[]",
    "\"exp\":",
    "\"nbf\":",
    "\"sub\":",
    "\"aud\":",
    "\"iss\":",
    "\"kty\":\"oct\"",
    "\"d\":",
    "\"use\":\"enc\"",
    "\"key_ops\":[]",
    "AA",
    "-----BEGIN PUBLIC KEY-----",
    "-----END PUBLIC KEY-----",
];

fn rules() -> ClaimRules {
    ClaimRules {
        issuers: vec!["site".to_owned()],
        audiences: vec!["djaffar".to_owned()],
        leeway_seconds: 60,
        user_claim: "sub".to_owned(),
        required: &[],
        password_claim: Some("hash"),
    }
}

#[test]
fn fuzz_a_spoilt_token_is_nobodys() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let issuer = Issuer::new(JwtAlgorithm::Hs256);
    let tokens = issuer.verifier();
    let sound = issuer.token(serde_json::json!({}));
    Target::new("tokens", file!()).run(mutated_text(Just(sound.clone()), WORDS), |token| {
        let verdict = runtime.block_on(tokens.verify(&token, now())).expect("nobody to ask");
        prop_assert_eq!(matches!(verdict, TokenVerdict::Verified(_)), token == sound);
        // What is signed is what was sent, and each part has one spelling.
        if let Some(parsed) = CompactToken::parse(&token, &[JwtAlgorithm::Hs256]) {
            let parts: Vec<_> = token.split('.').collect();
            prop_assert_eq!(parts.len(), 3);
            prop_assert_eq!(
                (encode(&parsed.claims), encode(&parsed.signature)),
                (parts[1].to_owned(), parts[2].to_owned())
            );
            prop_assert_eq!(parsed.message, &token.as_bytes()[..token.len() - parts[2].len() - 1]);
        }
        Ok(())
    });
}

#[test]
fn fuzz_signed_claims_are_believed_only_as_they_must_be() {
    let claims =
        format!(r#"{{"iss":"site","aud":["djaffar"],"sub":"7","exp":{},"nbf":0,"hash":"A"}}"#, NOW + 60);
    Target::new("claims", file!()).cases(200).run(mutated(Just(claims.into_bytes()), WORDS), |claims| {
        let checked = rules().check(&claims, now());
        prop_assert_eq!(rules().check(&claims, now()).is_ok(), checked.is_ok());
        let Ok(accepted) = checked else { return Ok(()) };
        // A reader of JSON that knows none of the rules sees the same, unless there are lone surrogates in what nobody reads.
        let Ok(seen) = serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(&claims) else {
            return Ok(());
        };
        prop_assert_eq!(&seen["iss"], "site");
        let is_ours = |audience: &serde_json::Value| audience == "djaffar";
        prop_assert!(
            is_ours(&seen["aud"]) || seen["aud"].as_array().is_some_and(|named| named.iter().any(is_ours))
        );
        let user = seen["sub"].as_str().map_or_else(|| seen["sub"].to_string(), str::to_owned);
        prop_assert_eq!(accepted.user.as_str(), user);
        prop_assert!(
            accepted.ends > NOW && seen["exp"].as_f64().is_some_and(|ends| ends + 60.0 >= NOW as f64)
        );
        Ok(())
    });
}

#[test]
fn fuzz_a_set_of_keys_serves_no_more_than_it_says() {
    let keys: Vec<_> =
        ALGORITHMS.iter().map(|algorithm| Issuer::new(*algorithm).jwk(algorithm.name())).collect();
    let document = serde_json::json!({ "keys": keys }).to_string();
    let token = Issuer::new(JwtAlgorithm::Es256).signature(b"message");
    Target::new("key_sets", file!()).run(mutated(Just(document.into_bytes()), WORDS), |json| {
        match KeySet::parse(&json, &ALGORITHMS) {
            Ok(set) => {
                let count: usize =
                    ALGORITHMS.iter().map(|algorithm| set.find(*algorithm, None).count()).sum();
                prop_assert!((1..=64 * ALGORITHMS.len()).contains(&count));
                for algorithm in ALGORITHMS {
                    // None of these keys has signed that.
                    prop_assert!(
                        !set.find(algorithm, None).any(|key| key.verifies(algorithm, b"message", &token))
                    );
                    prop_assert!(set.find(algorithm, None).all(|key| key.family() == algorithm.family()));
                }
                prop_assert_eq!(set.find(JwtAlgorithm::Hs256, None).count(), 0);
            }
            Err(reason) => {
                prop_assert!(reason.starts_with("is no ") || reason.starts_with("holds "), "{}", reason)
            }
        }
        Ok(())
    });
}

#[test]
fn fuzz_pem_is_public_keys_or_refused() {
    let keys: Vec<_> = ALGORITHMS.iter().map(|algorithm| Issuer::new(*algorithm).public()).collect();
    Target::new("pem", file!()).run(mutated_text(Just(keys.concat()), WORDS), |text| {
        if let Ok(keys) = pem::public_keys(&text) {
            // The dashes of one block's end may be those of the next one's begin.
            prop_assert!(pem::is_pem(&text) && keys.len() <= text.matches("-----BEGIN ").count());
        }
        Ok(())
    });
}
