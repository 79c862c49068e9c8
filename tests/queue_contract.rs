//! JetStream under the queue contract, and what only a real broker can do.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};
use bytes::Bytes;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::{START_LIMIT, wait_until};
use futures_util::future::join_all;
use shared::frame::Frame;
use shared::lifecycle::{OwnedTask, Shutdown, TaskResult, spawn_owned};
use shared::queue::contract::{Fixture, PATIENCE, drain, frame, next, publish};
use shared::queue::jetstream::{JetStreamConfig, JetStreamConsumer, JetStreamQueue};
use shared::queue::{FrameConsumer, FramePublisher, PublishError, QueueBacklog, QueueError, Settle};
use shared::readiness::Readiness;
use tokio::time::{Instant, timeout};

fn config(server: &NatsServer, bytes_max: u64) -> JetStreamConfig {
    JetStreamConfig {
        servers: server.url(),
        bytes_max,
        ack_wait: Duration::from_secs(1),
        ..JetStreamConfig::default()
    }
}

/// A queue with its watch running.
struct Running {
    queue: JetStreamQueue,
    readiness: Readiness,
    watch: OwnedTask<TaskResult>,
}

async fn open(config: JetStreamConfig) -> Result<Running, QueueError> {
    let readiness = Readiness::default();
    let queue = JetStreamQueue::open(config, readiness.condition("queue")).await?;
    let watch = spawn_owned(queue.clone().watch(Shutdown::new()));
    Ok(Running { queue, readiness, watch })
}

async fn refusal(config: JetStreamConfig) -> String {
    match open(config).await {
        Err(QueueError::Misconfigured { reason }) => reason,
        Err(error) => panic!("refused, but as {error:?}"),
        Ok(running) => panic!("opened, with {:?}", running.readiness.reasons()),
    }
}

async fn ready(readiness: &Readiness) {
    wait_until("readiness", START_LIMIT, || async { readiness.reasons().is_empty() }).await;
}

/// Delivers nothing a second time while a test runs.
async fn patient(server: &NatsServer) -> Running {
    let patient = JetStreamConfig { ack_wait: Duration::from_secs(600), ..config(server, 64 << 20) };
    let running = open(patient).await.expect("a queue");
    ready(&running.readiness).await;
    running
}

async fn context(server: &NatsServer) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(server.url()).await.expect("a client"))
}

struct Broker {
    server: NatsServer,
    bytes_max: u64,
    running: Running,
}

impl Fixture for Broker {
    type Queue = JetStreamQueue;
    type Consumer = JetStreamConsumer;

    async fn open(bytes_max: u64) -> (Self, JetStreamQueue) {
        let server = NatsServer::running().await;
        let running = open(config(&server, bytes_max)).await.expect("a queue");
        ready(&running.readiness).await;
        let queue = running.queue.clone();
        (Self { server, bytes_max, running }, queue)
    }

    async fn consumer(&self, queue: &JetStreamQueue) -> JetStreamConsumer {
        queue.consumer()
    }

    async fn reopen(&mut self, queue: JetStreamQueue) -> JetStreamQueue {
        queue.flush().await;
        drop(queue);
        self.running = open(config(&self.server, self.bytes_max)).await.expect("the queue again");
        ready(&self.running.readiness).await;
        self.running.queue.clone()
    }
}

shared::queue_contract!(Broker);

#[tokio::test]
async fn a_stream_that_would_lose_frames_is_refused() {
    type Spoil = fn(&mut Config);
    let cases: [(&str, Spoil); 7] = [
        ("storage memory", |stream| stream.storage = StorageType::Memory),
        ("discard old", |stream| stream.discard = DiscardPolicy::Old),
        ("max_age", |stream| stream.max_age = Duration::from_secs(3600)),
        ("retention Limits", |stream| stream.retention = RetentionPolicy::Limits),
        ("retention Interest", |stream| stream.retention = RetentionPolicy::Interest),
        ("no_ack", |stream| stream.no_ack = true),
        ("persist_mode async", |stream| stream.persist_mode = Some(PersistenceMode::Async)),
    ];
    let server = NatsServer::running().await;
    let context = context(&server).await;
    for (words, spoil) in cases {
        let mut stream = Config {
            name: "DJAFFAR".to_owned(),
            subjects: vec!["djaffar.frames.>".to_owned()],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_bytes: 1 << 20,
            ..Config::default()
        };
        spoil(&mut stream);
        context.create_stream(stream).await.expect(words);
        let reason = refusal(config(&server, 1 << 20)).await;
        assert!(reason.contains(words) && reason.contains("--stream"), "{reason}");
        context.delete_stream("DJAFFAR").await.expect("deleted");
    }
}

#[tokio::test]
async fn a_server_that_cannot_keep_frames_is_refused() {
    let cases = [
        ("JetStream is not enabled", String::new(), None),
        ("credentials", "authorization { user: them, password: secret }".to_owned(), Some("us:wrong")),
        ("credentials", "authorization { user: them, password: secret }".to_owned(), None),
        ("max_payload", "max_payload: 65536".to_owned(), None),
    ];
    for (words, settings, credentials) in cases {
        let mut server = NatsServer::with_settings(&settings);
        server.start_ready().await;
        let mut config = config(&server, 1 << 20);
        if let Some(credentials) = credentials {
            config.servers = format!("nats://{credentials}@{}", server.address());
        }
        let reason = refusal(config).await;
        assert!(reason.contains(words) && reason.contains("--queue"), "{reason}");
        assert!(!reason.contains("wrong"), "{reason}");
    }
}

#[tokio::test]
async fn a_second_consumer_on_the_stream_is_refused() {
    let server = NatsServer::running().await;
    let running = open(config(&server, 1 << 20)).await.expect("a queue");
    ready(&running.readiness).await;
    let stream = context(&server).await.get_stream("DJAFFAR").await.expect("the stream");
    let other = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("other".to_owned()),
        ..Default::default()
    };
    stream.create_consumer(other).await.expect("another consumer");
    let error = timeout(PATIENCE, running.queue.consumer().next_error()).await.expect("an answer");
    assert!(error.contains("another consumer") && error.contains("nats consumer rm"), "{error}");
}

trait NextError {
    async fn next_error(&mut self) -> String;
}

impl NextError for JetStreamConsumer {
    async fn next_error(&mut self) -> String {
        match self.next().await {
            Err(QueueError::Misconfigured { reason }) => reason,
            other => panic!("no refusal: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_stream_is_as_large_as_the_server_allows() {
    let mut server = NatsServer::with_jetstream("sync_interval: always, max_file_store: 8MB");
    server.start_ready().await;
    let running = open(config(&server, 1 << 30)).await.expect("a queue");
    ready(&running.readiness).await;
    let mut stream = context(&server).await.get_stream("DJAFFAR").await.expect("the stream");
    let info = stream.info().await.expect("its info");
    assert_eq!(info.config.max_bytes, 8 << 20);
    publish(&running.queue, &frame(100)).await;
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_is_waited_for() {
    let mut server = NatsServer::new();
    let started = Instant::now();
    let running = open(config(&server, 1 << 20)).await.expect("open goes on without a server");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(running.readiness.reasons()[0].1.contains("unreachable"), "{:?}", running.readiness.reasons());
    let soon = Instant::now() + Duration::from_millis(300);
    let refused = running.queue.publish(&frame(100), soon).await;
    assert!(matches!(refused, Err(PublishError::Unknown { .. })), "{refused:?}");
    assert!(running.queue.backlog().await.is_err());
    // A publish that is already waiting goes out as soon as the server is there.
    let late = frame(100);
    let mut consumer = running.queue.consumer();
    let (_, delivery, ()) =
        tokio::join!(publish(&running.queue, &late), next(&mut consumer), server.start_ready());
    assert_eq!(delivery.bytes, late.bytes);
    ready(&running.readiness).await;
}

#[tokio::test]
async fn a_server_that_turns_out_wrong_later_ends_the_watch() {
    let mut server = NatsServer::with_settings("");
    let running = open(config(&server, 1 << 20)).await.expect("open goes on without a server");
    server.start_ready().await;
    let ended = timeout(PATIENCE, running.watch.join()).await.expect("an end in time").expect("no panic");
    let error = ended.expect_err("an error").to_string();
    assert!(error.contains("JetStream is not enabled"), "{error}");
}

#[tokio::test]
async fn nothing_that_was_synced_is_lost_when_the_broker_is_killed() {
    let mut server = NatsServer::running().await;
    let running = open(config(&server, 64 << 20)).await.expect("a queue");
    ready(&running.readiness).await;
    let frames: Vec<Frame> = (0..600).map(|_| frame(3000)).collect();
    let publishing = join_all(frames.chunks(75).map(|some| {
        let queue = running.queue.clone();
        async move {
            let mut synced = Vec::new();
            for frame in some {
                // A short deadline, so that some fates stay unknown.
                if queue.publish(frame, Instant::now() + Duration::from_secs(1)).await.is_ok() {
                    synced.push(frame.bytes.clone());
                }
            }
            synced
        }
    }));
    let killing = async {
        for frames_before in [40, 160, 300] {
            wait_until("frames to arrive", PATIENCE, || async {
                running.queue.backlog().await.is_ok_and(|backlog| backlog.frames > frames_before)
            })
            .await;
            server.kill();
            server.start_ready().await;
        }
    };
    let (synced, ()) =
        timeout(4 * PATIENCE, async { tokio::join!(publishing, killing) }).await.expect("in time");
    let synced: BTreeSet<Bytes> = synced.into_iter().flatten().collect();
    assert!(synced.len() > 300, "only {} were synced", synced.len());
    ready(&running.readiness).await;
    let seen = drain(&running.queue, &mut running.queue.consumer()).await;
    assert!(synced.is_subset(&seen), "{} of {} are lost", (&synced - &seen).len(), synced.len());
    let sent: BTreeSet<Bytes> = frames.iter().map(|frame| frame.bytes.clone()).collect();
    assert!(seen.is_subset(&sent));
}

/// nats-server forgets the ids of consumed messages when it restarts (nats-server#3272).
#[tokio::test]
async fn a_double_after_a_restart_is_only_one_more_delivery() {
    let mut server = NatsServer::running().await;
    let running = open(config(&server, 1 << 20)).await.expect("a queue");
    ready(&running.readiness).await;
    let frame = frame(500);
    let soon = || Instant::now() + PATIENCE;
    assert!(!running.queue.publish(&frame, soon()).await.expect("synced").duplicate);
    assert!(running.queue.publish(&frame, soon()).await.expect("synced").duplicate);
    let mut consumer = running.queue.consumer();
    next(&mut consumer).await.settle.ack().await.expect("an ack");
    running.queue.flush().await;
    server.kill();
    server.start_ready().await;
    publish(&running.queue, &frame).await;
    assert_eq!(next(&mut consumer).await.bytes, frame.bytes);
}

#[tokio::test]
async fn a_killed_writers_frames_go_to_another() {
    let server = NatsServer::running().await;
    let first = open(config(&server, 1 << 20)).await.expect("a queue");
    ready(&first.readiness).await;
    let frames: Vec<Frame> = (0..20).map(|_| frame(500)).collect();
    for frame in &frames {
        publish(&first.queue, frame).await;
    }
    let mut consumer = first.queue.consumer();
    let kept = next(&mut consumer).await;
    let second = open(config(&server, 1 << 20)).await.expect("a queue");
    ready(&second.readiness).await;
    // As a kill would: nothing is settled and nothing is said.
    std::mem::forget(kept);
    drop((consumer, first));
    let seen = drain(&second.queue, &mut second.queue.consumer()).await;
    assert_eq!(seen, frames.iter().map(|frame| frame.bytes.clone()).collect());
}

#[tokio::test]
async fn a_consumer_that_ends_hands_back_what_it_has_taken_in() {
    let server = NatsServer::running().await;
    let running = patient(&server).await;
    let frames: Vec<Frame> = (0..20).map(|_| frame(500)).collect();
    for frame in &frames {
        publish(&running.queue, frame).await;
    }
    let mut consumer = running.queue.consumer();
    next(&mut consumer).await.settle.ack().await.expect("an ack");
    let stream = context(&server).await.get_stream("DJAFFAR").await.expect("the stream");
    wait_until("all to be delivered", PATIENCE, || async {
        stream.consumer_info("djaffar-writer").await.is_ok_and(|info| info.num_pending == 0)
    })
    .await;
    // What has arrived before this one has been taken in.
    next(&mut consumer).await.settle.ack().await.expect("an ack");
    drop(consumer);
    let mut other = running.queue.consumer();
    for _ in 2..frames.len() {
        next(&mut other).await.settle.ack().await.expect("an ack");
    }
}

#[tokio::test]
async fn a_consumer_that_comes_to_its_end_leaves_no_frame_on_its_way() {
    let server = NatsServer::running().await;
    let running = patient(&server).await;
    let stop = Shutdown::new();
    let publishers = (0..8).map(|_| {
        let (queue, stop) = (running.queue.clone(), stop.clone());
        spawn_owned(async move {
            while !stop.is_requested() {
                publish(&queue, &frame(100)).await;
            }
        })
    });
    let publishers: Vec<OwnedTask<()>> = publishers.collect();
    let stream = context(&server).await.get_stream("DJAFFAR").await.expect("the stream");
    for _ in 0..20 {
        let mut consumer = running.queue.consumer();
        for _ in 0..100 {
            next(&mut consumer).await.settle.ack().await.expect("an ack");
        }
        while let Some(delivery) = timeout(PATIENCE, consumer.remaining()).await.expect("an end in time") {
            delivery.settle.ack().await.expect("an ack");
        }
        drop(consumer);
        wait_until("no frame to be with a consumer that is gone", PATIENCE, || async {
            stream.consumer_info("djaffar-writer").await.is_ok_and(|info| info.num_ack_pending == 0)
        })
        .await;
    }
    stop.request();
    for publisher in publishers {
        publisher.join().await.expect("no panic");
    }
}

/// As a kill of the broker can leave it: the ack has reached the disk, the removal has not.
#[tokio::test]
async fn a_frame_that_the_broker_keeps_after_its_ack_is_delivered_again_and_goes() {
    let mut server = NatsServer::running().await;
    let running = open(config(&server, 1 << 20)).await.expect("a queue");
    ready(&running.readiness).await;
    let frame = frame(500);
    publish(&running.queue, &frame).await;
    server.stop().await;
    let messages = server.store().join("jetstream/$G/streams/DJAFFAR/msgs");
    let before = tempfile::tempdir().expect("a temporary directory");
    let copy = |from: &Path, to: &Path| {
        let copied = Command::new("cp").arg("-aT").arg(from).arg(to).status().expect("cp can be started");
        assert!(copied.success());
    };
    copy(&messages, before.path());
    server.start_ready().await;
    ready(&running.readiness).await;
    let mut consumer = running.queue.consumer();
    next(&mut consumer).await.settle.ack().await.expect("an ack");
    wait_until("an empty stream", PATIENCE, || async {
        running.queue.backlog().await.is_ok_and(|backlog| backlog.frames == 0)
    })
    .await;
    server.stop().await;
    std::fs::remove_dir_all(&messages).expect("the messages can be removed");
    copy(before.path(), &messages);
    server.start_ready().await;
    ready(&running.readiness).await;
    assert_eq!(running.queue.backlog().await.expect("an answer").frames, 1, "the broker has kept it");
    let again = timeout(3 * PATIENCE, consumer.next()).await.expect("a delivery in time").expect("a frame");
    assert_eq!(again.bytes, frame.bytes);
    again.settle.ack().await.expect("an ack");
    wait_until("an empty stream", PATIENCE, || async {
        running.queue.backlog().await.is_ok_and(|backlog| backlog.frames == 0)
    })
    .await;
}

#[tokio::test]
async fn a_deleted_stream_is_noticed_and_made_again() {
    let server = NatsServer::running().await;
    let running = open(config(&server, 1 << 20)).await.expect("a queue");
    ready(&running.readiness).await;
    let mut consumer = running.queue.consumer();
    publish(&running.queue, &frame(100)).await;
    next(&mut consumer).await.settle.ack().await.expect("an ack");
    context(&server).await.delete_stream("DJAFFAR").await.expect("deleted");
    let again = frame(100);
    let (delivery, ()) = tokio::join!(next(&mut consumer), publish(&running.queue, &again));
    assert_eq!(delivery.bytes, again.bytes);
    ready(&running.readiness).await;
}
