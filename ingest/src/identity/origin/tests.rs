mod fuzz;

use proptest::prelude::*;

use super::*;

const ALLOWED: &str =
    "https://shop.example, http://localhost:3000,https://[2001:DB8::1]:8443 , capacitor://localhost";

fn rule() -> OriginRule {
    OriginRule::new(ALLOWED.parse().expect("origins"))
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    headers
}

#[test]
fn sec_fetch_site_decides_when_present() {
    use OriginVerdict::{Allowed, Foreign, Own};
    for (site, origin, expected) in [
        ("same-origin", None, Own),
        ("same-origin", Some("null"), Own),
        ("none", None, Own),
        ("same-site", None, Foreign),
        ("same-site", Some("https://example.com"), Foreign),
        ("same-site", Some("https://shop.example"), Allowed),
        ("cross-site", None, Foreign),
        ("cross-site", Some("null"), Foreign),
        ("cross-site", Some("https://example.com"), Foreign),
        ("cross-site", Some("https://shop.example"), Allowed),
        ("cross-site", Some("http://shop.example"), Foreign),
        ("same-origin, cross-site", None, Foreign),
        ("SAME-ORIGIN", None, Foreign),
        ("", None, Foreign),
    ] {
        let mut headers = headers(&[("host", "example.com"), (SEC_FETCH_SITE, site)]);
        if let Some(origin) = origin {
            headers.append(ORIGIN, HeaderValue::from_str(origin).expect("a header value"));
        }
        assert_eq!(rule().judge(&headers, None), expected, "{site} {origin:?}");
    }
    let twice = headers(&[(SEC_FETCH_SITE, "same-origin"), (SEC_FETCH_SITE, "same-origin")]);
    assert_eq!(rule().judge(&twice, None), Foreign);
}

#[test]
fn else_the_origin_must_be_our_host_or_allowed() {
    use OriginVerdict::{Allowed, Foreign, Own};
    for (origin, host, forwarded, expected) in [
        ("https://example.com", "example.com", None, Own),
        ("http://example.com", "example.com", None, Own),
        ("https://EXAMPLE.com", "Example.COM", None, Own),
        ("https://example.com", "example.com:443", None, Own),
        ("https://example.com:443", "example.com", None, Own),
        ("http://example.com", "example.com:80", None, Own),
        ("http://example.com:8080", "example.com:8080", None, Own),
        ("https://example.com", "example.com:8080", None, Foreign),
        ("http://example.com:8080", "example.com", None, Foreign),
        ("https://example.com", "example.com:80", None, Foreign),
        ("https://example.com", "evil.example.com", None, Foreign),
        ("https://evil.example.com", "example.com", None, Foreign),
        ("https://example.com.evil", "example.com", None, Foreign),
        ("https://example.com@evil.example", "example.com", None, Foreign),
        ("https://example.com@evil.example", "evil.example", None, Foreign),
        ("https://example.com", "user@example.com", None, Foreign),
        ("https://example.com/", "example.com", None, Foreign),
        ("https://example.com https://evil.example", "example.com", None, Foreign),
        ("https://example.com:0443", "example.com", None, Own),
        ("https://example.com:99999", "example.com", None, Foreign),
        ("https://example.com:", "example.com", None, Foreign),
        ("http://[::1]:8000", "[::1]:8000", None, Own),
        ("http://[::1]", "[0:0:0:0:0:0:0:1]:80", None, Own),
        ("http://[::1", "[::1]", None, Foreign),
        ("http://[::2]", "[::1]", None, Foreign),
        ("http://::1", "::1", None, Foreign),
        ("null", "example.com", None, Foreign),
        ("null", "null", None, Foreign),
        ("", "", None, Foreign),
        ("https://", "", None, Foreign),
        ("example.com", "example.com", None, Foreign),
        ("chrome-extension://example.com", "example.com", None, Foreign),
        ("https://\u{e9}.example", "\u{e9}.example", None, Foreign),
        ("https://example.com", "backend:9000", Some("example.com"), Own),
        ("https://example.com", "backend:9000", Some("example.com:443"), Own),
        ("https://example.com", "backend:9000", Some("evil.example"), Foreign),
        ("https://example.com", "backend:9000", None, Foreign),
        ("https://shop.example", "example.com", None, Allowed),
        ("https://SHOP.example:443", "example.com", None, Allowed),
        ("http://shop.example", "example.com", None, Foreign),
        ("https://shop.example:8443", "example.com", None, Foreign),
        ("http://localhost:3000", "example.com", None, Allowed),
        ("http://localhost", "example.com", None, Foreign),
        ("https://[2001:db8:0::1]:8443", "example.com", None, Allowed),
        ("capacitor://localhost", "example.com", None, Allowed),
    ] {
        let headers = headers(&[("host", host), ("origin", origin)]);
        assert_eq!(rule().judge(&headers, forwarded), expected, "{origin} {host} {forwarded:?}");
    }
}

#[test]
fn what_is_repeated_is_foreign_and_what_has_neither_is_no_browser() {
    let own = "https://example.com";
    for (pairs, expected) in [
        (vec![("origin", own), ("origin", own)], OriginVerdict::Foreign),
        (vec![("origin", own), ("origin", "https://shop.example")], OriginVerdict::Foreign),
        (vec![("origin", own), ("host", "other.example")], OriginVerdict::Foreign),
        (vec![], OriginVerdict::NotABrowser),
        (vec![("referer", "https://evil.example/")], OriginVerdict::NotABrowser),
        (
            vec![("x-forwarded-host", "evil.example"), ("origin", "https://evil.example")],
            OriginVerdict::Foreign,
        ),
    ] {
        let mut headers = headers(&pairs);
        headers.append(HOST, HeaderValue::from_static("example.com"));
        assert_eq!(rule().judge(&headers, None), expected, "{pairs:?}");
    }
    let without_host = headers(&[("origin", own)]);
    assert_eq!(rule().judge(&without_host, None), OriginVerdict::Foreign);
}

#[test]
fn settings_are_refused_with_a_sentence() {
    for (setting, expected) in [
        ("*", "`*` would let strangers' pages use the visitors' cookies"),
        ("https://*.example.com", "`https://*.example.com` would let"),
        ("https://example.com,*", "`*` would let"),
        ("null", "`null` stands for any sandboxed page"),
        ("example.com", "`example.com` lacks its scheme; write `https://example.com`"),
        ("https://example.com/", "an origin ends with its host or port; write `https://example.com`"),
        ("https://example.com/shop", "an origin ends with its host or port; write `https://example.com`"),
        ("https://example.com?a", "an origin ends"),
        ("https://user:password@example.com", "an origin has no user name or password"),
        ("https://\u{e9}.example", "`https://\u{e9}.example` must be written as browsers send it"),
        ("https://", "`https://` is not an origin"),
        ("https://example.com:port", "`https://example.com:port` is not an origin"),
        ("https://a b", "`https://a b` is not an origin"),
    ] {
        let refusal = setting.parse::<AllowedOrigins>().expect_err("a refusal").to_string();
        assert!(refusal.starts_with("--allowed-origins: "), "{refusal}");
        assert!(refusal.contains(expected), "{refusal}");
        assert!(!refusal.contains("password@"), "no secrets: {refusal}");
    }
    assert!("".parse::<AllowedOrigins>().expect("nothing allowed").is_empty());
    assert!(!rule().allowed.allows(b"null"));
}

proptest! {
    #[test]
    fn no_text_panics(origin in "[ -~\\x80-\\xff]{0,60}", host in "[ -~\\x80-\\xff]{0,60}") {
        let headers = headers(&[("host", &host), ("origin", &origin)]);
        let verdict = rule().judge(&headers, Some(&origin));
        prop_assert!(verdict != OriginVerdict::NotABrowser);
        prop_assert!(origin.parse::<AllowedOrigins>().is_ok() || !origin.is_empty());
    }

    #[test]
    fn hosts_that_differ_are_foreign(one in "[a-z]{1,8}(:[1-9][0-9]{3})?", other in "[a-z]{1,8}(:[1-9][0-9]{3})?") {
        let headers = headers(&[("host", &one), ("origin", &format!("https://{other}"))]);
        let own = OriginRule::default().judge(&headers, None) == OriginVerdict::Own;
        prop_assert_eq!(own, one == other);
    }
}
