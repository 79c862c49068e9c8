use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use shared::event::{SessionId, UserId};
use shared::lifecycle::{OwnedTask, spawn_owned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::authenticator::SiteSession;
use super::super::tests::credentials;
use super::*;
use crate::http::client_address::Https;
use crate::intake::{BodyFormat, FormBody};

const NOBODY: &str = r#"{"user": null, "session": null}"#;
const ZOE: &str = r#"{"user": "7", "session": "abcdefgh"}"#;

type Reply = dyn Fn(&str) -> String + Send + Sync;

/// A web server that answers what the test says, and keeps what it was asked.
struct TinySite {
    url: String,
    asked: Arc<Asked>,
    _serving: OwnedTask<()>,
}

#[derive(Default)]
struct Asked {
    heads: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl TinySite {
    async fn start(delay: Duration, reply: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/identity/", listener.local_addr().expect("an address"));
        let (asked, reply): (Arc<Asked>, Arc<Reply>) = (Arc::default(), Arc::new(reply));
        let serving = {
            let asked = Arc::clone(&asked);
            spawn_owned(async move {
                let mut connections = Vec::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.push(spawn_owned(serve(
                        stream,
                        Arc::clone(&asked),
                        Arc::clone(&reply),
                        delay,
                    )));
                }
            })
        };
        Self { url, asked, _serving: serving }
    }

    async fn answering(status: u16, headers: &str, body: &str) -> Self {
        let answer = answer(status, headers, body);
        Self::start(Duration::ZERO, move |_| answer.clone()).await
    }

    fn heads(&self) -> Vec<String> {
        self.asked.heads.lock().expect("not poisoned").clone()
    }

    fn site(&self) -> Site {
        self.site_with(|config| config)
    }

    fn site_with(&self, change: impl FnOnce(SiteConfig) -> SiteConfig) -> Site {
        let config = SiteConfig {
            url: self.url.parse().expect("a URL"),
            key: None,
            cookies: ShownCookies::All,
            connections_max: 4,
            csrf: CsrfRule::SameOrigin,
        };
        Site::new(&change(config), "djaffar_session", &look_up())
    }
}

async fn serve(mut stream: TcpStream, asked: Arc<Asked>, reply: Arc<Reply>, delay: Duration) {
    let mut bytes = Vec::new();
    while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        if !bytes.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(std::mem::take(&mut bytes)).expect("ASCII");
        asked.most.fetch_max(asked.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        asked.heads.lock().expect("not poisoned").push(head.clone());
        tokio::time::sleep(delay).await;
        asked.now.fetch_sub(1, Ordering::SeqCst);
        if stream.write_all(reply(&head).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn look_up() -> LookUpConfig {
    LookUpConfig { timeout: Duration::from_secs(20), ..LookUpConfig::default() }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a header"))
    });
    pairs.collect()
}

fn zoe() -> Identity {
    Identity {
        user: Some(UserId::new("7").expect("a user id")),
        session: SiteSession::Live(SessionId::new("abcdefgh").expect("a session id")),
    }
}

async fn ask(
    site: &Site,
    pairs: &[(&'static str, &str)],
    origin: OriginVerdict,
) -> Result<Identity, IdentityError> {
    let headers = headers(pairs);
    site.authenticate(&RequestCredentials { origin, ..credentials(&headers) }, ForTheSite::Yes).await
}

async fn ask_with_cookie(site: &Site) -> Result<Identity, IdentityError> {
    ask(site, &[("cookie", "sessionid=a")], OriginVerdict::Own).await
}

fn unreachable(answer: Result<Identity, IdentityError>) -> String {
    match answer {
        Err(IdentityError::Unreachable(Unreachable(reason))) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_credentials_the_site_is_not_asked() {
    let tiny = TinySite::answering(200, "", ZOE).await;
    let site = tiny.site();
    for pairs in [
        &[][..],
        &[("cookie", "djaffar_session=abc")],
        &[("cookie", "; nameless; djaffar_session=abc")],
        &[("origin", "http://a"), ("referer", "http://a/"), ("x-csrftoken", "t")],
    ] {
        assert_eq!(ask(&site, pairs, OriginVerdict::Own).await, Ok(Identity::ANONYMOUS), "{pairs:?}");
    }
    let claimed = headers(&[("authorization", "Token 1")]);
    let answer = site.authenticate(&credentials(&claimed), ForTheSite::No).await;
    assert_eq!((answer, tiny.heads()), (Ok(Identity::ANONYMOUS), vec![]));
}

#[tokio::test]
async fn the_site_names_user_and_session() {
    let user = |text: &str| Some(UserId::new(text).expect("a user id"));
    for (body, expected) in [
        (ZOE, zoe()),
        (NOBODY, Identity::ANONYMOUS),
        (r#"{"user": 7}"#, Identity::of_user(user("7"))),
        (r#"{"user": 18446744073709551615}"#, Identity::of_user(user("18446744073709551615"))),
        (r#"{"user": "é", "more": 1}"#, Identity::of_user(user("é"))),
        (r#"{"user": null, "session": "abcdefgh"}"#, Identity { user: None, ..zoe() }),
    ] {
        let tiny = TinySite::answering(200, "", body).await;
        assert_eq!(ask_with_cookie(&tiny.site()).await, Ok(expected), "{body}");
    }
}

#[tokio::test]
async fn the_site_refuses_a_credential() {
    let long = "x".repeat(201);
    let fixed = "Authentication credentials were refused.";
    for (headers, body, challenge, detail) in [
        (
            "WWW-Authenticate: Token\r\n",
            r#"{"detail": "Invalid token."}"#.to_owned(),
            "Token",
            "Invalid token.",
        ),
        ("", "no".to_owned(), "Bearer", fixed),
        ("WWW-Authenticate: \r\n", r#"{"detail": ["a"]}"#.to_owned(), "Bearer", fixed),
        ("WWW-Authenticate: \u{e9}\r\n", format!(r#"{{"detail": "{long}"}}"#), "Bearer", fixed),
        ("", r#"{"detail": " "}"#.to_owned(), "Bearer", fixed),
    ] {
        let tiny = TinySite::answering(401, headers, &body).await;
        let challenge = HeaderValue::from_static(challenge);
        let expected = IdentityError::Failed { challenge, detail: detail.into() };
        assert_eq!(ask_with_cookie(&tiny.site()).await, Err(expected));
    }
    for (body, detail) in [
        (r#"{"detail": "CSRF Failed: CSRF cookie not set."}"#, "CSRF Failed: CSRF cookie not set."),
        ("<html>", "The site does not permit this request."),
    ] {
        let tiny = TinySite::answering(403, "", body).await;
        let expected = IdentityError::Forbidden { detail: detail.into() };
        assert_eq!(ask_with_cookie(&tiny.site()).await, Err(expected));
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_no_anonymous_visitor() {
    let large = format!(r#"{{"user": null, "more": "{}"}}"#, "x".repeat(ANSWER_BYTES_MAX));
    for (status, body, reason) in [
        (200, "", "answered 200 with something else"),
        (200, "{}", "answered 200 with something else"),
        (200, r#"{"session": null}"#, "answered 200 with something else"),
        (200, r#"{"user": true}"#, "answered 200 with something else"),
        (200, r#"{"user": 7.5}"#, "answered 200 with something else"),
        (200, r#"{"user": null, "session": 1}"#, "answered 200 with something else"),
        (200, r#"{"user": ""}"#, "a user that cannot be stored"),
        (200, r#"{"user": "a\u0000"}"#, "a user that cannot be stored"),
        (200, r#"{"user": null, "session": ""}"#, "a session that is none"),
        (200, &large, "larger than 16384 bytes"),
        (204, "", "answered 204 where it should"),
        (400, "", "ALLOWED_HOSTS"),
        (404, NOBODY, "DJAFFAR_KEY"),
        (500, NOBODY, "answered 500"),
    ] {
        let tiny = TinySite::answering(status, "", body).await;
        let said = unreachable(ask_with_cookie(&tiny.site()).await);
        assert!(said.starts_with("--auth-url: ") && said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = TinySite::answering(200, "", ZOE).await;
    for status in [301, 302, 307, 308] {
        let tiny = TinySite::answering(status, &format!("Location: {}\r\n", target.url), "").await;
        let said = unreachable(ask_with_cookie(&tiny.site()).await);
        assert!(said.contains(&format!("answered {status}")) && said.contains("not followed"), "{said}");
    }
    assert_eq!(target.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn a_slow_site_and_one_that_is_away_are_unreachable() {
    let tiny = TinySite::start(Duration::from_secs(60), |_| answer(200, "", ZOE)).await;
    let impatient = LookUpConfig { timeout: Duration::from_millis(100), ..look_up() };
    let config = SiteConfig {
        url: tiny.url.parse().expect("a URL"),
        key: None,
        cookies: ShownCookies::All,
        connections_max: 1,
        csrf: CsrfRule::SameOrigin,
    };
    let site = Site::new(&config, "djaffar_session", &impatient);
    // The second would wait for the first one's connection.
    for _ in 0..2 {
        assert_eq!(unreachable(ask_with_cookie(&site).await), "no answer from auth_url within 100ms");
    }
    let nobody_listens = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", nobody_listens.local_addr().expect("an address"));
    drop(nobody_listens);
    let away = Site::new(&SiteConfig { url: url.parse().expect("a URL"), ..config }, "x", &look_up());
    let said = unreachable(ask_with_cookie(&away).await);
    assert!(said.starts_with(&format!("--auth-url: the site at {url}: cannot be asked: ")), "{said}");
}

#[tokio::test]
async fn a_site_is_asked_again_once_it_is_back() {
    let count = AtomicUsize::new(0);
    let tiny = TinySite::start(Duration::ZERO, move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => answer(503, "", ""),
        _ => answer(200, "", ZOE),
    });
    let tiny = tiny.await;
    let site = tiny.site();
    assert!(unreachable(ask_with_cookie(&site).await).contains("answered 503"));
    assert_eq!(ask_with_cookie(&site).await, Ok(zoe()));
}

#[tokio::test]
async fn fifty_requests_of_one_browser_make_one_question() {
    let tiny = TinySite::start(Duration::from_millis(50), |_| answer(200, "", ZOE)).await;
    let site = tiny.site();
    let all = join_all((0..50).map(|_| ask_with_cookie(&site))).await;
    assert!(all.iter().all(|answer| *answer == Ok(zoe())));
    assert_eq!(ask_with_cookie(&site).await, Ok(zoe()));
    assert_eq!(tiny.heads().len(), 1);
}

#[tokio::test]
async fn many_browsers_share_a_few_connections() {
    let tiny = TinySite::start(Duration::from_millis(10), |_| answer(200, "", ZOE)).await;
    let site = tiny.site();
    let all = (0..40).map(|number| {
        let site = &site;
        async move { ask(site, &[("cookie", &format!("sessionid={number}"))], OriginVerdict::Own).await }
    });
    assert!(join_all(all).await.iter().all(|answer| *answer == Ok(zoe())));
    assert_eq!(tiny.heads().len(), 40);
    assert_eq!(tiny.asked.most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn the_site_sees_what_identifies_and_nothing_else() {
    let tiny = TinySite::answering(200, "", ZOE).await;
    let site = tiny.site_with(|config| SiteConfig { key: Some(Secret::new("shared")), ..config });
    let sent = headers(&[
        ("cookie", "sessionid=a; djaffar_session=b;csrftoken=\"c\""),
        ("authorization", "Token 1"),
        ("origin", "https://shop.example"),
        ("referer", "https://shop.example/cart?x=1"),
        ("x-csrftoken", "t"),
        ("host", "inner:8080"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-user", "admin"),
        ("djaffar-key", "forged"),
        ("user-agent", "u"),
    ]);
    let request = RequestCredentials {
        origin: OriginVerdict::NotABrowser,
        https: Https::Yes,
        host: Some("shop.example"),
        ..credentials(&sent)
    };
    assert_eq!(site.authenticate(&request, ForTheSite::Yes).await, Ok(zoe()));
    let heads = tiny.heads();
    let mut lines: Vec<_> = heads[0].trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "POST /identity/ HTTP/1.1",
            "authorization: Token 1",
            "content-length: 0",
            "cookie: sessionid=a; csrftoken=\"c\"",
            "djaffar-key: shared",
            "host: shop.example",
            "origin: https://shop.example",
            "referer: https://shop.example/",
            "x-csrftoken: t",
            "x-forwarded-host: shop.example",
            "x-forwarded-proto: https",
        ]
    );
}

#[tokio::test]
async fn only_the_cookies_that_are_named_are_shown() {
    let tiny = TinySite::answering(200, "", ZOE).await;
    let named = ShownCookies::Named(vec!["sessionid".to_owned(), "csrftoken".to_owned()]);
    let site = tiny.site_with(|config| SiteConfig { cookies: named, ..config });
    // What changes with every page is not shown, so that these are one question.
    for cookies in ["_ga=1; sessionid=a", "_ga=2;sessionid=a; sessionids=b", "sessionid=a"] {
        assert_eq!(ask(&site, &[("cookie", cookies)], OriginVerdict::Own).await, Ok(zoe()));
    }
    assert_eq!(ask(&site, &[("cookie", "_ga=3")], OriginVerdict::Own).await, Ok(Identity::ANONYMOUS));
    assert_eq!(tiny.heads().len(), 1);
    assert!(tiny.heads()[0].contains("cookie: sessionid=a\r\n"));
}

#[tokio::test]
async fn the_site_looks_for_its_csrf_token_unless_the_browser_has_proved_its_origin() {
    for (csrf, origin, method) in [
        (CsrfRule::SameOrigin, OriginVerdict::Own, "GET"),
        (CsrfRule::SameOrigin, OriginVerdict::Allowed, "GET"),
        (CsrfRule::SameOrigin, OriginVerdict::NotABrowser, "POST"),
        (CsrfRule::SameOrigin, OriginVerdict::Foreign, "POST"),
        (CsrfRule::Strict, OriginVerdict::Own, "POST"),
        (CsrfRule::Strict, OriginVerdict::Allowed, "POST"),
    ] {
        let tiny = TinySite::answering(200, "", NOBODY).await;
        let site = tiny.site_with(|config| SiteConfig { csrf, ..config });
        let pairs = [("cookie", "sessionid=a"), ("x-csrftoken", "t")];
        assert_eq!(ask(&site, &pairs, origin).await, Ok(Identity::ANONYMOUS));
        let head = &tiny.heads()[0];
        assert!(head.starts_with(method), "{head}");
        assert_eq!(head.contains("x-csrftoken: t"), method == "POST", "{head}");
    }
}

#[tokio::test]
async fn a_token_in_the_form_goes_before_one_in_the_header() {
    let tiny = TinySite::answering(200, "", NOBODY).await;
    let sent = headers(&[("cookie", "sessionid=a"), ("x-csrftoken", "header")]);
    let body = Bytes::from_static(b"csrfmiddlewaretoken=form");
    let form = Some(FormBody { format: &BodyFormat::Form, bytes: &body });
    let request = RequestCredentials { form, ..credentials(&sent) };
    tiny.site().authenticate(&request, ForTheSite::Yes).await.expect("nobody");
    assert!(tiny.heads()[0].contains("x-csrftoken: form"), "{:?}", tiny.heads());
}

#[tokio::test]
async fn a_foreign_page_never_uses_the_visitors_cookies() {
    let cookie = ("cookie", "sessionid=a");
    let known = TinySite::answering(200, "", ZOE).await;
    let site = known.site();
    assert_eq!(ask(&site, &[cookie], OriginVerdict::Foreign).await, Err(IdentityError::ForeignOrigin));
    // The answer is the same to another page, whose request counts.
    assert_eq!(ask(&site, &[cookie], OriginVerdict::NotABrowser).await, Ok(zoe()));
    assert_eq!(ask(&site, &[cookie, ("authorization", "Token 1")], OriginVerdict::Foreign).await, Ok(zoe()));
    assert!(known.heads().last().is_some_and(|head| !head.contains("cookie:")), "{:?}", known.heads());
    let claimed = headers(&[cookie, ("authorization", "Token 1")]);
    let foreign = RequestCredentials { origin: OriginVerdict::Foreign, ..credentials(&claimed) };
    assert_eq!(site.authenticate(&foreign, ForTheSite::No).await, Ok(Identity::ANONYMOUS));

    let session_alone = TinySite::answering(200, "", r#"{"user": null, "session": "abcdefgh"}"#).await;
    let answer = ask(&session_alone.site(), &[cookie], OriginVerdict::Foreign).await;
    assert_eq!(answer, Err(IdentityError::ForeignOrigin));
    let nobody = TinySite::answering(200, "", NOBODY).await;
    assert_eq!(ask(&nobody.site(), &[cookie], OriginVerdict::Foreign).await, Ok(Identity::ANONYMOUS));
}

#[tokio::test]
async fn a_check_asks_without_credentials() {
    for (status, body, expected) in [
        (200, NOBODY, Ok("it answers 200: nobody, without credentials")),
        (401, r#"{"detail": "Log in."}"#, Ok("it answers 401 without credentials: Log in.")),
        (403, r#"{"detail": "Log in."}"#, Ok("it answers 403 without credentials: Log in.")),
        (200, ZOE, Err("--auth-url: the site names somebody where no credentials were shown")),
    ] {
        let tiny = TinySite::answering(status, "", body).await;
        let site = tiny.site_with(|config| SiteConfig { key: Some(Secret::new("shared")), ..config });
        let expected = expected.map(str::to_owned).map_err(|reason: &str| Unreachable(reason.to_owned()));
        assert_eq!(site.probe().await, expected);
        assert!(
            tiny.heads()[0].starts_with("GET /identity/") && tiny.heads()[0].contains("djaffar-key: shared")
        );
    }
}

#[test]
fn questions_differ_where_the_same_letters_stand_elsewhere() {
    let question = |pairs: &[(&'static str, &str)]| {
        let headers = headers(pairs);
        let question = Question::new(
            &credentials(&headers),
            ForTheSite::Yes,
            &ShownCookies::All,
            "x",
            CsrfRule::SameOrigin,
        );
        question.expect("credentials").digest()
    };
    let two = question(&[("authorization", "Token 1"), ("cookie", "s=1")]);
    assert_ne!(two, question(&[("authorization", "Token 1cookies=1")]));
    assert_ne!(two, question(&[("authorization", "Token 1"), ("cookie", "s=1x-forwarded-protohttp")]));
}

proptest! {
    /// Different credentials are never one question, however they are cut.
    #[test]
    fn questions_differ_where_credentials_do(first in "[a-z=; ]{0,12}", second in "[a-z=; ]{0,12}") {
        let question = |cookie: &str, authorization: &str| {
            let headers = headers(&[("cookie", cookie), ("authorization", authorization)]);
            let request = credentials(&headers);
            Question::new(&request, ForTheSite::Yes, &ShownCookies::All, "x", CsrfRule::SameOrigin)
                .expect("an authorization")
        };
        let one = question("s=1", &first);
        prop_assert_eq!(one.digest() == question("s=1", &second).digest(), first == second);
        prop_assert_ne!(one.digest(), question("s=2", &first).digest());
    }
}
