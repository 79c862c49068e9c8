//! Djaffar asks the shop itself: any sessions, any tokens.

use std::time::Duration;

use djaffar_tests::process::{Djaffar, djaffar};
use djaffar_tests::{free_port, wait_until};
use futures_util::future::join_all;
use serde_json::json;

use crate::beside::{Beside, Database, Page, Place, cookie};
use crate::csrf::rest_framework;
use crate::shop::{Age, CHANGE_LIMIT, Plan, Shop};

const SHARED_KEY: &str = "what djaffar and the shop share";

fn asking(place: &Place, shop: &Shop) -> Djaffar {
    with_the_question(place.djaffar(), shop)
}

fn with_the_question(djaffar: Djaffar, shop: &Shop) -> Djaffar {
    djaffar
        .with("--auth-url", shop.url("/djaffar/identity/"))
        .with("--auth-url-key", SHARED_KEY)
        .with("--auth-cookies", "sessionid,csrftoken")
}

async fn start(age: Age, change: impl FnOnce(Plan) -> Plan) -> Beside {
    let place = Place::new(Database::Sqlite).await;
    let files = place.directory.path().join("sessions");
    std::fs::create_dir(&files).expect("a folder");
    let plan = place.plan(age).with("SHOP_KEY", SHARED_KEY).with("SHOP_FILES", &files.display().to_string());
    Beside::start(place, &change(plan), asking).await
}

/// What the shop says counts, whatever its sessions are.
async fn assert_asked(age: Age, sessions: &str) {
    let beside = start(age, |plan| plan.with("SHOP_SESSIONS", sessions)).await;
    let (user, session) = beside.shop.visitor();
    let (row, logged) = beside.stored_with_session(&session).await;
    assert_eq!(
        (&row["user"], &row["session"], &row["djangos"]),
        (&json!(user), &json!(session), &json!(true))
    );
    assert_eq!(logged.response.header("set-cookie"), None);

    let anonymous = beside.shop.text("anonymous_session", json!({"basket": 1}));
    let (row, _) = beside.stored_with_session(&anonymous).await;
    assert_eq!((&row["user"], &row["session"]), (&json!(null), &json!(anonymous)));

    // None is begun in this mode: the visitor's is one of ours.
    let (row, logged) = beside.stored(&[]).await;
    assert_eq!(
        (&row["user"], &row["djangos"], logged.cookie("sessionid")),
        (&json!(null), &json!(false), None)
    );
    assert!(logged.cookie("djaffar_session").is_some());
    let unknown = "0123456789abcdefghijklmnopqrstuv";
    let (row, logged) = beside.stored_with_session(unknown).await;
    assert_eq!(
        (&row["user"], &row["djangos"], logged.cookie("sessionid")),
        (&json!(null), &json!(false), None)
    );

    assert_csrf(&beside, &user, &session).await;
    beside.shop.tell("log_out", json!({"session": session}));
    beside.wait_for_nobody(&[("Cookie", &cookie(&session))]).await;
}

async fn assert_csrf(beside: &Beside, user: &str, session: &str) {
    let tokens = beside.shop.tell("csrf_token", json!({}));
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    let cookies = format!("{}; csrftoken={}", cookie(session), token("secret"));
    let (masked, other) = (token("masked"), token("other"));
    for (page, headers, status) in [
        (Page::Unknown, vec![("Cookie", &cookies)], 403),
        (Page::Unknown, vec![("Cookie", &cookies), ("X-CSRFToken", &other)], 403),
        (Page::Unknown, vec![("Cookie", &cookies), ("X-CSRFToken", &masked)], 204),
        (Page::OfTheSite, vec![("Cookie", &cookies)], 204),
        (Page::Foreign, vec![("Cookie", &cookies)], 403),
        (Page::Foreign, vec![], 204),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let logged = beside.log(page, &headers).await;
        assert_eq!(logged.response.status, status, "{page:?} {headers:?} {logged:?}");
        match (status, page) {
            (403, Page::Unknown) => assert!(logged.detail().starts_with("CSRF Failed: CSRF "), "{logged:?}"),
            (204, Page::Unknown | Page::OfTheSite) => {
                assert_eq!(beside.row(&logged.path).await["user"], json!(user));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn sessions_in_the_cache_alone_count() {
    assert_asked(Age::Newest, "cache").await;
}

#[tokio::test]
async fn sessions_in_the_cache_alone_of_the_oldest_django_count() {
    assert_asked(Age::Oldest, "cache").await;
}

#[tokio::test]
async fn sessions_in_files_count() {
    assert_asked(Age::Newest, "file").await;
}

#[tokio::test]
async fn sessions_in_cache_and_table_count() {
    assert_asked(Age::Newest, "cached_db").await;
}

#[tokio::test]
async fn sessions_of_a_site_without_rest_framework_count() {
    let beside = start(Age::Oldest, |plan| plan.with("SHOP_REST_FRAMEWORK", "")).await;
    let (user, session) = beside.shop.visitor();
    let (row, _) = beside.stored_with_session(&session).await;
    assert_eq!((&row["user"], &row["session"]), (&json!(user), &json!(session)));
    assert_csrf(&beside, &user, &session).await;
}

/// The table has them too: they need not be asked for.
#[tokio::test]
async fn sessions_in_cache_and_table_are_looked_up() {
    let place = Place::new(Database::Postgres).await;
    let plan = place.plan(Age::Newest).with("SHOP_SESSIONS", "cached_db");
    let beside = Beside::start(place, &plan, |place, _| place.looking_up()).await;
    let (user, session) = beside.shop.visitor();
    let (row, _) = beside.stored_with_session(&session).await;
    assert_eq!((&row["user"], &row["session"]), (&json!(user), &json!(session)));
    let (_, logged) = beside.stored(&[]).await;
    let begun = logged.cookie("sessionid").expect("a session of Django's");
    assert_eq!(beside.shop.tell("session_user", json!({"session": begun}))["live"], json!(true));
}

#[tokio::test]
async fn tokens_are_the_sites_own_affair() {
    let beside = start(Age::Newest, |plan| plan).await;
    let (user, session) = beside.shop.visitor();
    let drf = format!("Token {}", beside.shop.text("drf_token", json!({"username": user})));
    let oauth =
        format!("Bearer {}", beside.shop.text("oauth_token", json!({"username": user, "seconds": 3600})));
    for token in [&drf, &oauth] {
        for page in [Page::OfTheSite, Page::Foreign, Page::Unknown] {
            let logged = beside.log(page, &[("Authorization", token)]).await;
            assert_eq!(logged.response.status, 204, "{logged:?}");
            assert_eq!(beside.row(&logged.path).await["user"], json!(user));
        }
    }
    beside.shop.tell("activate", json!({"username": user, "active": false}));
    wait_until("the token to be refused", CHANGE_LIMIT, || async {
        beside.log(Page::OfTheSite, &[("Authorization", &drf)]).await.response.status == 401
    })
    .await;
    // The site itself must let the test see its words.
    let key = ("Djaffar-Key", SHARED_KEY);
    for token in ["Token 0", "Token", &drf] {
        let logged =
            beside.log(Page::OfTheSite, &[("Authorization", token), ("Cookie", &cookie(&session))]).await;
        let (status, theirs) = rest_framework(&beside, &[("Authorization", token), key]).await;
        assert_eq!((logged.response.status, status), (401, 401), "{token}");
        assert_eq!(json!(logged.detail()), theirs["detail"], "{token}");
        assert_eq!(logged.response.header("www-authenticate"), Some("Token"));
    }
}

#[tokio::test]
async fn tokens_of_simplejwt_are_the_sites_own_affair() {
    for age in [Age::Newest, Age::Oldest] {
        let classes = "rest_framework_simplejwt.authentication.JWTAuthentication";
        let beside = start(age, |plan| plan.with("SHOP_AUTHENTICATION", classes)).await;
        let user = beside.shop.user();
        let token = |seconds: i64, kind: &str| {
            let order = json!({"username": user, "seconds": seconds, "kind": kind});
            format!("Bearer {}", beside.shop.text("simplejwt", order))
        };
        let (row, _) = beside.stored(&[("Authorization", &token(3600, "access"))]).await;
        assert_eq!(row["user"], json!(user));
        for refused in [token(-1, "access"), token(3600, "refresh"), "Bearer nothing".to_owned()] {
            let logged = beside.log(Page::OfTheSite, &[("Authorization", &refused)]).await;
            assert_eq!(logged.response.status, 401, "{logged:?}");
            assert_eq!(logged.detail(), "Given token not valid for any token type");
            assert_eq!(logged.response.header("www-authenticate"), Some("Bearer realm=\"api\""));
        }
    }
}

#[tokio::test]
async fn fifty_first_requests_of_one_browser_are_one_question() {
    let beside = start(Age::Newest, |plan| plan).await;
    let (user, session) = beside.shop.visitor();
    let mut patient = with_the_question(beside.place.djaffar_that_remembers_for("10min"), &beside.shop);
    patient.start_ready().await;
    let port = patient.listen().port();
    let headers = [("Cookie", &*cookie(&session))];
    let all = (0..50).map(|_| crate::beside::log(port, Page::OfTheSite, &headers, ""));
    for logged in join_all(all).await {
        assert_eq!(logged.response.status, 204, "{logged:?}");
        assert_eq!(beside.row(&logged.path).await["user"], json!(user));
    }
    let (_, metrics) = patient.admin("/metrics").await.expect("metrics");
    let asked: Vec<_> = metrics
        .lines()
        .filter(|line| {
            line.starts_with("djaffar_ingest_identity_look_ups_total{") && line.contains("auth_url")
        })
        .filter(|line| !line.ends_with(" 0"))
        .collect();
    assert!(asked.len() == 1 && asked[0].ends_with(" 1"), "{asked:?}");
}

#[tokio::test]
async fn a_site_that_is_away_is_waited_for() {
    let mut beside = start(Age::Newest, |plan| plan).await;
    let (user, session) = beside.shop.visitor();
    let plan = beside.place.plan(Age::Newest).with("SHOP_KEY", SHARED_KEY);
    let port = beside.shop.port();
    drop(std::mem::replace(&mut beside.shop, Shop::open(&plan, free_port())));
    let away = beside.log(Page::OfTheSite, &[("Cookie", &cookie(&session))]).await;
    assert_eq!(away.response.status, 503, "{away:?}");
    assert!(away.response.header("retry-after").is_some());
    // Nobody else is concerned.
    assert_eq!(beside.log(Page::OfTheSite, &[]).await.response.status, 204);
    beside.shop = Shop::open(&plan, port);
    wait_until("the site to be asked again", CHANGE_LIMIT, || async {
        beside.log(Page::OfTheSite, &[("Cookie", &cookie(&session))]).await.response.status == 204
    })
    .await;
    assert_eq!(beside.stored_with_session(&session).await.0["user"], json!(user));
}

#[tokio::test]
async fn a_check_says_what_the_site_answers() {
    let beside = start(Age::Newest, |plan| plan).await;
    let check = |key: &str, path: &str| {
        let url = beside.shop.url(path);
        let output = djaffar([
            "check",
            "--data-dir",
            &beside.place.directory.path().join("data").display().to_string(),
            "--auth-url",
            &url,
            "--auth-url-key",
            key,
        ]);
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (_, printed) = check(SHARED_KEY, "/djaffar/identity/");
    assert!(printed.contains("it answers 200: nobody, without credentials"), "{printed}");
    for (key, path, reason) in [
        ("another key", "/djaffar/identity/", "answered 404"),
        (SHARED_KEY, "/djaffar/identity", "redirects are not followed"),
        (SHARED_KEY, "/", "answered 200 with something else"),
    ] {
        let (code, printed) = check(key, path);
        assert!(code == Some(2) && printed.contains(reason), "{code:?} {printed}");
        assert!(!printed.contains(key), "{printed}");
    }
}

#[tokio::test]
async fn a_slow_site_does_not_hold_a_request_for_long() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = format!("http://{}/", listener.local_addr().expect("an address"));
    let place = Place::new(Database::Sqlite).await;
    let mut djaffar =
        place.impatient_djaffar().with("--auth-url", silent).with("--identity-timeout", "200ms");
    djaffar.start_ready().await;
    let port = djaffar.listen().port();
    let asked = crate::beside::log(port, Page::OfTheSite, &[("Cookie", "sessionid=abcdefgh")], "");
    let logged = tokio::time::timeout(Duration::from_secs(30), asked).await.expect("an answer");
    assert_eq!(logged.response.status, 503, "{logged:?}");
}
