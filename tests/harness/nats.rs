//! A nats-server of the test's own, which keeps its port and its disk through restarts.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::process::Process;
use crate::{START_LIMIT, binary, free_port, wait_until};

const STOP_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct NatsServer {
    address: SocketAddr,
    process: Option<Process>,
    // Dropped after the process, whose log it holds.
    directory: TempDir,
}

impl NatsServer {
    /// Not started yet; JetStream on disk, `sync_interval: always`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_jetstream("sync_interval: always")
    }

    /// Not started yet; with these settings inside `jetstream { }`.
    #[must_use]
    pub fn with_jetstream(settings: &str) -> Self {
        let server = Self::without_configuration();
        server.configure(settings);
        server
    }

    /// Not started yet; with these settings beside `listen`, and without JetStream unless they ask for it.
    #[must_use]
    pub fn with_settings(settings: &str) -> Self {
        let server = Self::without_configuration();
        server.write_configuration(settings);
        server
    }

    fn without_configuration() -> Self {
        let directory =
            tempfile::Builder::new().prefix("djaffar-nats-").tempdir().expect("a temporary directory");
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())), directory, process: None }
    }

    /// Started and answering.
    pub async fn running() -> Self {
        let mut server = Self::new();
        server.start_ready().await;
        server
    }

    /// Changes the settings inside `jetstream { }` for the next start.
    ///
    /// # Panics
    /// The configuration cannot be written.
    pub fn configure(&self, settings: &str) {
        let store = self.directory.path().join("store");
        self.write_configuration(&format!(
            "jetstream {{\n  store_dir: \"{}\"\n  {settings}\n}}",
            store.display()
        ));
    }

    fn write_configuration(&self, settings: &str) {
        let configuration = format!("listen: \"{}\"\n{settings}\n", self.address);
        fs::write(self.directory.path().join("nats.conf"), configuration)
            .expect("the configuration is written");
    }

    /// Starts the server and does not wait for it.
    ///
    /// # Panics
    /// It runs already.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "nats-server runs already");
        let mut command = Command::new(binary("nats-server"));
        command.arg("-c").arg(self.directory.path().join("nats.conf"));
        self.process = Some(Process::start("nats-server", &mut command, &self.directory.path().join("log")));
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// It does not answer, or ends.
    pub async fn start_ready(&mut self) {
        self.start();
        wait_until("nats-server to answer", START_LIMIT, || {
            let process = self.process.as_mut().expect("started");
            assert!(process.is_running(), "nats-server has ended at its start");
            let address = self.address;
            async move { TcpStream::connect(address).await.is_ok() }
        })
        .await;
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// It was not started.
    pub fn kill(&mut self) {
        self.process.take().expect("started").kill();
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// It was not started.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("started");
        process.signal(Signal::TERM);
        process.ended(STOP_LIMIT).await;
    }

    /// # Panics
    /// It was not started.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("started").signal(signal);
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }
}

impl Default for NatsServer {
    fn default() -> Self {
        Self::new()
    }
}
