//! A Postgres cluster of the test's own, which keeps its port and its disk through restarts.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Signal, geteuid};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::process::Process;
use crate::{START_LIMIT, free_port, wait_for, wait_until};

const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Postgres refuses to run as root; Debian's package makes this user.
const USER: &str = "postgres";

#[derive(Debug)]
pub struct Postgres {
    port: u16,
    settings: Vec<String>,
    process: Option<Process>,
    // Declared last: the files outlive the process.
    directory: TempDir,
}

impl Postgres {
    /// A new cluster. Not started yet.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let directory =
            tempfile::Builder::new().prefix("djaffar-postgres-").tempdir().expect("a temporary directory");
        if geteuid().is_root() {
            chown(directory.path(), Some(id_of_user("-u")), Some(id_of_user("-g"))).expect("root may");
        }
        let output = program("initdb")
            .args([
                "--username",
                USER,
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
                "--no-locale",
                "--no-sync",
                "-D",
            ])
            .arg(directory.path().join("data"))
            .stdin(Stdio::null())
            .output()
            .expect("initdb can be started");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        Self { port: free_port(), settings: Vec::new(), process: None, directory }
    }

    /// Started and answering.
    pub async fn running() -> Self {
        let mut server = Self::new();
        server.start_ready().await;
        server
    }

    /// Adds a setting, such as `max_connections=5`, for the next start.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Starts the server and does not wait for it.
    ///
    /// # Panics
    /// It runs already.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "Postgres runs already");
        let mut command = program("postgres");
        command.arg("-D").arg(self.directory.path().join("data")).arg("-k").arg(self.directory.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.process = Some(Process::start("Postgres", &mut command, &self.log_file()));
    }

    /// Starts the server and waits until it answers queries.
    ///
    /// After a kill it may refuse to start until the last process of the old one is gone.
    pub async fn start_ready(&mut self) {
        self.start();
        let url = self.url();
        wait_until("Postgres to answer", START_LIMIT, || {
            if !self.process.as_mut().expect("started").is_running() {
                self.process = None;
                self.start();
            }
            let url = url.clone();
            async move { PgConnection::connect(&url).await.is_ok() }
        })
        .await;
    }

    /// SIGKILL to the postmaster; its children notice and end by themselves.
    ///
    /// # Panics
    /// It was not started.
    pub fn kill(&mut self) {
        self.process.take().expect("started").kill();
    }

    /// A fast shutdown: connections are ended, the data is written.
    ///
    /// # Panics
    /// It was not started.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("started");
        process.signal(Signal::INT);
        process.ended(STOP_LIMIT).await;
    }

    /// # Panics
    /// It was not started.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("started").signal(signal);
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Process id of the postmaster while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// # Panics
    /// The server does not answer.
    pub async fn connect(&self) -> PgConnection {
        let url = self.url();
        wait_for("a connection to Postgres", START_LIMIT, || {
            let url = url.clone();
            async move { PgConnection::connect(&url).await.ok() }
        })
        .await
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // An immediate shutdown takes the children along, which a SIGKILL would leave behind for a moment.
            process.signal(Signal::QUIT);
            process.wait();
        }
    }
}

/// A program of the newest Postgres here, as a user that it accepts.
fn program(name: &str) -> Command {
    let path = directory_of_programs().join(name);
    if !geteuid().is_root() {
        return Command::new(path);
    }
    // `setpriv` becomes the program, so that the child's id is the postmaster's.
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--init-groups"]).arg(path).current_dir("/");
    command
}

fn directory_of_programs() -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    found.sort();
    // Elsewhere than on Debian the programs are in the search path.
    found.pop().unwrap_or_else(|| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths)
            .find(|path| path.join("initdb").exists())
            .expect("Postgres is missing: run tests/setup")
    })
}

fn id_of_user(which: &str) -> u32 {
    let output = Command::new("id").args([which, USER]).output().expect("id can be started");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    text.parse().unwrap_or_else(|_| panic!("there is no user {USER}: run tests/setup"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_cluster_starts_again() {
        let mut server = Postgres::running().await;
        sqlx::query("create table t as select 1").execute(&mut server.connect().await).await.unwrap();
        server.kill();
        server.start_ready().await;
        sqlx::query("select * from t").fetch_one(&mut server.connect().await).await.unwrap();
    }
}
