//! Ingest in this process, over a queue in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ingest::http::serve::bind;
use ingest::identity::{AnonymousOnly, SameSite, SessionConfig};
use ingest::intake::IntakeConfig;
use ingest::{IngestConfig, IngestTelemetry};
use shared::event::Activity;
use shared::frame::{Decoded, decode};
use shared::lifecycle::{OwnedTask, Shutdown, TaskResult, spawn_owned};
use shared::queue::memory::MemoryQueue;
use shared::queue::{FrameConsumer, QueueBacklog, Settle};
use shared::readiness::Readiness;
use shared::secret::Secret;

use crate::client::Client;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) queue: MemoryQueue,
    pub(crate) telemetry: IngestTelemetry,
    pub(crate) readiness: Readiness,
    shutdown: Shutdown,
    task: OwnedTask<TaskResult>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(configure: impl FnOnce(&mut IngestConfig)) -> Self {
        let mut config = config();
        configure(&mut config);
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let queue = MemoryQueue::new(64 * 1024 * 1024);
        let telemetry = IngestTelemetry::new();
        let readiness = Readiness::default();
        let shutdown = Shutdown::new();
        let run = {
            let (publisher, telemetry) = (Arc::new(queue.clone()), telemetry.clone());
            let (readiness, shutdown) = (readiness.clone(), shutdown.clone());
            async move {
                ingest::run(listener, publisher, AnonymousOnly, config, telemetry, &readiness, shutdown).await
            }
        };
        Self { address, queue, telemetry, readiness, shutdown, task: spawn_owned(run) }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Asks the server to stop; [`Server::stopped`] waits for it.
    pub(crate) fn stop(&self) {
        self.shutdown.request();
    }

    pub(crate) async fn stopped(self) {
        self.task.join().await.expect("no panic").expect("a clean stop");
    }

    /// Takes what was stored since the last call.
    pub(crate) async fn stored(&self) -> Vec<Activity> {
        self.stored_by_frame().await.concat()
    }

    pub(crate) async fn stored_by_frame(&self) -> Vec<Vec<Activity>> {
        let frames = self.queue.backlog().await.expect("a memory queue").frames;
        let mut consumer = self.queue.consumer();
        let mut stored = Vec::new();
        for _ in 0..frames {
            let mut activities = Vec::new();
            let delivery = consumer.next().await.expect("a frame");
            for decoded in decode(delivery.bytes).expect("a sound frame").activities {
                match decoded.decoded {
                    Decoded::Activity(activity) => activities.push(activity),
                    Decoded::Invalid(reason) => panic!("{reason}"),
                }
            }
            delivery.settle.ack().await.expect("a memory queue");
            stored.push(activities);
        }
        stored
    }

    /// A sound request on this connection is still answered, and stored.
    pub(crate) async fn serves(&self, client: &mut Client) {
        client.send(crate::form("date=2016-12-29T07:35:22Z&path=good/")).await;
        assert_eq!(client.answer().await.status, 204);
        let stored = self.stored().await;
        assert!(matches!(&stored[..], [activity] if activity.path.as_str() == "good/"), "{stored:?}");
    }
}

fn config() -> IngestConfig {
    let sessions = SessionConfig {
        secret_key: Secret::new("a key of thirty-two characters!!"),
        fallbacks: Vec::new(),
        cookie_name: "djaffar_session".to_owned(),
        domain: None,
        same_site: SameSite::Lax,
        age: Duration::from_secs(1_209_600),
        expire_at_browser_close: false,
    };
    IngestConfig::new(IntakeConfig { time_zone: chrono_tz::UTC, referer_characters_max: 2048 }, sessions)
}
