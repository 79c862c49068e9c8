//! Sessions in Django's own table.

use futures_util::future::join_all;
use serde_json::json;

use crate::beside::{Beside, cookie};
use crate::on_every_django;

on_every_django!(
    a_user_who_logs_in_is_known,
    a_session_that_is_compressed_is_read,
    a_visitor_without_a_user_keeps_the_session,
    a_first_visit_begins_a_session_of_djangos,
    many_first_visits_begin_sessions_of_djangos,
    a_log_out_is_noticed,
    users_who_may_not_log_in_are_nobody,
    a_change_of_the_user_is_noticed,
    an_expired_session_counts_no_more,
    tampered_data_names_nobody,
    a_tampered_cookie_names_nobody,
    a_beacon_that_races_the_log_in_undoes_nothing,
    fifty_first_requests_of_one_browser_are_one_users,
);

async fn a_user_who_logs_in_is_known(beside: &Beside) {
    let (user, session) = beside.shop.visitor();
    let (row, logged) = beside.stored_with_session(&session).await;
    assert_eq!(
        (&row["user"], &row["session"], &row["djangos"]),
        (&json!(user), &json!(session), &json!(true))
    );
    assert_eq!(logged.response.header("set-cookie"), None);
    assert!(logged.response.header("djaffar-identity").is_some());
}

async fn a_session_that_is_compressed_is_read(beside: &Beside) {
    let (user, session) = beside.shop.visitor();
    beside.shop.tell("fill", json!({"session": session, "basket": "the same again, ".repeat(500)}));
    assert!(beside.shop.text("session_data", json!({"session": session})).starts_with('.'));
    let (row, _) = beside.stored_with_session(&session).await;
    assert_eq!((&row["user"], &row["session"]), (&json!(user), &json!(session)));
}

async fn a_visitor_without_a_user_keeps_the_session(beside: &Beside) {
    let session = beside.shop.text("anonymous_session", json!({"basket": 1}));
    let (row, logged) = beside.stored_with_session(&session).await;
    assert_eq!((&row["user"], &row["session"]), (&json!(null), &json!(session)));
    assert_eq!(logged.response.header("set-cookie"), None);
}

async fn a_first_visit_begins_a_session_of_djangos(beside: &Beside) {
    let (row, logged) = beside.stored(&[]).await;
    let session = logged.cookie("sessionid").expect("a session of Django's");
    assert_eq!(
        (&row["user"], &row["session"], &row["djangos"]),
        (&json!(null), &json!(session), &json!(true))
    );
    let attributes = logged.response.header("set-cookie").expect("a cookie").to_ascii_lowercase();
    assert!(attributes.contains("; httponly") && attributes.contains("; samesite=lax"), "{attributes}");
    let loaded = beside.shop.tell("session_user", json!({"session": session}));
    assert_eq!(loaded, json!({"live": true, "user": null, "empty": true}));
    // It is the browser's from now on, also when Django has put something into it.
    beside.shop.tell("fill", json!({"session": session, "basket": 1}));
    let (row, logged) = beside.stored_with_session(session).await;
    assert_eq!((&row["session"], logged.response.header("set-cookie")), (&json!(session), None));
    let user = beside.shop.user();
    let cookies = beside.shop.tell("log_in", json!({"username": user, "session": session}));
    let (row, _) = beside.stored_with_session(cookies["sessionid"].as_str().expect("a session")).await;
    assert_eq!(row["user"], json!(user));
}

async fn many_first_visits_begin_sessions_of_djangos(beside: &Beside) {
    let mut sessions: Vec<String> = Vec::new();
    for (row, logged) in join_all((0..20).map(|_| beside.stored(&[]))).await {
        let session = logged.cookie("sessionid").expect("a session of Django's");
        assert_eq!((&row["session"], &row["djangos"]), (&json!(session), &json!(true)));
        sessions.push(session.to_owned());
    }
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), 20);
}

async fn a_log_out_is_noticed(beside: &Beside) {
    let (user, session) = beside.shop.visitor();
    assert_eq!(beside.stored_with_session(&session).await.0["user"], json!(user));
    beside.shop.tell("log_out", json!({"session": session}));
    beside.wait_for_nobody(&[("Cookie", &cookie(&session))]).await;
    let (row, logged) = beside.stored_with_session(&session).await;
    assert_ne!(row["session"], json!(session));
    assert_eq!(logged.cookie("sessionid"), None);
}

async fn users_who_may_not_log_in_are_nobody(beside: &Beside) {
    for change in ["deactivate", "change_password", "delete_user"] {
        let (user, session) = beside.shop.visitor();
        apply(beside, change, &user);
        let (row, logged) = beside.stored_with_session(&session).await;
        assert_eq!(row["user"], json!(null), "{change}");
        assert_eq!(logged.cookie("sessionid"), None, "{change}");
    }
}

async fn a_change_of_the_user_is_noticed(beside: &Beside) {
    for change in ["deactivate", "change_password", "delete_user"] {
        let (user, session) = beside.shop.visitor();
        assert_eq!(beside.stored_with_session(&session).await.0["user"], json!(user));
        apply(beside, change, &user);
        // Its older rows name a user whom the ORM does not find any more.
        beside.wait_for_nobody(&[("Cookie", &cookie(&session))]).await;
    }
}

fn apply(beside: &Beside, change: &str, user: &str) {
    match change {
        "deactivate" => beside.shop.tell("activate", json!({"username": user, "active": false})),
        _ => beside.shop.tell(change, json!({"username": user})),
    };
}

async fn an_expired_session_counts_no_more(beside: &Beside) {
    let (_, session) = beside.shop.visitor();
    beside.shop.tell("expire", json!({"session": session}));
    let (row, logged) = beside.stored_with_session(&session).await;
    assert_eq!(row["user"], json!(null));
    assert_ne!(row["session"], json!(session));
    assert_eq!(logged.cookie("sessionid"), None, "the browser has sent one");
    assert!(logged.cookie("djaffar_session").is_some());
}

async fn tampered_data_names_nobody(beside: &Beside) {
    let (_, others) = beside.shop.visitor();
    let others = beside.shop.text("session_data", json!({"session": others}));
    let (payload, _) = others.split_once(':').expect("three parts");
    for place in ["payload", "time", "signature", "another's payload"] {
        let (_, session) = beside.shop.visitor();
        let data = beside.shop.text("session_data", json!({"session": session}));
        let parts: Vec<&str> = data.split(':').collect();
        let tampered = match place {
            "payload" => [&flipped(parts[0]), parts[1], parts[2]].join(":"),
            "time" => [parts[0], &flipped(parts[1]), parts[2]].join(":"),
            "signature" => [parts[0], parts[1], &flipped(parts[2])].join(":"),
            _ => [payload, parts[1], parts[2]].join(":"),
        };
        beside.shop.tell("tamper", json!({"session": session, "session_data": tampered}));
        let theirs = beside.shop.tell("session_user", json!({"session": session}));
        assert_eq!(theirs["user"], json!(null), "Django does not believe it either");
        assert_eq!(beside.stored_with_session(&session).await.0["user"], json!(null), "{place}");
    }
}

async fn a_tampered_cookie_names_nobody(beside: &Beside) {
    let (_, session) = beside.shop.visitor();
    for tampered in
        [flipped(&session), session.to_uppercase(), format!("{session}0"), session[1..].to_owned()]
    {
        let (row, logged) = beside.stored_with_session(&tampered).await;
        assert_eq!((&row["user"], &row["djangos"]), (&json!(null), &json!(false)), "{tampered}");
        assert_eq!(logged.cookie("sessionid"), None);
    }
}

/// Another character in the middle.
fn flipped(text: &str) -> String {
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "a" { "b" } else { "a" };
    format!("{}{other}{}", &text[..middle], &text[middle + 1..])
}

/// The log-in gives the session another key; the page that was open before sends its beacon with the old one.
async fn a_beacon_that_races_the_log_in_undoes_nothing(beside: &Beside) {
    let before = beside.shop.text("anonymous_session", json!({"basket": 1}));
    let user = beside.shop.user();
    assert_eq!(beside.stored_with_session(&before).await.0["session"], json!(before));
    let cookies = beside.shop.tell("log_in", json!({"username": user, "session": before}));
    let after = cookies["sessionid"].as_str().expect("a session");
    assert_ne!(after, before);
    for _ in 0..3 {
        let (_, logged) = beside.stored_with_session(&before).await;
        assert_eq!(logged.cookie("sessionid"), None);
    }
    assert_eq!(beside.shop.tell("visit", json!({"session": after})), json!({"user": user}));
    assert_eq!(beside.stored_with_session(after).await.0["user"], json!(user));
}

async fn fifty_first_requests_of_one_browser_are_one_users(beside: &Beside) {
    let (user, session) = beside.shop.visitor();
    let all = join_all((0..50).map(|_| beside.stored_with_session(&session))).await;
    for (row, logged) in all {
        assert_eq!((&row["user"], &row["session"]), (&json!(user), &json!(session)));
        assert_eq!(logged.response.header("set-cookie"), None);
    }
}
