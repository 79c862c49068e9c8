//! Two ingests, a broker, two writers and a database.

use djaffar_tests::client::Load;
use djaffar_tests::database::Database;
use djaffar_tests::journal::Journal;
use djaffar_tests::nats::NatsServer;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;
use djaffar_tests::wait_until;

use crate::{DRAIN_LIMIT, assert_exact};

pub(crate) const SECRET_KEY: &str = "a secret key that all the replicas share";

/// Started in any order; what is declared first is dropped first.
pub(crate) struct Pipeline {
    pub(crate) ingests: Vec<Djaffar>,
    pub(crate) writers: Vec<Djaffar>,
    pub(crate) nats: NatsServer,
    pub(crate) postgres: Postgres,
}

impl Pipeline {
    /// Nothing of it runs yet.
    pub(crate) fn new() -> Self {
        let (nats, postgres) = (NatsServer::new(), Postgres::new());
        let ingest = || Djaffar::ingest(&nats.url(), SECRET_KEY);
        let writer = || Djaffar::writer(&nats.url(), &postgres.first_database());
        Self { ingests: vec![ingest(), ingest()], writers: vec![writer(), writer()], nats, postgres }
    }

    /// All of it runs and is ready.
    pub(crate) async fn running() -> Self {
        let mut pipeline = Self::new();
        pipeline.nats.start_ready().await;
        pipeline.postgres.restart().await;
        for process in pipeline.ingests.iter_mut().chain(&mut pipeline.writers) {
            process.start();
        }
        pipeline.wait_ready().await;
        pipeline
    }

    pub(crate) async fn wait_ready(&mut self) {
        for process in self.ingests.iter_mut().chain(&mut self.writers) {
            process.wait_ready().await;
        }
    }

    pub(crate) fn load(&self, browsers: usize) -> Load {
        let targets: Vec<_> = self.ingests.iter().map(Djaffar::listen).collect();
        Load::start(&targets, browsers)
    }

    pub(crate) fn database(&self) -> Database {
        Database::Postgres(self.postgres.first_database())
    }

    /// Everything that was accepted is stored, nothing else, and the queue is empty.
    pub(crate) async fn assert_exact(&self, journal: &Journal) {
        let database = self.database();
        assert_exact(&database, journal).await;
        wait_until("an empty queue", DRAIN_LIMIT, || async { self.frames_queued().await == 0 }).await;
        // A late redelivery would show here.
        assert_exact(&database, journal).await;
    }

    pub(crate) async fn frames_queued(&self) -> u64 {
        let client = async_nats::connect(self.nats.url()).await.expect("the broker answers");
        let stream =
            async_nats::jetstream::new(client).get_stream("DJAFFAR").await.expect("the stream is there");
        stream.cached_info().state.messages
    }
}
