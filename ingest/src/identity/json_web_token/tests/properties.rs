use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::json;

use super::issuer::{Issuer, encode, now, user};
use crate::identity::authorization::TokenVerdict;
use crate::identity::json_web_token::{JsonWebTokens, JwtAlgorithm};

/// Algorithms of each family.
const FAMILIES: [JwtAlgorithm; 6] = [
    JwtAlgorithm::Hs256,
    JwtAlgorithm::Rs256,
    JwtAlgorithm::Ps256,
    JwtAlgorithm::Es256,
    JwtAlgorithm::Es384,
    JwtAlgorithm::EdDsa,
];

#[tokio::test]
async fn a_bit_flipped_anywhere_never_yields_a_user() {
    for algorithm in FAMILIES {
        let issuer = Issuer::new(algorithm);
        let tokens = issuer.verifier();
        let token = issuer.token(json!({}));
        assert_eq!(tokens.verify(&token, now()).await, Ok(user("7")));
        for bit in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Other bytes than ASCII are refused before anybody looks for a token.
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            let verdict = tokens.verify(&flipped, now()).await;
            assert!(matches!(verdict, Ok(TokenVerdict::Refused(_))), "{algorithm}, bit {bit}: {verdict:?}");
        }
    }
}

struct Site {
    runtime: tokio::runtime::Runtime,
    tokens: JsonWebTokens,
}

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Site { runtime, tokens: Issuer::new(JwtAlgorithm::Hs256).verifier() }
    })
}

fn yields_nobody(token: &str) -> bool {
    let Site { runtime, tokens } = site();
    matches!(runtime.block_on(tokens.verify(token, now())), Ok(TokenVerdict::Refused(_)))
}

proptest! {
    #[test]
    fn no_text_yields_a_user(text in ".*") {
        prop_assert!(yields_nobody(&text));
    }

    #[test]
    fn no_three_parts_yield_a_user(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 3)) {
        let token = parts.iter().map(encode).collect::<Vec<_>>().join(".");
        prop_assert!(yields_nobody(&token));
    }

    #[test]
    fn no_unsigned_claims_yield_a_user(
        header in r#"\{("alg":"HS256")?(,"(kid|crit|typ|alg)":("HS256"|\[\]|null|1))?\}"#,
        claims in r#"\{"sub":("7"|7|null),"exp":[0-9]{1,12}(,"[a-z]{3}":("x"|\[\]|1))?\}"#,
        signature in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let token = format!("{}.{}.{}", encode(header), encode(claims), encode(signature));
        prop_assert!(yields_nobody(&token));
    }

    /// Whatever is signed, nothing panics, and only a text or a whole number names somebody.
    #[test]
    fn signed_nonsense_does_no_harm(claims in r#"\{("sub":("7"|7|7.5|\[7\]|\{\}|true),)?("exp":(1900000000|1e9|"x"|null),)?"aud":(""|\[\]|7)\}|.{0,40}"#) {
        let token = Issuer::new(JwtAlgorithm::Hs256).sign(r#"{"alg":"HS256"}"#, &claims);
        prop_assert!(yields_nobody(&token));
    }
}
