mod fuzz;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use http::header::COOKIE;
use proptest::prelude::*;
use shared::secret::Secret;

use super::*;

const KEY: &str = "first key: thirty-two characters";
const OTHER: &str = "other key: thirty-two characters";
const AGE: u64 = 1_209_600;

fn config() -> SessionConfig {
    SessionConfig {
        secret_key: Secret::new(KEY),
        fallbacks: Vec::new(),
        cookie_name: "djaffar_session".to_owned(),
        domain: None,
        same_site: SameSite::Lax,
        age: Duration::from_secs(AGE),
        expire_at_browser_close: false,
    }
}

fn sessions() -> Sessions {
    Sessions::new(&config()).expect("a sound configuration")
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

fn after(seconds: u64) -> DateTime<Utc> {
    noon() + TimeDelta::seconds(seconds.cast_signed())
}

fn headers(cookies: &[impl AsRef<[u8]>]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for cookie in cookies {
        headers.append(COOKIE, HeaderValue::from_bytes(cookie.as_ref()).expect("a header value"));
    }
    headers
}

fn set_cookie(resolved: &ResolvedSession) -> String {
    let value = resolved.set_cookie.as_ref().expect("a cookie is set");
    value.to_str().expect("ASCII").to_owned()
}

/// `name=value` of a cookie made at noon, and its session.
fn fresh(sessions: &Sessions) -> (String, SessionId) {
    let resolved = sessions.resolve(&HeaderMap::new(), noon(), Https::No);
    let cookie = set_cookie(&resolved).split(';').next().expect("a pair").to_owned();
    (cookie, resolved.id)
}

#[test]
fn a_visitor_without_cookie_gets_a_session() {
    let sessions = sessions();
    let resolved = sessions.resolve(&HeaderMap::new(), noon(), Https::No);
    assert_eq!(resolved.presented, PresentedSession::Absent);
    let id = resolved.id.as_str();
    assert_eq!(id.len(), 32);
    assert!(id.bytes().all(|digit| digit.is_ascii_digit() || digit.is_ascii_lowercase()));
    assert_eq!(&id[12..13], "7", "a time-ordered UUID");
    let cookie = set_cookie(&resolved);
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert!(pair.starts_with(&format!("djaffar_session={id}.")), "{pair}");
    assert_eq!(attributes, "Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax");
    assert!(resolved.set_cookie.expect("a cookie").is_sensitive());
}

#[test]
fn a_session_lasts_while_it_is_used() {
    let sessions = sessions();
    let (mut cookie, id) = fresh(&sessions);
    let mut now = noon();
    for _ in 0..20 {
        now += TimeDelta::seconds((AGE / 2).cast_signed());
        let resolved = sessions.resolve(&headers(&[&cookie]), now, Https::No);
        assert_eq!((resolved.presented, &resolved.id), (PresentedSession::Verified, &id));
        cookie = set_cookie(&resolved).split(';').next().expect("a pair").to_owned();
    }
}

#[test]
fn a_cookie_is_renewed_after_a_quarter_and_dies_at_its_age() {
    let sessions = sessions();
    let (cookie, id) = fresh(&sessions);
    let headers = headers(&[cookie]);
    for (seconds, presented, renewed) in [
        (0, PresentedSession::Verified, false),
        (AGE / 4 - 1, PresentedSession::Verified, false),
        (AGE / 4, PresentedSession::Verified, true),
        (AGE - 1, PresentedSession::Verified, true),
        (AGE, PresentedSession::Refused, true),
        (AGE * 1000, PresentedSession::Refused, true),
    ] {
        let resolved = sessions.resolve(&headers, after(seconds), Https::No);
        assert_eq!((resolved.presented, resolved.set_cookie.is_some()), (presented, renewed), "{seconds} s");
        assert_eq!(resolved.id == id, presented == PresentedSession::Verified, "{seconds} s");
    }
}

#[test]
fn a_cookie_from_the_future_is_refused_beyond_the_skew() {
    let sessions = sessions();
    let (cookie, id) = fresh(&sessions);
    let headers = headers(&[cookie]);
    let resolved = sessions.resolve(&headers, noon() - TimeDelta::seconds(60), Https::No);
    assert_eq!((resolved.id, resolved.set_cookie), (id, None));
    let resolved = sessions.resolve(&headers, noon() - TimeDelta::seconds(61), Https::No);
    assert_eq!(resolved.presented, PresentedSession::Refused);
    let resolved = sessions.resolve(&headers, DateTime::<Utc>::MIN_UTC, Https::No);
    assert_eq!(resolved.presented, PresentedSession::Refused);
}

#[test]
fn every_flipped_bit_is_a_forgery() {
    let sessions = sessions();
    let (cookie, id) = fresh(&sessions);
    let start = cookie.find('=').expect("a pair") + 1;
    for position in start..cookie.len() {
        for bit in 0..8 {
            let mut forged = cookie.clone().into_bytes();
            forged[position] ^= 1 << bit;
            let Ok(value) = HeaderValue::from_bytes(&forged) else { continue };
            let resolved = sessions.resolve(&headers(&[value]), noon(), Https::No);
            assert_ne!(resolved.id, id, "bit {bit} of byte {position}");
            assert_eq!(resolved.presented, PresentedSession::Refused, "bit {bit} of byte {position}");
        }
    }
}

#[test]
fn what_a_client_makes_up_is_never_adopted() {
    let sessions = sessions();
    let (_, id) = fresh(&Sessions::new(&with_key(OTHER, &[])).expect("a sound configuration"));
    let id = id.as_str();
    let mac = "A".repeat(43);
    for value in [
        String::new(),
        id.to_owned(),
        format!("{id}."),
        format!("{id}.006b49d200.{mac}"),
        format!("{}.006b49d200.{mac}", id.to_uppercase()),
        format!("{id}.006b49d200.{}", "=".repeat(43)),
        format!("{id}-006b49d200-{mac}"),
        "x".repeat(100_000),
    ] {
        let resolved = sessions.resolve(&headers(&[format!("djaffar_session={value}")]), noon(), Https::No);
        assert_eq!(resolved.presented, PresentedSession::Refused, "{value}");
        assert_ne!(resolved.id.as_str(), id);
    }
}

#[test]
fn the_first_cookie_that_verifies_counts() {
    let sessions = sessions();
    let (one, id) = fresh(&sessions);
    let (two, _) = fresh(&sessions);
    let (foreign, _) = fresh(&Sessions::new(&with_key(OTHER, &[])).expect("a sound configuration"));
    let many = format!("{}{one}; {two}", format!("{foreign}; djaffar_session=; ").repeat(100));
    for lines in [vec![many], vec![foreign, "a=b".to_owned(), format!("c=d; {one}; {two}")]] {
        let resolved = sessions.resolve(&headers(&lines), noon(), Https::No);
        assert_eq!((resolved.presented, resolved.id), (PresentedSession::Verified, id.clone()));
    }
}

fn with_key(key: &str, fallbacks: &[&str]) -> SessionConfig {
    let fallbacks = fallbacks.iter().map(|key| Secret::new(*key)).collect();
    SessionConfig { secret_key: Secret::new(key), fallbacks, ..config() }
}

#[test]
fn keys_rotate_without_losing_a_session() {
    let old = Sessions::new(&with_key(KEY, &[])).expect("a sound configuration");
    let learning = Sessions::new(&with_key(KEY, &[OTHER])).expect("a sound configuration");
    let swapped = Sessions::new(&with_key(OTHER, &[KEY])).expect("a sound configuration");
    let new = Sessions::new(&with_key(OTHER, &[])).expect("a sound configuration");
    let (cookie, id) = fresh(&old);
    let resolved = learning.resolve(&headers(&[&cookie]), after(1), Https::No);
    assert_eq!((resolved.id, resolved.set_cookie), (id.clone(), None));
    let resolved = swapped.resolve(&headers(&[&cookie]), after(1), Https::No);
    assert_eq!(resolved.id, id);
    let resigned = set_cookie(&resolved);
    let resigned = resigned.split(';').next().expect("a pair");
    for sessions in [&learning, &swapped, &new] {
        let resolved = sessions.resolve(&headers(&[resigned]), after(2), Https::No);
        assert_eq!((resolved.presented, &resolved.id), (PresentedSession::Verified, &id));
    }
    let resolved = new.resolve(&headers(&[cookie]), after(2), Https::No);
    assert_eq!(resolved.presented, PresentedSession::Refused);
}

#[test]
fn replicas_with_the_same_key_agree() {
    let (one, other) = (sessions(), sessions());
    let (cookie, id) = fresh(&one);
    assert_eq!(other.resolve(&headers(&[cookie]), after(5), Https::Yes).id, id);
}

#[test]
fn ids_are_unique_and_in_order_of_time() {
    let sessions = sessions();
    let ids: Vec<_> =
        (0..1000).map(|second| sessions.resolve(&HeaderMap::new(), after(second), Https::No).id).collect();
    assert!(ids.is_sorted());
    let same_time = (0..1000).map(|_| sessions.resolve(&HeaderMap::new(), noon(), Https::No).id);
    assert_eq!(same_time.collect::<BTreeSet<_>>().len(), 1000);
}

#[test]
fn attributes_follow_the_settings() {
    let named = |name: &str| SessionConfig { cookie_name: name.to_owned(), ..config() };
    for (config, https, expected) in [
        (config(), Https::Yes, "Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax; Secure"),
        (
            SessionConfig { same_site: SameSite::None, ..config() },
            Https::No,
            "Max-Age=1209600; Path=/; HttpOnly; SameSite=None; Secure",
        ),
        (
            SessionConfig { expire_at_browser_close: true, same_site: SameSite::Strict, ..config() },
            Https::No,
            "Path=/; HttpOnly; SameSite=Strict",
        ),
        (
            SessionConfig {
                domain: Some(".example.com".to_owned()),
                age: Duration::from_secs(60),
                ..config()
            },
            Https::No,
            "Max-Age=60; Domain=.example.com; Path=/; HttpOnly; SameSite=Lax",
        ),
        (named("__Host-session"), Https::No, "Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax; Secure"),
        (named("__session"), Https::No, "Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax"),
    ] {
        let sessions = Sessions::new(&config).expect("a sound configuration");
        let cookie = set_cookie(&sessions.resolve(&HeaderMap::new(), noon(), https));
        assert_eq!(cookie.split_once("; ").expect("attributes").1, expected);
    }
}

#[test]
fn a_browser_length_cookie_still_expires_by_its_issue_time() {
    let sessions = Sessions::new(&SessionConfig { expire_at_browser_close: true, ..config() });
    let sessions = sessions.expect("a sound configuration");
    let (cookie, _) = fresh(&sessions);
    let resolved = sessions.resolve(&headers(&[cookie]), after(AGE), Https::No);
    assert_eq!(resolved.presented, PresentedSession::Refused);
}

#[test]
fn refusals_name_the_setting_and_the_remedy() {
    let domain = |domain: &str| SessionConfig { domain: Some(domain.to_owned()), ..config() };
    let named = |name: &str| SessionConfig { cookie_name: name.to_owned(), ..config() };
    let aged = |age| SessionConfig { age, ..config() };
    for (config, start) in [
        (with_key("é".repeat(31).as_str(), &[]), "--secret-key must have 32 characters or more, not 31"),
        (with_key("", &[]), "--secret-key must have"),
        (with_key(KEY, &[OTHER, "short"]), "each of --secret-key-fallbacks must have 32"),
        (named(""), "--session-cookie-name must be"),
        (named("a b"), "--session-cookie-name must be"),
        (named("a;b"), "--session-cookie-name must be"),
        (domain(""), "--session-cookie-domain must be"),
        (domain("https://example.com"), "--session-cookie-domain must be"),
        (domain("example.com; Secure"), "--session-cookie-domain must be"),
        (domain("a..b"), "--session-cookie-domain must be"),
        (
            SessionConfig { cookie_name: "__host-session".to_owned(), ..domain("example.com") },
            "--session-cookie-domain contradicts",
        ),
        (aged(Duration::ZERO), "--session-age must be"),
        (aged(Duration::MAX), "--session-age must be"),
    ] {
        let refusal = Sessions::new(&config).map(|_| ()).expect_err("a refusal").to_string();
        assert!(refusal.starts_with(start), "{refusal}");
    }
    assert!(Sessions::new(&with_key(&"é".repeat(32), &[])).is_ok(), "any text, counted in characters");
}

proptest! {
    #[test]
    fn no_bytes_panic_or_yield_a_session(
        lines in prop::collection::vec("[ -~\\x80-\\xff]{0,200}", 0..4),
        value in "[0-9a-f]{32}[.][0-9a-f]{10}[.][A-Za-z0-9_-]{43}",
        https in prop_oneof![Just(Https::Yes), Just(Https::No)],
    ) {
        let mut lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        lines.push(format!("djaffar_session={value}").into_bytes());
        let resolved = sessions().resolve(&headers(&lines), noon(), https);
        prop_assert_eq!(resolved.presented, PresentedSession::Refused);
        prop_assert!(!value.starts_with(resolved.id.as_str()));
    }

    #[test]
    fn whatever_is_issued_verifies(issued in 0_i64..(1 << 40), skew in 0_i64..60) {
        let sessions = sessions();
        let Some(issued) = DateTime::from_timestamp(issued, 0) else { return Ok(()) };
        let resolved = sessions.resolve(&HeaderMap::new(), issued, Https::No);
        let cookie = set_cookie(&resolved);
        let again = sessions.resolve(&headers(&[cookie]), issued - TimeDelta::seconds(skew), Https::No);
        prop_assert_eq!(again.presented, PresentedSession::Verified);
        prop_assert_eq!(again.id, resolved.id);
    }
}
