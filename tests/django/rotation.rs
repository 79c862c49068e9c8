//! SECRET_KEY is replaced, and the old one is kept as a fallback; users with a UUID.

use serde_json::json;

use crate::beside::{Beside, Database, Place, cookie};
use crate::shop::{Age, KEY, Shop};

const NEXT: &str = "django-insecure: the next key of the shop and as long as the first";

#[tokio::test]
async fn sessions_outlive_a_rotated_key_while_it_is_a_fallback() {
    // Django 3.2 knows no fallbacks.
    for database in [Database::Sqlite, Database::Postgres] {
        let place = Place::new(database).await;
        let plan = place.plan(Age::Newest);
        let mut beside = Beside::start(place, &plan, |place, _| place.looking_up()).await;
        let (user, session) = beside.shop.visitor();
        assert_eq!(beside.stored_with_session(&session).await.0["user"], json!(user));

        // Released first: two shops of one port would not do.
        let port = beside.shop.port();
        drop(std::mem::replace(&mut beside.shop, Shop::open(&plan, djaffar_tests::free_port())));
        beside.shop = Shop::open(&plan.with("SHOP_KEYS", &format!("{NEXT}\n{KEY}")), port);
        let rotated = |fallback: bool| {
            let djaffar = beside
                .place
                .djaffar()
                .with("--django-database", &beside.place.django)
                .with("--django-secret-key", NEXT);
            if fallback { djaffar.with("--django-secret-key-fallbacks", KEY) } else { djaffar }
        };
        let mut without = rotated(false);
        without.start_ready().await;
        let mut with = rotated(true);
        with.start_ready().await;

        beside.djaffar = without;
        assert_eq!(beside.stored_with_session(&session).await.0["user"], json!(null));
        beside.djaffar = with;
        let (row, logged) = beside.stored_with_session(&session).await;
        assert_eq!((&row["user"], &row["session"]), (&json!(user), &json!(session)));
        assert_eq!(logged.response.header("set-cookie"), None);
        // Nothing was taken from the user: Django itself cycles the key at the next page.
        assert_eq!(beside.shop.tell("visit", json!({"session": session})), json!({"user": user}));
        let (user, session) = beside.shop.visitor();
        assert_eq!(beside.stored_with_session(&session).await.0["user"], json!(user));
    }
}

#[tokio::test]
async fn users_may_have_a_uuid() {
    for (age, database) in [(Age::Newest, Database::Sqlite), (Age::Oldest, Database::Postgres)] {
        let place = Place::new(database).await;
        let plan = place.plan(age).with("SHOP_USERS", "uuid");
        let beside = Beside::start(place, &plan, |place, _| {
            place.looking_up().with("--django-user-table", "people_person")
        })
        .await;
        let (user, session) = beside.shop.visitor();
        let (row, _) = beside.stored_with_session(&session).await;
        assert_eq!(row["user"], json!(user));
        // As Django writes it, whatever its column looks like.
        assert_eq!(row["user_id"].as_str().map(str::len), Some(36));
        let token = beside.shop.text("drf_token", json!({"username": user}));
        let (by_token, _) = beside.stored(&[("Authorization", &format!("Token {token}"))]).await;
        assert_eq!(by_token["user_id"], row["user_id"]);
        beside.shop.tell("activate", json!({"username": user, "active": false}));
        beside.wait_for_nobody(&[("Cookie", &cookie(&session))]).await;
    }
}
