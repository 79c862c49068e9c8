//! Two ingests, a broker, two writers and a database.

use crate::checker::{Figures, Queue, judge, report};
use crate::client::Load;
use crate::database::Database;
use crate::journal::Journal;
use crate::nats::NatsServer;
use crate::postgres::Postgres;
use crate::process::Djaffar;

pub const SECRET_KEY: &str = "a secret key that all the replicas share";

/// Started in any order; what is declared first is dropped first.
#[derive(Debug)]
pub struct Pipeline {
    pub ingests: Vec<Djaffar>,
    pub writers: Vec<Djaffar>,
    pub nats: NatsServer,
    pub postgres: Postgres,
}

impl Pipeline {
    /// Nothing of it runs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::of(NatsServer::new(), Postgres::new())
    }

    /// Nothing of it runs yet.
    #[must_use]
    pub fn of(nats: NatsServer, postgres: Postgres) -> Self {
        let ingest = || Djaffar::ingest(&nats.url(), SECRET_KEY);
        let writer = || Djaffar::writer(&nats.url(), &postgres.first_database());
        Self { ingests: vec![ingest(), ingest()], writers: vec![writer(), writer()], nats, postgres }
    }

    /// All of it runs and is ready.
    pub async fn running() -> Self {
        Self::new().started().await
    }

    /// The build with failpoints.
    #[must_use]
    pub fn with_failpoints(mut self) -> Self {
        self.ingests = self.ingests.into_iter().map(Djaffar::with_failpoints).collect();
        self.writers = self.writers.into_iter().map(Djaffar::with_failpoints).collect();
        self
    }

    /// Keeps one ingest and one writer.
    #[must_use]
    pub fn single(mut self) -> Self {
        self.ingests.truncate(1);
        self.writers.truncate(1);
        self
    }

    /// Adds a flag to every process: whoever comes first makes the stream.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        self.ingests = self.ingests.into_iter().map(|ingest| ingest.with(flag, value)).collect();
        self.writers = self.writers.into_iter().map(|writer| writer.with(flag, value)).collect();
        self
    }

    #[must_use]
    pub fn with_request_timeout(mut self, time: &str) -> Self {
        self.ingests =
            self.ingests.into_iter().map(|ingest| ingest.with("--request-timeout", time)).collect();
        self
    }

    /// Starts all of it and waits until it is ready.
    #[must_use]
    pub async fn started(mut self) -> Self {
        self.nats.start_ready().await;
        self.postgres.restart().await;
        for process in self.ingests.iter_mut().chain(&mut self.writers) {
            process.start();
        }
        self.wait_ready().await;
        self
    }

    pub async fn wait_ready(&mut self) {
        for process in self.ingests.iter_mut().chain(&mut self.writers) {
            process.wait_ready().await;
        }
    }

    #[must_use]
    pub fn load(&self, browsers: usize) -> Load {
        let targets: Vec<_> = self.ingests.iter().map(Djaffar::listen).collect();
        Load::start(&targets, browsers)
    }

    #[must_use]
    pub fn database(&self) -> Database {
        Database::Postgres(self.postgres.first_database())
    }

    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue::JetStream(self.nats.url())
    }

    /// Everything that was accepted is stored once, nothing else is, and the queue is empty.
    pub async fn assert_exact(&self, journal: &Journal) -> Figures {
        judge(journal, &self.database(), &self.queue()).await.assert_kept()
    }

    /// The same, with a row for the table.
    pub async fn conclude(&self, test: &str, rounds: usize, journal: &Journal) -> Figures {
        let figures = self.assert_exact(journal).await;
        report(test, rounds, &figures);
        figures
    }

    /// # Panics
    /// The broker does not answer.
    pub async fn frames_queued(&self) -> u64 {
        self.queue().frames().await.expect("the broker answers")
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        Self::new()
    }
}
