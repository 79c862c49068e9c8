//! Held against what the real Django 3.2 and 5.2 have written: `identity/golden/django.json`.

mod fuzz;

use std::str::FromStr;

use bytes::Bytes;
use chrono::TimeDelta;
use http::header::{COOKIE, HOST, ORIGIN, REFERER};
use http::{HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::http::client_address::Https;
use crate::identity::tests::{cookie, credentials};
use crate::identity::{AccountsConfig, AllowedOrigins};
use crate::intake::{BodyFormat, FormBody};

const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";
const BACKEND: &str = "django.contrib.auth.backends.ModelBackend";

fn golden() -> Vec<Value> {
    serde_json::from_str(include_str!("../golden/django.json")).expect("golden vectors")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("{key} is no list"))
}

fn signer(salt: &str, vectors: &Value) -> Signer {
    let (key, old) = (Secret::new(text(vectors, "secret_key")), Secret::new(text(vectors, "old_secret_key")));
    Signer::new(salt, &key, &[old])
}

fn session_signer(vectors: &Value) -> Signer {
    signer(&format!("{}signer", text(vectors, "session_salt")), vectors)
}

fn logged_in(vectors: &Value) -> &Value {
    list(vectors, "sessions").iter().find(|session| session["name"] == "logged in").expect("a vector")
}

#[test]
fn sessions_of_the_real_django_are_read() {
    for vectors in golden() {
        let signer = session_signer(&vectors);
        for session in list(&vectors, "sessions") {
            let data = decode(text(session, "session_data"), &signer).expect("a good signature");
            let login = session["user"].as_str().map(|user| Login {
                user: user.to_owned(),
                backend: text(session, "backend").to_owned(),
                hash: text(session, "hash").to_owned(),
            });
            assert_eq!(data.login, login, "{session}");
        }
    }
}

fn decode(data: &str, signer: &Signer) -> Option<SessionData> {
    session_data::decode(data, signer)
}

#[test]
fn what_django_signs_we_sign_alike() {
    for vectors in golden() {
        let empty = list(&vectors, "sessions").iter().find(|session| session["name"] == "empty");
        let empty = empty.expect("a vector");
        let signed_at = DateTime::from_timestamp(empty["signed_at"].as_i64().expect("seconds"), 0);
        let ours = session_signer(&vectors).sign_with_time(b"{}", signed_at.expect("a date"));
        assert_eq!(ours, text(empty, "session_data"));
    }
}

#[test]
fn hashes_of_passwords_verify_under_the_key_and_its_fallbacks() {
    for vectors in golden() {
        let signer = signer("django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash", &vectors);
        for user in list(&vectors, "users") {
            let hashes = user["session_auth_hash"].as_object().expect("hashes");
            assert_eq!(hashes.len(), 2);
            for hash in hashes.values().filter_map(Value::as_str) {
                assert!(signer.verifies_hex(text(user, "password").as_bytes(), hash));
                assert!(!signer.verifies_hex(b"another", hash));
                assert!(!signer.verifies_hex(text(user, "password").as_bytes(), &hash.to_uppercase()));
            }
        }
    }
}

#[test]
fn a_bit_flipped_in_the_data_leaves_nobody() {
    for vectors in golden() {
        let (signer, data) = (session_signer(&vectors), text(logged_in(&vectors), "session_data").to_owned());
        for place in 0..data.len() {
            for bit in 0..7 {
                let mut bytes = data.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let flipped = String::from_utf8(bytes).expect("ASCII");
                assert_eq!(decode(&flipped, &signer), None, "byte {place}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_bomb_in_the_table_is_no_session() {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&b" ".repeat(64 << 20)).expect("memory");
    encoder.write_all(b"{}").expect("memory");
    let bomb = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        encoder.finish().expect("memory"),
    );
    let signer = Signer::new("salt", &Secret::new("key"), &[]);
    let text = format!(".{bomb}:0");
    // A good one, so that the limit is what is tested.
    let signature = signer.signature(&text);
    assert_eq!(decode(&format!("{text}:{signature}"), &signer), None);
}

/// A site's database with one user, who has logged in.
struct Site {
    _directory: tempfile::TempDir,
    database: IdentityDatabase,
    sessions: DjangoSessions,
}

async fn site(change: impl FnOnce(&mut DjangoConfig)) -> Site {
    let vectors = golden().pop().expect("vectors");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.sqlite3");
    std::fs::File::create(&path).expect("a file");
    let database = IdentityDatabase::new(&Secret::new(format!("sqlite:{}", path.display()))).expect("a URL");
    for sql in [
        "create table auth_user (id integer primary key, password varchar(128), is_active bool)",
        "create table django_session (session_key varchar(40) primary key, session_data text, expire_date datetime)",
    ] {
        database.rows(sql, &[]).await.expect("a table");
    }
    let user = &list(&vectors, "users")[0];
    database
        .rows("insert into auth_user values (7, $1, true)", &[text(user, "password")])
        .await
        .expect("a user");
    let data = text(logged_in(&vectors), "session_data");
    database
        .rows("insert into django_session values ($1, $2, '2030-01-01 00:00:00')", &[KEY, data])
        .await
        .expect("a session");
    let mut config = DjangoConfig {
        database: database.clone(),
        secret_key: Secret::new(text(&vectors, "secret_key")),
        secret_key_fallbacks: Vec::new(),
        session_cookie_name: "sessionid".to_owned(),
        session_table: TableName::from_str("django_session").expect("a name"),
        session_class: "SessionStore".to_owned(),
        backends: vec![BACKEND.to_owned()],
        csrf: CsrfRule::SameOrigin,
        csrf_cookie_name: "csrftoken".to_owned(),
        begun_per_second_max: 2,
    };
    change(&mut config);
    let accounts = AccountsConfig {
        database: database.clone(),
        table: TableName::from_str("auth_user").expect("a name"),
        key: "id".to_owned(),
    };
    let origins = OriginRule::new("https://shop.example".parse::<AllowedOrigins>().expect("origins"));
    let accounts = Arc::new(Accounts::new(accounts));
    let sessions = DjangoSessions::new(&config, accounts, origins, &cookie(), &LookUpConfig::default());
    Site { _directory: directory, database, sessions }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a date")
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).expect("a header")));
    pairs.collect()
}

fn with_cookie(cookie: &str) -> HeaderMap {
    headers(&[(COOKIE, cookie)])
}

fn own_page(headers: &HeaderMap) -> RequestCredentials<'_> {
    RequestCredentials { origin: OriginVerdict::Own, now: now(), ..credentials(headers) }
}

fn user_seven() -> Identity {
    Identity {
        user: UserId::new("7").ok(),
        session: SiteSession::Live(SessionId::new(KEY).expect("a session id")),
    }
}

impl Site {
    async fn visit(&self, cookie: &str) -> Result<Identity, IdentityError> {
        self.sessions.authenticate(&own_page(&with_cookie(cookie))).await
    }

    async fn change(&self, sql: &str) {
        self.database.rows(sql, &[]).await.expect("a change");
    }
}

#[tokio::test]
async fn a_live_session_names_its_user() {
    let site = site(|_| {}).await;
    assert_eq!(site.visit(&format!("a=b; sessionid={KEY}")).await, Ok(user_seven()));
    assert_eq!(site.visit(&format!("sessionid=other; sessionid={KEY}")).await, Ok(user_seven()));
    let absent = Identity { user: None, session: SiteSession::Absent };
    assert_eq!(site.visit("a=b").await, Ok(absent));
    for nobody in ["sessionid=", "sessionid=short", "sessionid=00000000000000000000000000000000"] {
        assert_eq!(site.visit(nobody).await, Ok(Identity::ANONYMOUS), "{nobody}");
    }
}

#[tokio::test]
async fn whoever_is_no_user_any_more_is_anonymous_in_a_live_session() {
    let anonymous =
        || Identity { user: None, session: SiteSession::Live(SessionId::new(KEY).expect("a session id")) };
    for change in [
        "update auth_user set is_active = false",
        "update auth_user set password = 'pbkdf2_sha256$1$changed'",
        "delete from auth_user",
        "update django_session set session_data = 'e30:' || session_data",
        "update django_session set session_data = ''",
    ] {
        let site = site(|_| {}).await;
        site.change(change).await;
        assert_eq!(site.visit(&format!("sessionid={KEY}")).await, Ok(anonymous()), "{change}");
    }
    let site = site(|config| config.backends = vec!["site.Backend".to_owned()]).await;
    assert_eq!(site.visit(&format!("sessionid={KEY}")).await, Ok(anonymous()));
}

#[tokio::test]
async fn a_session_that_has_ended_is_none() {
    for change in [
        "delete from django_session",
        "update django_session set expire_date = '2027-01-15 07:59:59.999999'",
        "update django_session set expire_date = '2027-01-15 08:00:00'",
    ] {
        let site = site(|_| {}).await;
        site.change(change).await;
        assert_eq!(site.visit(&format!("sessionid={KEY}")).await, Ok(Identity::ANONYMOUS), "{change}");
    }
}

#[tokio::test]
async fn a_remembered_session_still_ends_in_time() {
    let site = site(|_| {}).await;
    site.change("update django_session set expire_date = '2027-01-15 08:00:01'").await;
    let headers = with_cookie(&format!("sessionid={KEY}"));
    assert_eq!(site.sessions.authenticate(&own_page(&headers)).await, Ok(user_seven()));
    let later = RequestCredentials { now: now() + TimeDelta::seconds(1), ..own_page(&headers) };
    assert_eq!(site.sessions.authenticate(&later).await, Ok(Identity::ANONYMOUS));
}

#[tokio::test]
async fn a_database_that_cannot_be_asked_is_no_anonymous_visitor() {
    for change in ["drop table django_session", "drop table auth_user"] {
        let site = site(|_| {}).await;
        site.change(change).await;
        let answer = site.visit(&format!("sessionid={KEY}")).await;
        assert!(matches!(answer, Err(IdentityError::Unreachable(_))), "{change}: {answer:?}");
    }
}

#[tokio::test]
async fn a_bit_flipped_in_the_cookie_names_nobody() {
    let site = site(|_| {}).await;
    for place in 0..KEY.len() {
        for bit in 0..8 {
            let mut key = KEY.as_bytes().to_vec();
            key[place] ^= 1 << bit;
            let cookie = [b"sessionid=", &key[..]].concat();
            let Ok(value) = HeaderValue::from_bytes(&cookie) else { continue };
            let headers = [(COOKIE, value)].into_iter().collect();
            let answer = site.sessions.authenticate(&own_page(&headers)).await;
            assert_eq!(answer.map(|identity| identity.user), Ok(None), "byte {place}, bit {bit}");
        }
    }
}

#[tokio::test]
async fn a_foreign_page_may_not_use_the_session() {
    let site = site(|_| {}).await;
    let headers = with_cookie(&format!("sessionid={KEY}"));
    let foreign = RequestCredentials { origin: OriginVerdict::Foreign, ..own_page(&headers) };
    assert_eq!(site.sessions.authenticate(&foreign).await, Err(IdentityError::ForeignOrigin));
}

#[tokio::test]
async fn begun_sessions_are_djangos_own_and_bounded() {
    let site = site(|_| {}).await;
    let headers = HeaderMap::new();
    let request = RequestCredentials { https: Https::Yes, ..own_page(&headers) };
    let (one, two) = tokio::join!(site.sessions.begin(&request), site.sessions.begin(&request));
    let one = one.expect("an answer").expect("a session");
    assert!(two.expect("an answer").is_some());
    assert!(site.sessions.begin(&request).await.expect("an answer").is_none(), "two a second are permitted");
    let key = one.id.as_str();
    assert_eq!(key.len(), 32);
    let expected = format!("sessionid={key}; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(one.set_cookie.to_str().expect("ASCII"), expected);
    let known = site.visit(&format!("sessionid={key}")).await;
    assert_eq!(known, Ok(Identity { user: None, session: SiteSession::Live(one.id) }));
    let none = self::site(|config| config.begun_per_second_max = 0).await;
    assert!(none.sessions.begin(&request).await.expect("an answer").is_none());
}

/// What the CSRF check says of a request with these headers, without and with the browser's own proof.
fn csrf(rule: CsrfRule) -> Csrf {
    let origins = OriginRule::new("https://shop.example".parse().expect("origins"));
    Csrf::new(rule, "csrftoken".to_owned(), origins)
}

fn detail(answer: Result<(), IdentityError>) -> String {
    match answer {
        Ok(()) => String::new(),
        Err(IdentityError::Forbidden { detail }) => detail.into_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

const TOKEN: HeaderName = HeaderName::from_static("x-csrftoken");

#[test]
fn tokens_of_the_real_django_pass() {
    for vectors in golden() {
        for pair in list(&vectors, "csrf") {
            let secret = text(pair, "secret");
            let masked = list(pair, "masked").iter().filter_map(Value::as_str);
            for token in masked.clone().chain([secret]) {
                for cookie in masked.clone().chain([secret]) {
                    let headers = headers(&[(COOKIE, &format!("csrftoken={cookie}")), (TOKEN, token)]);
                    assert_eq!(csrf(CsrfRule::Strict).check(&credentials(&headers), None), Ok(()));
                }
                let headers = headers(&[(TOKEN, token)]);
                assert_eq!(csrf(CsrfRule::Strict).check(&credentials(&headers), Some(secret)), Ok(()));
            }
            let other = headers(&[
                (COOKIE, &format!("csrftoken={secret}")),
                (TOKEN, text(pair, "of_another_secret")),
            ]);
            assert_eq!(
                detail(csrf(CsrfRule::Strict).check(&credentials(&other), None)),
                "CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect."
            );
        }
    }
}

#[test]
fn what_proves_a_page_of_the_site() {
    let secret = "a".repeat(32);
    let none = HeaderMap::new();
    let token = headers(&[(COOKIE, &format!("csrftoken={secret}")), (TOKEN, &secret)]);
    for (rule, origin, headers, expected) in [
        (CsrfRule::SameOrigin, OriginVerdict::Own, &none, ""),
        (CsrfRule::SameOrigin, OriginVerdict::Allowed, &none, ""),
        (CsrfRule::SameOrigin, OriginVerdict::NotABrowser, &none, "CSRF Failed: CSRF cookie not set."),
        (CsrfRule::SameOrigin, OriginVerdict::NotABrowser, &token, ""),
        (CsrfRule::Strict, OriginVerdict::Own, &none, "CSRF Failed: CSRF cookie not set."),
        (CsrfRule::Strict, OriginVerdict::Own, &token, ""),
    ] {
        let request = RequestCredentials { origin, ..credentials(headers) };
        assert_eq!(detail(csrf(rule).check(&request, None)), expected, "{rule:?} {origin:?}");
    }
    let image = RequestCredentials { method: &Method::GET, ..credentials(&none) };
    assert_eq!(csrf(CsrfRule::SameOrigin).check(&image, None), Ok(()));
    assert!(csrf(CsrfRule::Strict).check(&image, None).is_err());
}

#[test]
fn the_texts_are_djangos() {
    let secret = "a".repeat(32);
    let cookie = format!("csrftoken={secret}");
    let other = "b".repeat(32);
    for (pairs, expected) in [
        (vec![(COOKIE, "csrftoken=a")], "CSRF cookie has incorrect length."),
        (vec![(COOKIE, cookie.as_str())], "CSRF token missing."),
        (
            vec![(COOKIE, cookie.as_str()), (TOKEN, "a")],
            "CSRF token from the 'X-Csrftoken' HTTP header has incorrect length.",
        ),
        (
            vec![(COOKIE, cookie.as_str()), (TOKEN, "-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")],
            "CSRF token from the 'X-Csrftoken' HTTP header has invalid characters.",
        ),
        (
            vec![(COOKIE, cookie.as_str()), (TOKEN, &other)],
            "CSRF token from the 'X-Csrftoken' HTTP header incorrect.",
        ),
    ] {
        let headers = headers(&pairs);
        let said = detail(csrf(CsrfRule::SameOrigin).check(&credentials(&headers), None));
        assert_eq!(said, format!("CSRF Failed: {expected}"));
    }
}

#[test]
fn a_form_may_hold_the_token() {
    let secret = "a".repeat(32);
    let headers = with_cookie(&format!("csrftoken={secret}"));
    for (body, expected) in [
        (format!("csrfmiddlewaretoken={secret}"), ""),
        (format!("csrfmiddlewaretoken={}", "b".repeat(32)), "CSRF Failed: CSRF token from POST incorrect."),
        ("csrfmiddlewaretoken=".to_owned(), "CSRF Failed: CSRF token missing."),
        ("csrfmiddlewaretoken=a".to_owned(), "CSRF Failed: CSRF token from POST has incorrect length."),
    ] {
        let bytes = Bytes::from(body);
        let form = Some(FormBody { format: &BodyFormat::Form, bytes: &bytes });
        let request = RequestCredentials { form, ..credentials(&headers) };
        assert_eq!(detail(csrf(CsrfRule::SameOrigin).check(&request, None)), expected);
    }
}

#[test]
fn over_https_the_referer_stands_in_for_the_origin() {
    let secret = "a".repeat(32);
    let cookie = format!("csrftoken={secret}");
    let token = [(COOKIE, cookie.as_str()), (TOKEN, secret.as_str()), (HOST, "site.example")];
    for (header, expected) in [
        (None, "Referer checking failed - no Referer."),
        (Some((REFERER, "site.example")), "Referer checking failed - Referer is malformed."),
        (Some((REFERER, "https://")), "Referer checking failed - Referer is malformed."),
        (
            Some((REFERER, "http://site.example/a")),
            "Referer checking failed - Referer is insecure while host is secure.",
        ),
        (
            Some((REFERER, "https://evil.example/site.example")),
            "Referer checking failed - Referer does not match any trusted origins.",
        ),
        (Some((REFERER, "https://site.example/a?b#c")), ""),
        (Some((REFERER, "https://shop.example/")), ""),
        (Some((ORIGIN, "https://site.example")), ""),
    ] {
        let headers = headers(&token.iter().cloned().chain(header.clone()).collect::<Vec<_>>());
        let request =
            RequestCredentials { https: Https::Yes, host: Some("site.example"), ..credentials(&headers) };
        let expected = if expected.is_empty() { String::new() } else { format!("CSRF Failed: {expected}") };
        assert_eq!(detail(csrf(CsrfRule::SameOrigin).check(&request, None)), expected, "{header:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_pass_for_a_token(cookie in "[ -~]{0,70}", token in "[ -~\\x80-\\xff]{0,70}", body in "[ -~]{0,70}") {
        let headers = headers(&[(COOKIE, &format!("csrftoken={}", "a".repeat(32))), (TOKEN, &token)]);
        let bytes = Bytes::from(format!("csrfmiddlewaretoken={body}"));
        let form = Some(FormBody { format: &BodyFormat::Form, bytes: &bytes });
        let request = RequestCredentials { form, ..credentials(&headers) };
        prop_assert!(csrf(CsrfRule::SameOrigin).check(&request, None).is_err());
        let headers = with_cookie(&cookie);
        prop_assert!(csrf(CsrfRule::SameOrigin).check(&credentials(&headers), None).is_err());
    }

    #[test]
    fn no_bytes_are_a_session(data in "[ -~]{0,300}", cookie in prop::collection::vec(any::<u8>(), 0..60)) {
        let signer = Signer::new("salt", &Secret::new("key"), &[]);
        prop_assert_eq!(decode(&data, &signer), None);
        if let Some(key) = SessionKey::new(&cookie) {
            prop_assert_eq!(key.as_str().as_bytes(), &cookie[..]);
        }
    }
}
