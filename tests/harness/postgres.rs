//! A PostgreSQL server of the test's own: durable, killable, gone at the end.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::certificates::Certified;
use crate::process::Process;
use crate::{START_LIMIT, free_port, wait_for, workspace};

const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Durable as by default; small, because many run beside each other.
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=64MB",
    "max_wal_size=4GB",
    "max_connections=60",
    "deadlock_timeout=100ms",
    "logging_collector=off",
];

/// Listens on 127.0.0.1 and on a Unix socket; everybody may log in as `postgres`.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    settings: Vec<String>,
    databases: AtomicU32,
    process: Option<Process>,
    // Dropped after the process, whose log it holds.
    directory: TempDir,
}

impl Postgres {
    /// # Panics
    /// Postgres is not installed or does not start.
    pub async fn start() -> Self {
        let mut server = Self::new();
        server.restart().await;
        server
    }

    /// Not started yet: call [`Postgres::restart`].
    ///
    /// # Panics
    /// Postgres is not installed.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("djaffar-test-postgres-")
            .tempdir()
            .expect("a temporary directory can be made");
        let data = directory.path().join("data");
        copy_template(&data);
        if let Some(account) = Account::to_run_as() {
            account.own(directory.path());
        }
        let settings = SETTINGS.map(str::to_owned).to_vec();
        Self { directory, port: free_port(), settings, databases: AtomicU32::new(0), process: None }
    }

    /// Adds a setting, such as `max_connections=5`, for the next start.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Offers TLS with this certificate from the next start on.
    ///
    /// # Panics
    /// The files cannot be copied.
    #[must_use]
    pub fn with_certificate(self, certified: &Certified) -> Self {
        // Postgres reads only files of its own that nobody else may read.
        let copy = |from: &Path, name: &str| {
            let to = self.directory.path().join(name);
            fs::copy(from, &to).expect("a file can be copied");
            fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("a file's mode can be set");
            if let Some(account) = Account::to_run_as() {
                account.own(&to);
            }
            to
        };
        let certificate = copy(&certified.certificate, "server.pem");
        let key = copy(&certified.key, "server.key");
        self.with("ssl=on")
            .with(&format!("ssl_cert_file={}", certificate.display()))
            .with(&format!("ssl_key_file={}", key.display()))
    }

    /// One server for all tests of this process that run now and do it no harm; the last one stops it.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&server);
        server
    }

    /// A new, empty database; its URL.
    ///
    /// # Panics
    /// The server cannot be reached.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connection("postgres").await.expect("the server can be reached");
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.expect("a database can be made");
        self.url(&name)
    }

    /// The URL over the Unix socket of what [`Postgres::database`] has returned.
    #[must_use]
    pub fn over_socket(&self, url: &str) -> String {
        let name = url.rsplit('/').next().unwrap_or_default();
        let socket = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}:{}/{name}", self.port)
    }

    /// The directory of the Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.directory.path()
    }

    /// Tables that are made from now on lie in this directory, which is made.
    ///
    /// # Panics
    /// The directory cannot be made, or the server does not take it.
    pub async fn put_tables_into(&self, directory: &Path) {
        fs::create_dir(directory).expect("the directory can be made");
        if let Some(account) = Account::to_run_as() {
            account.own(directory);
        }
        let mut connection = self.connection("postgres").await.expect("the server can be reached");
        for statement in [
            format!("CREATE TABLESPACE elsewhere LOCATION '{}'", directory.display()),
            "ALTER DATABASE postgres SET default_tablespace = elsewhere".to_owned(),
        ] {
            let made = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
            made.expect("a tablespace can be made");
        }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the postmaster while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// SIGKILL of the postmaster; its children notice and end. Call [`Postgres::restart`] next.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&mut self) {
        self.process.take().expect("the server runs").kill();
    }

    /// A fast shutdown: connections are ended, the data is written. Call [`Postgres::restart`] next.
    ///
    /// # Panics
    /// It does not run, or does not stop.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.signal(Signal::INT);
        process.ended(STOP_LIMIT).await;
    }

    /// Starts the server, also again, and waits until it answers.
    ///
    /// # Panics
    /// It does not answer in time.
    pub async fn restart(&mut self) {
        let started = Instant::now();
        while !self.start_once().await {
            // Backends of a killed postmaster still hold its shared memory.
            assert!(started.elapsed() < START_LIMIT, "Postgres does not start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn start_once(&mut self) -> bool {
        let data = self.directory.path().join("data");
        let mut command = server_command("postgres");
        command.arg("-D").arg(&data).arg("-p").arg(self.port.to_string());
        command.arg("-k").arg(self.directory.path());
        command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        self.process = Some(Process::start("postgres", &mut command, &self.directory.path().join("log")));
        wait_for("Postgres to answer or to end", START_LIMIT, async || {
            if self.connection("postgres").await.is_ok() {
                return Some(true);
            }
            let runs = self.process.as_ref().is_some_and(|process| is_alive(process.id()));
            (!runs).then_some(false)
        })
        .await
    }

    /// SIGSTOP: connections stay open and nobody answers.
    ///
    /// # Panics
    /// It does not run.
    pub fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// The end of [`Postgres::freeze`].
    ///
    /// # Panics
    /// It does not run.
    pub fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        let postmaster = self.process.as_ref().expect("the server runs").id();
        for id in children(postmaster).into_iter().chain([postmaster]) {
            if let Some(process) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                // One that has just ended does not mind.
                kill_process(process, signal).ok();
            }
        }
    }

    /// The URL of the database that is there from the start.
    #[must_use]
    pub fn first_database(&self) -> String {
        self.url("postgres")
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    async fn connection(&self, database: &str) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url(database)).await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Postgres {
    /// An immediate shutdown: the postmaster ends its children and removes its shared memory.
    fn drop(&mut self) {
        if self.process.is_none() {
            return;
        }
        self.thaw();
        let Some(process) = &mut self.process else { return };
        process.signal(Signal::QUIT);
        let started = Instant::now();
        while process.is_running() && started.elapsed() < STOP_LIMIT {
            #[expect(clippy::disallowed_methods, reason = "drop cannot await")]
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Initialised once per workspace and copied for every server.
fn copy_template(data: &Path) {
    let target = workspace().join("target");
    let template = target.join(format!("postgres-{}", version()));
    fs::create_dir_all(&target).expect("target/ can be made");
    let lock = File::create(target.join("postgres.lock")).expect("the lock can be opened");
    lock.lock().expect("the lock can be taken");
    if !template.exists() {
        let fresh = initialise();
        let unfinished = target.join("postgres-unfinished");
        fs::remove_dir_all(&unfinished).ok();
        copy(&fresh.path().join("data"), &unfinished);
        fs::rename(&unfinished, &template).expect("the template can be put in place");
    }
    copy(&template, data);
}

/// In /tmp, which the account that runs Postgres can reach, unlike perhaps target/.
fn initialise() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("djaffar-test-initdb-")
        .tempdir()
        .expect("a temporary directory can be made");
    if let Some(account) = Account::to_run_as() {
        account.own(directory.path());
    }
    let mut command = server_command("initdb");
    command.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
    command.args(["--no-sync", "--pgdata"]).arg(directory.path().join("data"));
    let output = command.output().expect("initdb can be started");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    directory
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp can be started");
    assert!(status.success(), "{} cannot be copied", from.display());
}

fn version() -> String {
    let output =
        Command::new(program("postgres")).arg("--version").output().expect("postgres can be started");
    String::from_utf8_lossy(&output.stdout).split_whitespace().nth(2).expect("a version").to_owned()
}

fn server_command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    // Neither program starts in a directory that it cannot read.
    command.current_dir("/");
    if let Some(account) = Account::to_run_as() {
        command.uid(account.user).gid(account.group);
    }
    command
}

/// Debian keeps the server's programs off the PATH.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut programs: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin").join(name)).collect();
    programs.sort();
    programs.into_iter().rev().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

/// Postgres refuses to run as root.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl Account {
    fn to_run_as() -> Option<Self> {
        rustix::process::geteuid().is_root().then(|| {
            let accounts = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
            let line = accounts.lines().find(|line| line.starts_with("postgres:"));
            let fields: Vec<&str> = line.expect("Debian's package has made the user").split(':').collect();
            let number = |text: &str| text.parse().expect("an account number");
            Self { user: number(fields[2]), group: number(fields[3]) }
        })
    }

    fn own(self, path: &Path) {
        chown(path, Some(self.user), Some(self.group)).expect("root may give files away");
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).expect("the directory can be read") {
                self.own(&entry.expect("the directory can be read").path());
            }
        }
    }
}

/// A zombie has ended.
fn is_alive(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != "Z")
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| stat(*id).is_some_and(|(_, its_parent)| its_parent == parent)).collect()
}

/// State and parent.
fn stat(id: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
