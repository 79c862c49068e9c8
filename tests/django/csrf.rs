//! A logged-in user's request has to come from the site: Django's tokens, and the browser's own proof.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::beside::{Beside, Database, Logged, Page, Place, cookie, log};
use crate::on_every_django;
use crate::shop::Age;

on_every_django!(
    the_browsers_proof_is_enough,
    a_token_is_enough,
    a_token_in_the_form_is_enough,
    a_wrong_token_is_refused_as_django_does,
    a_foreign_page_is_refused,
    nobody_needs_a_token,
    strict_needs_a_token_always,
);

/// A visitor with a CSRF cookie: user, `Cookie` header, and tokens.
struct Visitor {
    user: String,
    cookie: String,
    tokens: Value,
}

impl Visitor {
    fn new(beside: &Beside) -> Self {
        let (user, session) = beside.shop.visitor();
        let tokens = beside.shop.tell("csrf_token", json!({}));
        let secret = tokens["secret"].as_str().expect("a secret");
        Self { user, cookie: format!("csrftoken={secret}; {}", cookie(&session)), tokens }
    }

    fn token(&self, name: &str) -> &str {
        self.tokens[name].as_str().expect("a token")
    }
}

async fn assert_stored(beside: &Beside, logged: Logged, user: &str) {
    assert_eq!(logged.response.status, 204, "{logged:?}");
    assert_eq!(beside.row(&logged.path).await["user"], json!(user));
}

async fn the_browsers_proof_is_enough(beside: &Beside) {
    let visitor = Visitor::new(beside);
    let cookie = ("Cookie", visitor.cookie.as_str());
    let logged = beside.log(Page::OfTheSite, &[cookie]).await;
    assert_stored(beside, logged, &visitor.user).await;
    let by_origin = beside.log(Page::Unknown, &[cookie, ("Origin", "http://shop.example")]).await;
    assert_stored(beside, by_origin, &visitor.user).await;
}

async fn a_token_is_enough(beside: &Beside) {
    let visitor = Visitor::new(beside);
    for token in ["masked", "secret"] {
        let headers = [("Cookie", visitor.cookie.as_str()), ("X-CSRFToken", visitor.token(token))];
        let logged = beside.log(Page::Unknown, &headers).await;
        assert_stored(beside, logged, &visitor.user).await;
    }
}

async fn a_token_in_the_form_is_enough(beside: &Beside) {
    let visitor = Visitor::new(beside);
    let port = beside.djaffar.listen().port();
    let field = format!("&csrfmiddlewaretoken={}", visitor.token("masked"));
    let logged = log(port, Page::Unknown, &[("Cookie", &visitor.cookie)], &field).await;
    assert_stored(beside, logged, &visitor.user).await;
    // Django looks there first.
    let field = format!("&csrfmiddlewaretoken={}", visitor.token("other"));
    let headers = [("Cookie", visitor.cookie.as_str()), ("X-CSRFToken", visitor.token("masked"))];
    let logged = log(port, Page::Unknown, &headers, &field).await;
    assert_eq!(logged.response.status, 403, "{logged:?}");
}

async fn a_wrong_token_is_refused_as_django_does(beside: &Beside) {
    let visitor = Visitor::new(beside);
    let session = visitor.cookie.split("; ").last().expect("the session's cookie");
    let (all, other) = (visitor.cookie.as_str(), visitor.token("other"));
    let (short, odd) = ("x".repeat(31), "?".repeat(32));
    for headers in [
        vec![("Cookie", all)],
        vec![("Cookie", session)],
        vec![("Cookie", session), ("X-CSRFToken", other)],
        vec![("Cookie", all), ("X-CSRFToken", other)],
        vec![("Cookie", all), ("X-CSRFToken", &short)],
        vec![("Cookie", all), ("X-CSRFToken", &odd)],
    ] {
        let logged = beside.log(Page::Unknown, &headers).await;
        assert_eq!(logged.response.status, 403, "{headers:?}");
        let (status, theirs) = rest_framework(beside, &headers).await;
        assert_eq!(status, 403, "{headers:?}");
        assert!(logged.detail().starts_with("CSRF Failed: CSRF "), "{logged:?}");
        // Older ones say less.
        if beside.shop.tell("versions", json!({}))["django"].as_str().is_some_and(|version| version > "4.2") {
            assert_eq!(json!(logged.detail()), theirs["detail"], "{headers:?}");
        }
    }
}

/// What REST framework itself says to these headers, in the shop.
pub(crate) async fn rest_framework(beside: &Beside, headers: &[(&str, &str)]) -> (u16, Value) {
    let pairs = headers.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    });
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.post(beside.shop.url("/djaffar/identity/")).headers(pairs.collect::<HeaderMap>());
    let response = request.send().await.expect("the shop answers");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn a_foreign_page_is_refused(beside: &Beside) {
    let visitor = Visitor::new(beside);
    for headers in [
        vec![("Cookie", visitor.cookie.as_str())],
        vec![("Cookie", visitor.cookie.as_str()), ("X-CSRFToken", visitor.token("masked"))],
    ] {
        let logged = beside.log(Page::Foreign, &headers).await;
        assert_eq!(logged.response.status, 403, "{logged:?}");
    }
    let anonymous = beside.log(Page::Foreign, &[]).await;
    assert_eq!(anonymous.response.status, 204, "{anonymous:?}");
    assert_eq!(anonymous.response.header("set-cookie"), None);
}

async fn nobody_needs_a_token(beside: &Beside) {
    let session = beside.shop.text("anonymous_session", json!({}));
    for headers in [vec![], vec![("Cookie", cookie(&session))]] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let logged = beside.log(Page::Unknown, &headers).await;
        assert_eq!(logged.response.status, 204, "{logged:?}");
        assert_eq!(beside.row(&logged.path).await["user"], json!(null));
    }
}

async fn strict_needs_a_token_always(beside: &Beside) {
    let mut strict = beside.place.looking_up().with("--django-csrf", "strict");
    strict.start_ready().await;
    let port = strict.listen().port();
    let visitor = Visitor::new(beside);
    let without = log(port, Page::OfTheSite, &[("Cookie", &visitor.cookie)], "").await;
    assert_eq!(
        (without.response.status, without.detail().as_str()),
        (403, "CSRF Failed: CSRF token missing.")
    );
    let headers = [("Cookie", visitor.cookie.as_str()), ("X-CSRFToken", visitor.token("masked"))];
    let with = log(port, Page::OfTheSite, &headers, "").await;
    assert_stored(beside, with, &visitor.user).await;
}

#[tokio::test]
async fn a_secret_may_be_in_the_session() {
    for age in [Age::Newest, Age::Oldest] {
        let place = Place::new(Database::Sqlite).await;
        let plan = place.plan(age).with("SHOP_CSRF_IN_SESSIONS", "yes");
        let beside = Beside::start(place, &plan, |place, _| place.looking_up()).await;
        let (user, session) = beside.shop.visitor();
        let token = beside.shop.text("csrf_token_of", json!({"session": session}));
        let other = beside.shop.tell("csrf_token", json!({}));
        // The cookie's secret is none then.
        let other = other["secret"].as_str().expect("a secret");
        let cookies = format!("{}; csrftoken={other}", cookie(&session));
        let logged = beside.log(Page::Unknown, &[("Cookie", &cookies), ("X-CSRFToken", &token)]).await;
        assert_stored(&beside, logged, &user).await;
        for headers in
            [vec![("Cookie", cookies.as_str())], vec![("Cookie", &cookies), ("X-CSRFToken", other)]]
        {
            let logged = beside.log(Page::Unknown, &headers).await;
            assert_eq!(logged.response.status, 403, "{headers:?}");
        }
    }
}
