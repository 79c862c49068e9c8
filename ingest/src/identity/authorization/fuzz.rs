//! `Authorization` headers against a plain model of them.

use proptest::prelude::*;
use shared::fuzz::{Target, mutated, one_of};

use super::*;

#[test]
fn fuzz_a_header_is_two_visible_words_or_refused() {
    let headers = prop_oneof![
        "[ \t]{0,2}[A-Za-z]{1,8}[ \t]{1,3}[!-~]{1,60}[ \t]{0,2}",
        one_of(&["Token 0123456789abcdef", "Bearer a.b.c", "Basic dXNlcjpwYXNz", "Token"]),
    ];
    let headers = mutated(
        headers.prop_map(String::into_bytes),
        &[" ", "\t", "Bearer", "Token ", "\u{e9}", "\0", "\u{7f}", "."],
    );
    Target::new("authorization_headers", file!()).run(headers, |header| {
        let words: Vec<_> = header.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        prop_assert_eq!(scheme(&header), words.first().copied().unwrap_or_default());
        let is_sound = words.len() == 2
            && words[1].len() <= TOKEN_BYTES_MAX
            && words[1].iter().all(u8::is_ascii_graphic);
        match token(&header) {
            Ok(token) => prop_assert!(is_sound && token.as_bytes() == words[1]),
            Err(detail) => prop_assert!(!is_sound && detail.starts_with("Invalid token header. ")),
        }
        // The challenge is a header, whatever the scheme.
        let is_failure = matches!(refused(scheme(&header), "x"), IdentityError::Failed { .. });
        prop_assert!(is_failure);
        Ok(())
    });
}
