//! Tokens in Django's tables.

use serde_json::{Value, json};

use crate::beside::{Beside, Page, cookie};
use crate::csrf::rest_framework;
use crate::on_every_django;

on_every_django!(
    a_token_of_rest_framework_names_its_user,
    a_token_of_oauth_toolkit_names_its_user,
    an_applications_own_token_names_nobody,
    a_token_that_does_not_verify_is_refused_as_rest_framework_does,
    a_token_that_does_not_verify_is_refused_beside_a_session,
    a_token_of_an_inactive_user_is_refused,
    a_token_of_a_foreign_page_counts,
);

fn drf(beside: &Beside, user: &str) -> String {
    format!("Token {}", beside.shop.text("drf_token", json!({"username": user})))
}

fn oauth(beside: &Beside, user: Value, seconds: i64) -> String {
    format!("Bearer {}", beside.shop.text("oauth_token", json!({"username": user, "seconds": seconds})))
}

async fn a_token_of_rest_framework_names_its_user(beside: &Beside) {
    let user = beside.shop.user();
    let token = drf(beside, &user);
    for token in [token.clone(), token.replace("Token", "tOKEN")] {
        let logged = beside.log(Page::Unknown, &[("Authorization", &token)]).await;
        assert_eq!(logged.response.status, 204, "{logged:?}");
        assert_eq!(beside.row(&logged.path).await["user"], json!(user));
    }
}

async fn a_token_of_oauth_toolkit_names_its_user(beside: &Beside) {
    let user = beside.shop.user();
    let token = oauth(beside, json!(user), 3600);
    assert_eq!(beside.stored(&[("Authorization", &token)]).await.0["user"], json!(user));
}

async fn an_applications_own_token_names_nobody(beside: &Beside) {
    let token = oauth(beside, Value::Null, 3600);
    assert_eq!(beside.stored(&[("Authorization", &token)]).await.0["user"], json!(null));
}

async fn a_token_that_does_not_verify_is_refused_as_rest_framework_does(beside: &Beside) {
    let good = drf(beside, &beside.shop.user());
    let flipped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { "1" } else { "0" });
    for token in [&flipped, "Token", "Token a b", &good.to_uppercase().replace("TOKEN", "Token")] {
        // All-digit keys have no other case.
        if *token == good {
            continue;
        }
        let logged = beside.log(Page::OfTheSite, &[("Authorization", token)]).await;
        let (status, theirs) = rest_framework(beside, &[("Authorization", token)]).await;
        assert_eq!((logged.response.status, status), (401, 401), "{token}");
        assert_eq!(json!(logged.detail()), theirs["detail"], "{token}");
        assert_eq!(logged.response.header("www-authenticate"), Some("Token"), "{token}");
    }
    for token in ["Bearer unknown".to_owned(), oauth(beside, json!(beside.shop.user()), -1)] {
        let logged = beside.log(Page::OfTheSite, &[("Authorization", &token)]).await;
        assert_eq!(logged.response.status, 401, "{token}");
        let challenge = logged.response.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer "), "{challenge}");
    }
}

async fn a_token_that_does_not_verify_is_refused_beside_a_session(beside: &Beside) {
    let (_, session) = beside.shop.visitor();
    let headers = [("Cookie", &*cookie(&session)), ("Authorization", "Token 0")];
    let logged = beside.log(Page::OfTheSite, &headers).await;
    assert_eq!(logged.response.status, 401, "{logged:?}");
}

async fn a_token_of_an_inactive_user_is_refused(beside: &Beside) {
    let user = beside.shop.user();
    let token = drf(beside, &user);
    beside.shop.tell("activate", json!({"username": user, "active": false}));
    let logged = beside.log(Page::OfTheSite, &[("Authorization", &token)]).await;
    let (status, theirs) = rest_framework(beside, &[("Authorization", &token)]).await;
    assert_eq!((logged.response.status, status), (401, 401));
    assert_eq!(json!(logged.detail()), theirs["detail"]);
}

async fn a_token_of_a_foreign_page_counts(beside: &Beside) {
    let user = beside.shop.user();
    let logged = beside.log(Page::Foreign, &[("Authorization", &drf(beside, &user))]).await;
    assert_eq!(logged.response.status, 204, "{logged:?}");
    assert_eq!(beside.row(&logged.path).await["user"], json!(user));
}
