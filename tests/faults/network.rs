//! Partitions, half-open connections and lost answers (rows 9 to 12).

use std::time::Duration;

use djaffar_tests::client::Load;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::pipeline::{Pipeline, SECRET_KEY};
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;
use djaffar_tests::rounds::{Dice, fault_rounds};
use djaffar_tests::tcp_proxy::{TcpProxy, Weather};
use djaffar_tests::wait_until;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::PATIENCE;

/// A pipeline whose ingests reach the broker through a proxy.
async fn ingests_through_proxy() -> (Pipeline, TcpProxy) {
    let mut pipeline = Pipeline::new();
    let proxy = TcpProxy::start(pipeline.nats.address()).await;
    let url = format!("nats://{}", proxy.address());
    let ingest = || Djaffar::ingest(&url, SECRET_KEY).with("--request-timeout", "2s");
    pipeline.ingests = vec![ingest(), ingest()];
    (pipeline.started().await, proxy)
}

/// A pipeline whose writers reach the broker, or the database, through a proxy.
async fn writers_through_proxy(
    to: fn(&NatsServer, &Postgres) -> std::net::SocketAddr,
) -> (Pipeline, TcpProxy) {
    let mut pipeline = Pipeline::new();
    let proxy = TcpProxy::start(to(&pipeline.nats, &pipeline.postgres)).await;
    let (mut queue, mut database) = (pipeline.nats.url(), pipeline.postgres.first_database());
    for url in [&mut queue, &mut database] {
        *url = url.replace(&to(&pipeline.nats, &pipeline.postgres).to_string(), &proxy.address().to_string());
    }
    let writer = || Djaffar::writer(&queue, &database).with_failpoints();
    pipeline.writers = vec![writer(), writer()];
    (pipeline.started().await, proxy)
}

fn broker(nats: &NatsServer, _: &Postgres) -> std::net::SocketAddr {
    nats.address()
}

fn database(_: &NatsServer, postgres: &Postgres) -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], postgres.port()))
}

#[tokio::test]
async fn ingest_cut_off_from_the_broker_answers_in_time_and_loses_nothing() {
    let test = "ingest_cut_off_from_the_broker_answers_in_time_and_loses_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(1));
    let (pipeline, proxy) = ingests_through_proxy().await;
    let load = pipeline.load(16);
    let weathers = [
        Weather::Frozen,
        Weather::AnswersLost,
        Weather::RequestsFrozen,
        Weather::RequestsLost,
        Weather::AnswersFrozen,
        Weather::Lost,
        Weather::Cut,
    ];
    for _ in 0..rounds {
        for weather in weathers {
            load.progress(dice.number(10..300)).await;
            let told = load.told_to_retry();
            proxy.set(weather);
            wait_until("answers 503", PATIENCE, || async { load.told_to_retry() > told + 16 }).await;
            // Some frames are given up by now, and arrive late where the weather lets them.
            sleep(dice.millis(0..3000)).await;
            proxy.set(Weather::Fair);
        }
    }
    load.progress(50).await;
    let journal = load.finish().await;
    assert!(journal.longest_answer < Duration::from_secs(8), "{:?}", journal.longest_answer);
    assert_eq!(journal.attempts.get(&0), None, "every request is answered: {:?}", journal.attempts);
    pipeline.conclude(test, rounds * weathers.len(), &journal).await;
}

#[tokio::test]
async fn acks_lost_on_their_way_to_the_broker_double_nothing() {
    let test = "acks_lost_on_their_way_to_the_broker_double_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(2));
    let (mut pipeline, proxy) = writers_through_proxy(broker).await;
    let load = pipeline.load(16);
    for round in 0..rounds {
        load.progress(dice.number(10..300)).await;
        let writer = &pipeline.writers[round % 2];
        writer.arm("before_ack", "stop");
        writer.reached("before_ack").await;
        proxy.set(Weather::RequestsLost);
        writer.signal(Signal::CONT);
        sleep(dice.millis(200..2000)).await;
        proxy.set(Weather::Fair);
    }
    load.progress(50).await;
    let journal = load.finish().await;
    let figures = pipeline.conclude(test, rounds, &journal).await;
    assert!(figures.duplicate > 0, "what was not acked came again: {figures:?}");
    pipeline.wait_ready().await;
}

#[tokio::test]
async fn a_half_open_connection_to_postgres_ends_in_time() {
    let test = "a_half_open_connection_to_postgres_ends_in_time";
    let rounds = fault_rounds(1);
    let (mut pipeline, proxy) = writers_through_proxy(database).await;
    let load = pipeline.load(16);
    for _ in 0..rounds {
        load.progress(100).await;
        proxy.set(Weather::Lost);
        let begun = Instant::now();
        for writer in &pipeline.writers {
            let red = || async { writer.admin("/readyz").await.is_some_and(|(status, _)| status == 503) };
            wait_until("a red writer", PATIENCE, red).await;
        }
        // A statement has 20 s.
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        load.progress(100).await;
        proxy.set(Weather::Fair);
        pipeline.wait_ready().await;
    }
    let journal = load.finish().await;
    pipeline.conclude(test, rounds, &journal).await;
}

#[tokio::test]
async fn commits_whose_answer_is_lost_double_nothing() {
    let test = "commits_whose_answer_is_lost_double_nothing";
    let rounds = fault_rounds(3);
    let (mut pipeline, proxy) = writers_through_proxy(database).await;
    let load: Load = pipeline.load(16);
    let database = pipeline.database();
    for _ in 0..rounds {
        load.progress(100).await;
        let before = database.accounting().await.duplicate;
        proxy.set(Weather::CommitsUnanswered);
        // Committed and not known to be: the retry finds every row there.
        wait_until("duplicates", PATIENCE, || async { database.accounting().await.duplicate > before }).await;
        proxy.set(Weather::Fair);
    }
    load.progress(50).await;
    let journal = load.finish().await;
    pipeline.conclude(test, rounds, &journal).await;
    pipeline.wait_ready().await;
}
