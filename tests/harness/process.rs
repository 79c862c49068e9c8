//! Real processes: started, signalled, and never left behind.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{START_LIMIT, binary, free_port, wait_for, wait_until};

const LOG_LINES_SHOWN: usize = 40;

/// A child process. Dropping it kills it; a failing test shows the end of its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command with its output appended to the file `log`.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("the log can be opened");
        let errors = output.try_clone().expect("a file handle can be doubled");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; a process that has ended already does not mind.
    ///
    /// # Panics
    /// The process may not be signalled.
    pub fn signal(&self, signal: Signal) {
        let result = kill_process(Pid::from_child(&self.child), signal);
        assert!(
            matches!(result, Ok(()) | Err(rustix::io::Errno::SRCH)),
            "{} cannot be signalled: {result:?}",
            self.name
        );
    }

    /// SIGKILL, and no process is left.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("the child can be waited for");
    }

    /// Waits for the process to end.
    ///
    /// # Panics
    /// It does not end within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_for(&what, limit, || {
            let status = self.child.try_wait().expect("the child can be waited for");
            async move { status }
        })
        .await
    }

    /// # Panics
    /// It cannot be waited for.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child can be waited for").is_none()
    }

    /// All that the process has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is as good.
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("--- the last lines of {}:\n{}\n---", self.name, shown.join("\n"));
        }
    }
}

/// One `djaffar` process on ports of its own, which it keeps through restarts.
#[derive(Debug)]
pub struct Djaffar {
    role: &'static str,
    binary: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    listen: SocketAddr,
    admin: SocketAddr,
    process: Option<Process>,
    // Dropped after the process, whose log it holds.
    directory: TempDir,
}

impl Djaffar {
    /// `djaffar serve` in a data directory of its own. Not started yet, as the others below.
    #[must_use]
    pub fn serve() -> Self {
        let serve = Self::new("serve");
        let data = serve.data_directory();
        serve.public().with("--data-dir", data)
    }

    /// `djaffar serve` in a data directory that others may use too.
    #[must_use]
    pub fn serve_in(data_directory: &Path) -> Self {
        Self::new("serve").public().with("--data-dir", data_directory.display())
    }

    /// `djaffar ingest` that publishes to the queue at `queue`.
    #[must_use]
    pub fn ingest(queue: &str, secret_key: &str) -> Self {
        Self::new("ingest").public().with("--queue", queue).with("--secret-key", secret_key)
    }

    /// `djaffar writer` from the queue into the database.
    #[must_use]
    pub fn writer(queue: &str, database: &str) -> Self {
        Self::new("writer").with("--queue", queue).with("--database", database)
    }

    fn new(role: &'static str) -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let directory = tempfile::Builder::new()
            .prefix("djaffar-test-")
            .tempdir()
            .expect("a temporary directory can be made");
        let admin = address();
        Self {
            role,
            binary: "djaffar",
            arguments: Vec::new(),
            environment: Vec::new(),
            listen: address(),
            admin,
            directory,
            process: None,
        }
        .with("--admin-listen", admin)
    }

    fn public(self) -> Self {
        let listen = self.listen;
        self.with("--listen", listen)
    }

    /// Adds a flag for the next start.
    #[must_use]
    pub fn with(mut self, flag: &str, value: impl ToString) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_string()]);
        self
    }

    /// Adds an environment variable for the next start.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The build with failpoints, which [`Djaffar::arm`] arms.
    ///
    /// # Panics
    /// Their directory cannot be made.
    #[must_use]
    pub fn with_failpoints(mut self) -> Self {
        self.binary = "djaffar-failpoints";
        let directory = self.failpoints();
        fs::create_dir_all(&directory).expect("the directory can be made");
        self.with_variable("FAILPOINTS", &directory.display().to_string())
    }

    fn failpoints(&self) -> PathBuf {
        self.directory.path().join("failpoints")
    }

    /// From now on the point acts: `kill` or `stop` the process once; a sabotage goes on.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn arm(&self, point: &str, action: &str) {
        let half = self.failpoints().join("half");
        fs::write(&half, action).expect("the failpoint is written");
        fs::rename(&half, self.failpoints().join(point)).expect("the failpoint is armed");
    }

    /// # Panics
    /// It was not armed, or has acted.
    pub fn disarm(&self, point: &str) {
        fs::remove_file(self.failpoints().join(point)).expect("the failpoint was armed");
    }

    /// Waits until the armed point has been reached.
    pub async fn reached(&self, point: &str) {
        let armed = self.failpoints().join(point);
        wait_until(&format!("{point} to be reached"), START_LIMIT, || async { !armed.exists() }).await;
    }

    /// Arms the point, waits until the process has killed itself there, and starts it again.
    ///
    /// # Panics
    /// It was not started, or ends otherwise.
    pub async fn die_at(&mut self, point: &str) {
        self.arm(point, "kill");
        let status = self.ended(START_LIMIT).await;
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}: {}", self.log());
        self.start();
    }

    /// Starts the process and does not wait for it.
    ///
    /// # Panics
    /// It runs already.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.role);
        let mut command = djaffar_command(self.binary);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg(self.role).args(&self.arguments).current_dir(self.directory.path());
        let log = self.directory.path().join("log");
        self.process = Some(Process::start(&format!("djaffar {}", self.role), &mut command, &log));
    }

    /// Starts the process and waits until it is ready.
    pub async fn start_ready(&mut self) {
        self.start();
        self.wait_ready().await;
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Panics
    /// It does not become ready, or ends.
    pub async fn wait_ready(&mut self) {
        let what = format!("djaffar {} to be ready", self.role);
        let url = self.admin_url("/readyz");
        let log = self.directory.path().join("log");
        wait_until(&what, START_LIMIT, || {
            let process = self.process.as_mut().expect("started");
            assert!(
                process.is_running(),
                "djaffar {} has ended at its start: {}",
                self.role,
                fs::read_to_string(&log).unwrap_or_default()
            );
            let url = url.clone();
            async move { get(&url).await.is_some_and(|(status, _)| status == 200) }
        })
        .await;
    }

    /// Waits until the public listener takes connections, ready or not.
    ///
    /// # Panics
    /// It does not.
    pub async fn wait_listening(&mut self) {
        let what = format!("djaffar {} to listen", self.role);
        let listen = self.listen;
        wait_until(&what, START_LIMIT, || async move { TcpStream::connect(listen).await.is_ok() }).await;
    }

    /// Status and body of an admin page; `None` while nobody answers.
    pub async fn admin(&self, page: &str) -> Option<(u16, String)> {
        get(&self.admin_url(page)).await
    }

    /// The `/status` page.
    ///
    /// # Panics
    /// There is none, or it is not JSON.
    pub async fn status(&self) -> serde_json::Value {
        let (_, body) = self.admin("/status").await.expect("the admin listener answers");
        serde_json::from_str(&body).expect("/status is JSON")
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
    /// It was not started, or does not end within `limit`.
    pub async fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(limit).await
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// It was not started, or does not end within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let status = self.process.as_mut().expect("started").ended(limit).await;
        self.process = None;
        status
    }

    /// # Panics
    /// It was not started.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("started").signal(signal);
    }

    /// All that the process has printed, earlier starts included.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The public listener.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Resident memory of the process, in bytes.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.id().expect("started"))
    }

    #[must_use]
    pub fn admin_url(&self, page: &str) -> String {
        format!("http://{}{page}", self.admin)
    }

    /// Where the data of `serve` is.
    #[must_use]
    pub fn data_directory(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }
}

/// Resident memory of a process, in bytes.
///
/// # Panics
/// It has ended.
#[must_use]
pub fn resident_bytes(id: u32) -> u64 {
    memory(id, "VmRSS:")
}

/// The most that a process has had in memory so far, in bytes.
///
/// # Panics
/// It has ended.
#[must_use]
pub fn peak_resident_bytes(id: u32) -> u64 {
    memory(id, "VmHWM:")
}

fn memory(id: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let value = status.lines().find_map(|text| text.strip_prefix(line)).expect("a process has memory");
    let kibibytes: u64 = value.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024
}

/// The program with no `DJAFFAR_*` variable of the caller's.
fn djaffar_command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DJAFFAR_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a one-shot command, such as `dump`, to its end.
///
/// # Panics
/// It cannot be started.
pub fn djaffar<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    djaffar_command("djaffar").args(arguments).stdin(Stdio::null()).output().expect("djaffar can be started")
}

/// Its standard output.
///
/// # Panics
/// It fails or does not print UTF-8.
pub fn djaffar_prints<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let output = djaffar(arguments);
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("djaffar prints UTF-8")
}

async fn get(url: &str) -> Option<(u16, String)> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build().ok()?;
    let response = client.get(url).send().await.ok()?;
    Some((response.status().as_u16(), response.text().await.ok()?))
}
