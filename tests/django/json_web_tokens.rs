//! Tokens of the real simplejwt, verified without asking the site; its users are Django's.

use serde_json::json;

use crate::beside::{Beside, Database, Page, Place};
use crate::shop::{Age, CHANGE_LIMIT};
use djaffar_tests::wait_until;

/// Revocation by password is newer than the oldest simplejwt.
async fn start(age: Age, database: Database) -> Beside {
    let place = Place::new(database).await;
    let plan = place.plan(age);
    let plan = if age == Age::Newest { plan.with("SHOP_TOKENS_END_WITH_THE_PASSWORD", "yes") } else { plan };
    Beside::start(place, &plan, |place, _| place.looking_up().with("--jwt-preset", "simplejwt")).await
}

fn token(beside: &Beside, user: &str, seconds: i64, kind: &str) -> String {
    let order = json!({"username": user, "seconds": seconds, "kind": kind});
    format!("Bearer {}", beside.shop.text("simplejwt", order))
}

async fn wait_for_refusal(beside: &Beside, token: &str, detail: &str) {
    wait_until("the token to be refused", CHANGE_LIMIT, || async {
        let logged = beside.log(Page::Unknown, &[("Authorization", token)]).await;
        logged.response.status == 401 && logged.detail() == detail
    })
    .await;
}

#[tokio::test]
async fn tokens_of_simplejwt_name_their_user_while_django_knows_him() {
    for (age, database) in [(Age::Newest, Database::Sqlite), (Age::Oldest, Database::Postgres)] {
        let beside = start(age, database).await;
        let user = beside.shop.user();
        let good = token(&beside, &user, 3600, "access");
        assert_eq!(beside.stored(&[("Authorization", &good)]).await.0["user"], json!(user));
        for refused in [token(&beside, &user, -3600, "access"), token(&beside, &user, 3600, "refresh")] {
            let logged = beside.log(Page::OfTheSite, &[("Authorization", &refused)]).await;
            assert_eq!(logged.response.status, 401, "{logged:?}");
            assert_eq!(logged.detail(), "Given token not valid for any token type");
            let challenge = logged.response.header("www-authenticate").expect("a challenge");
            assert!(challenge.starts_with("Bearer realm=\"api\""), "{challenge}");
        }
        // Another kind of token under the same scheme.
        let order = json!({"username": user, "seconds": 3600});
        let opaque = format!("Bearer {}", beside.shop.text("oauth_token", order));
        assert_eq!(beside.stored(&[("Authorization", &opaque)]).await.0["user"], json!(user));

        beside.shop.tell("activate", json!({"username": user, "active": false}));
        wait_for_refusal(&beside, &good, "User is inactive").await;
        beside.shop.tell("delete_user", json!({"username": user}));
        wait_for_refusal(&beside, &good, "User not found").await;
    }
}

#[tokio::test]
async fn tokens_of_simplejwt_end_with_the_password_where_the_site_wants_it() {
    let beside = start(Age::Newest, Database::Sqlite).await;
    let user = beside.shop.user();
    let good = token(&beside, &user, 3600, "access");
    assert_eq!(beside.stored(&[("Authorization", &good)]).await.0["user"], json!(user));
    beside.shop.tell("change_password", json!({"username": user}));
    wait_for_refusal(&beside, &good, "The user's password has been changed.").await;
    let new = token(&beside, &user, 3600, "access");
    assert_eq!(beside.stored(&[("Authorization", &new)]).await.0["user"], json!(user));
}
