//! A nats-server of the test's own, which keeps its port and its disk through restarts.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::process::Process;
use crate::{START_LIMIT, binary, free_port, wait_until, workspace};

const STOP_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct NatsServer {
    address: SocketAddr,
    process: Option<Process>,
    /// Where JetStream keeps its files, if not in the directory.
    store: Option<PathBuf>,
    /// Another configuration than the directory's.
    deployed: Option<Box<Deployed>>,
    // Dropped after the process, whose log it holds.
    directory: TempDir,
}

/// A configuration of `deploy/`, and what it reads from the environment.
#[derive(Debug)]
struct Deployed {
    file: PathBuf,
    environment: Vec<(String, String)>,
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

    /// Not started yet; with these settings inside `jetstream { }`, and its files on this disk.
    #[must_use]
    pub fn with_store(disk: &Path, settings: &str) -> Self {
        let server = Self { store: Some(disk.join("store")), ..Self::without_configuration() };
        server.configure(settings);
        server
    }

    /// Not started yet; one of a cluster, with these settings beside those of JetStream.
    #[must_use]
    pub fn node(name: &str, cluster: &str) -> Self {
        let server = Self::without_configuration();
        server.reconfigure(&format!("server_name: {name}\n{cluster}"));
        server
    }

    /// Not started yet; with a configuration of `deploy/` as it is, but on ports of its own and, in place of the
    /// `/data` of the `nats.conf` that it includes, on a disk of its own.
    ///
    /// # Panics
    /// The files cannot be copied.
    #[must_use]
    pub fn of_deploy(name: &str, environment: &[(&str, &str)]) -> Self {
        let server = Self::without_configuration();
        let deploy = workspace().join("deploy");
        let included = fs::read_to_string(deploy.join("nats.conf")).expect("a configuration");
        let moved =
            included.replace("store_dir: /data", &format!("store_dir: \"{}\"", server.store().display()));
        assert_ne!(included, moved, "nats.conf keeps its files in /data");
        fs::write(server.directory.path().join("nats.conf"), moved).expect("a file can be written");
        let file = server.directory.path().join(name);
        fs::copy(deploy.join(name), &file).expect("a file can be copied");
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Self { deployed: Some(Box::new(Deployed { file, environment: environment.collect() })), ..server }
    }

    /// Not started yet; JetStream on disk, and these settings beside it.
    #[must_use]
    pub fn with_jetstream_and(settings: &str) -> Self {
        let server = Self::without_configuration();
        server.reconfigure(settings);
        server
    }

    /// Changes the settings beside those of JetStream for the next start.
    pub fn reconfigure(&self, settings: &str) {
        let store = self.store();
        self.write_configuration(&format!(
            "jetstream {{ store_dir: \"{}\", sync_interval: always }}\n{settings}",
            store.display()
        ));
    }

    /// Where JetStream keeps its files.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| self.directory.path().join("store"))
    }

    fn without_configuration() -> Self {
        let directory =
            tempfile::Builder::new().prefix("djaffar-nats-").tempdir().expect("a temporary directory");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Self { address, directory, store: None, deployed: None, process: None }
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
        let store = self.store();
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
        match &self.deployed {
            None => command.arg("-c").arg(self.directory.path().join("nats.conf")),
            Some(deployed) => {
                let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
                // The file's own would be everybody's.
                command.arg("-c").arg(&deployed.file).args(["-a", &host, "-p", &port]);
                command.args(["-m", &free_port().to_string()]);
                command.envs(deployed.environment.iter().map(|(name, value)| (name, value)))
            }
        };
        self.process = Some(Process::start("nats-server", &mut command, &self.directory.path().join("log")));
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// It does not answer, or ends.
    pub async fn start_ready(&mut self) {
        self.start();
        self.wait_ready().await;
    }

    /// Waits until the server answers.
    ///
    /// # Panics
    /// It does not answer, or ends.
    pub async fn wait_ready(&mut self) {
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
