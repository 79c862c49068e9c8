//! Texts that look like origins.

use proptest::prelude::*;
use shared::fuzz::{Target, mutated_text, one_of};

use super::super::origin_text::{Authority, OriginText};

const WORDS: &[&str] = &[
    "://", ":", "/", "@", "[", "]", ".", "%", "?", "#", ":443", ":80", ":65536", "null", "http", "https",
    "\u{e9}", "\u{130}", " ",
];

#[test]
fn fuzz_an_origin_equals_itself_and_no_other_host() {
    let origins = one_of(&[
        "https://shop.example.com",
        "http://127.0.0.1:8080",
        "https://[2001:db8::1]:8443",
        "HTTPS://Example.COM:443",
        "chrome-extension://abc",
    ]);
    Target::new("origins", file!()).cases(200).run(mutated_text(origins, WORDS), |text| {
        let Some(origin) = OriginText::parse(&text) else { return Ok(()) };
        prop_assert!(
            text.is_ascii() && !text.contains(['@', '/', '?', '#', ' ', '%']) || text.contains("://")
        );
        prop_assert!(origin.equals(origin));
        let upper = text.to_ascii_uppercase();
        prop_assert!(OriginText::parse(&upper).is_some_and(|upper| upper.equals(origin)));
        let longer = format!("{text}1");
        prop_assert!(OriginText::parse(&longer).is_none_or(|longer| !longer.equals(origin)));
        let (scheme, host) = text.split_once("://").expect("as it was parsed");
        prop_assert!(!host.contains(['/', '@', '?', '#', ' ', '%']));
        let authority = Authority::parse(host).expect("as it was parsed");
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        prop_assert_eq!(origin.is_served_by(authority), is_web);
        let prefixed = format!("evil.{host}");
        prop_assert!(Authority::parse(&prefixed).is_none_or(|evil| !origin.is_served_by(evil)));
        Ok(())
    });
}
