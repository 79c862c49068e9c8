//! Clients that are slow, rude, greedy or gone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use djaffar_tests::wait_until;

use super::form;
use crate::client::Client;
use crate::server::Server;

const LIMIT: Duration = Duration::from_secs(20);
const HEAD: &str = "POST /djaffar/log/ HTTP/1.1\r\nHost: example.com\r\n\
    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 32\r\n";
const BODY: &str = "date=2016-12-29T07:35:22Z&path=x";

#[tokio::test]
async fn slow_headers_end_the_connection() {
    let server = Server::start_with(|config| {
        config.connection_limits.header_timeout = Duration::from_millis(400);
    })
    .await;
    let mut client = server.client().await;
    client.send("POST /djaffar/log/ HT").await;
    // Dripping on does not prolong it.
    let begun = Instant::now();
    let mut drips = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..6 {
        drips.tick().await;
        client.send("x").await;
    }
    client.closed().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    server.serves(&mut server.client().await).await;
}

#[tokio::test]
async fn idle_connections_end() {
    let server = Server::start_with(|config| {
        config.connection_limits.idle_timeout = Duration::from_millis(400);
    })
    .await;
    let mut fresh = server.client().await;
    let mut used = server.client().await;
    server.serves(&mut used).await;
    fresh.closed().await;
    used.closed().await;
}

#[tokio::test]
async fn slow_bodies_are_given_up() {
    let server = Server::start_with(|config| config.body_timeout = Duration::from_millis(200)).await;
    let mut client = server.client().await;
    client.send(format!("{HEAD}\r\ndate=")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 408);
    assert!(answer.closes());
    client.closed().await;
    assert!(server.stored().await.is_empty());
    server.serves(&mut server.client().await).await;
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing() {
    let server = Server::start().await;
    for part in ["", "POST", HEAD, &format!("{HEAD}\r\n"), &format!("{HEAD}\r\n{}", &BODY[..31])] {
        let mut client = server.client().await;
        client.send(part).await;
    }
    wait_until("the bodies to be given up", LIMIT, || async {
        server.telemetry.snapshot().rejected.get("body_broken") == Some(&2)
    })
    .await;
    assert!(server.stored().await.is_empty());
    server.serves(&mut server.client().await).await;
}

#[tokio::test]
async fn expectations() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(format!("{HEAD}Expect: 100-continue\r\n\r\n")).await;
    assert_eq!(client.answer().await.status, 100);
    client.send(BODY).await;
    assert_eq!(client.answer().await.status, 204);
    assert_eq!(server.stored().await.len(), 1);
    let large = HEAD.replace("Content-Length: 32", "Content-Length: 99999999");
    let mut client = server.client().await;
    client.send(format!("{large}Expect: 100-continue\r\n\r\n")).await;
    assert_eq!(client.answer().await.status, 413, "refused before the body is sent");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let bad = form("path=x");
    let requests: Vec<u8> =
        (0..20)
            .flat_map(|number| {
                if number % 5 == 4 { bad.clone() } else { form(&format!("date=2016-12-29&path={number}")) }
            })
            .collect();
    client.send(requests).await;
    for number in 0..20 {
        let answer = client.answer().await;
        assert_eq!(answer.status, if number % 5 == 4 { 400 } else { 204 });
    }
    let paths: Vec<_> =
        server.stored().await.into_iter().map(|activity| activity.path.into_string()).collect();
    let expected: Vec<_> =
        (0..20).filter(|number| number % 5 != 4).map(|number| number.to_string()).collect();
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn a_half_closed_connection_gets_its_answer() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(form(BODY)).await;
    client.finish_sending().await;
    assert_eq!(client.answer().await.status, 204);
    client.closed().await;
    assert_eq!(server.stored().await.len(), 1);
}

/// 10,000 connections from one address do not lock the others out, nor its own old ones.
#[tokio::test]
async fn a_greedy_peer_has_a_cap() {
    let server = Server::start_with(|config| {
        config.connections_max = 300;
        config.connections_per_peer_max = 200;
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(server.client().await);
    }
    server.serves(held.last_mut().expect("200 clients")).await;
    for _ in 0..9_800 {
        let mut refused = server.client().await;
        let answer = refused.answer().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    }
    server.serves(held.last_mut().expect("200 clients")).await;
    let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    server.serves(&mut Client::connect_from(other, server.address).await).await;
    drop(held);
    wait_until("slots to come back", LIMIT, || async {
        let mut client = server.client().await;
        client.send(form(BODY)).await;
        client.try_answer().await.is_some_and(|answer| answer.status == 204)
    })
    .await;
}

#[tokio::test]
async fn a_stop_answers_whoever_has_asked() {
    let server = Server::start().await;
    let mut idle = server.client().await;
    server.serves(&mut idle).await;
    let mut fresh = server.client().await;
    let mut asking = server.client().await;
    asking.send(format!("{HEAD}Expect: 100-continue\r\n\r\n")).await;
    assert_eq!(asking.answer().await.status, 100, "the request is in flight");
    assert_eq!(server.readiness.reasons(), []);
    server.stop();
    idle.closed().await;
    fresh.closed().await;
    wait_until("readiness to turn red", LIMIT, || async { !server.readiness.reasons().is_empty() }).await;
    asking.send(BODY).await;
    let answer = asking.answer().await;
    assert_eq!(answer.status, 204);
    assert!(answer.closes());
    asking.closed().await;
    assert_eq!(server.stored().await.len(), 1);
    server.stopped().await;
}
