//! Django's database goes away and comes back.

use djaffar_tests::postgres::Postgres;
use djaffar_tests::wait_until;
use serde_json::json;

use crate::beside::{Beside, Database, Page, Place, cookie};
use crate::shop::{Age, CHANGE_LIMIT};

#[tokio::test]
async fn a_database_that_is_away_makes_nobody_anonymous() {
    let mut server = Postgres::start().await;
    let place = Place { django: server.database().await, ..Place::new(Database::Sqlite).await };
    let plan = place.plan(Age::Newest);
    let beside = Beside::start(place, &plan, |place, _| place.looking_up()).await;
    let (user, session) = beside.shop.visitor();
    let token = format!("Token {}", beside.shop.text("drf_token", json!({"username": user})));
    let cookie = cookie(&session);
    let credentials = [[("Cookie", cookie.as_str())], [("Authorization", token.as_str())]];
    for headers in &credentials {
        assert_eq!(beside.stored(headers).await.0["user"], json!(user));
    }

    server.stop().await;
    for headers in &credentials {
        // What is remembered counts for a second yet.
        wait_until("the answer to be forgotten", CHANGE_LIMIT, || async {
            let logged = beside.log(Page::OfTheSite, headers).await;
            match logged.response.status {
                204 => false,
                status => {
                    assert_eq!(status, 503, "{logged:?}");
                    assert!(logged.response.header("retry-after").is_some());
                    true
                }
            }
        })
        .await;
    }
    // A first visit would begin a session there.
    assert_eq!(beside.log(Page::OfTheSite, &[]).await.response.status, 503);

    server.restart().await;
    for headers in &credentials {
        wait_until("the database to be asked again", CHANGE_LIMIT, || async {
            beside.log(Page::OfTheSite, headers).await.response.status == 204
        })
        .await;
        wait_until("Django to reach it too", CHANGE_LIMIT, || async {
            beside.shop.try_to("visit", json!({"session": session})) == json!({"user": user})
        })
        .await;
        assert_eq!(beside.stored(headers).await.0["user"], json!(user));
    }
}
