//! Session data that Django's key has signed, whatever it says, and tokens that hide a secret.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use shared::fuzz::{Target, mutated, mutated_text};

use super::super::session_data::decode;
use super::*;

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    ".",
    "\"",
    "\\ud800",
    "\\u0000",
    "null",
    "7",
    "\"_auth_user_id\":",
    "\"_auth_user_hash\":\"h\"",
    "\"_csrftoken\":",
    "=",
    "-",
    "_",
    "\u{e9}",
];
const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

fn keys() -> Signer {
    Signer::new("salt", &Secret::new("key"), &[])
}

fn compressed(json: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json).expect("memory");
    encoder.finish().expect("memory")
}

fn signed(payload: &str) -> String {
    let signed = format!("{payload}:1r31eq");
    format!("{signed}:{}", keys().signature(&signed))
}

fn login() -> impl Strategy<Value = (String, String)> {
    ("[^\0]{0,20}", "[ -~é😀]{0,20}").prop_map(|(user, secret)| {
        let json = serde_json::json!({
            "_auth_user_id": user, "_auth_user_backend": BACKEND, "_auth_user_hash": "h", "_csrftoken": secret, "cart": [[1, {}]],
        });
        (user, json.to_string())
    })
}

#[test]
fn fuzz_a_signed_session_is_read_plain_or_compressed() {
    Target::new("sessions", file!()).run(login(), |(user, json)| {
        let plain = signed(&URL_SAFE_NO_PAD.encode(&json));
        let packed = signed(&format!(".{}", URL_SAFE_NO_PAD.encode(compressed(json.as_bytes()))));
        let found = decode(&plain, &keys());
        prop_assert_eq!(
            found.as_ref().and_then(|data| data.login.as_ref()).map(|login| &login.user),
            Some(&user)
        );
        prop_assert_eq!(&decode(&packed, &keys()), &found);
        Ok(())
    });
}

#[test]
fn fuzz_whatever_is_signed_is_a_session_as_json_reads_it_or_none() {
    let json = mutated(login().prop_map(|(_, json)| json.into_bytes()), WORDS);
    let zlib = mutated(login().prop_map(|(_, json)| compressed(json.as_bytes())), WORDS);
    Target::new("signed_nonsense", file!()).run((json, zlib), |(json, zlib)| {
        // Lone surrogates in what nobody reads are as good as in Python, and not to this reader.
        let seen: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
        for payload in
            [URL_SAFE_NO_PAD.encode(&json), format!(".{}", URL_SAFE_NO_PAD.encode(compressed(&json)))]
        {
            let login = decode(&signed(&payload), &keys()).and_then(|data| data.login);
            if let Some(login) = login.filter(|_| seen.is_object()) {
                prop_assert_eq!(Some(login.user.as_str()), seen["_auth_user_id"].as_str());
            }
        }
        let spoilt = signed(&format!(".{}", URL_SAFE_NO_PAD.encode(&zlib)));
        prop_assert_eq!(decode(&spoilt, &keys()), decode(&spoilt, &keys()));
        Ok(())
    });
}

#[test]
fn fuzz_a_spoilt_signature_is_no_session() {
    let spoilt = login().prop_flat_map(|(_, json)| {
        let sound = signed(&URL_SAFE_NO_PAD.encode(json));
        (Just(sound.clone()), mutated_text(Just(sound), WORDS))
    });
    Target::new("session_signatures", file!()).run(spoilt, |(sound, data)| {
        prop_assert_eq!(decode(&data, &keys()).is_some(), data == sound);
        Ok(())
    });
}

#[test]
fn a_signed_bomb_is_no_session() {
    let bomb = compressed(&[b' '; 2 * 1024 * 1024]);
    assert_eq!(decode(&signed(&format!(".{}", URL_SAFE_NO_PAD.encode(bomb))), &keys()), None);
}

/// Each token of a secret passes, and no other.
#[test]
fn fuzz_a_masked_token_is_its_secret() {
    let letters = |count: usize| proptest::collection::vec(0_usize..62, count);
    Target::new("csrf_tokens", file!()).run(
        (letters(32), letters(32), letters(32)),
        |(secret, mask, other)| {
            let text =
                |places: &[usize]| places.iter().map(|place| char::from(LETTERS[*place])).collect::<String>();
            let masked = |secret: &[usize]| {
                let hidden: Vec<_> =
                    secret.iter().zip(&mask).map(|(place, mask)| (place + mask) % 62).collect();
                text(&mask) + &text(&hidden)
            };
            for (token, passes) in
                [(text(&secret), true), (masked(&secret), true), (masked(&other), secret == other)]
            {
                let headers = headers(&[(COOKIE, &format!("csrftoken={}", text(&secret))), (TOKEN, &token)]);
                prop_assert_eq!(
                    csrf(CsrfRule::SameOrigin).check(&credentials(&headers), None).is_ok(),
                    passes
                );
            }
            Ok(())
        },
    );
}
