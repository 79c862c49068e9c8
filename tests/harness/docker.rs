//! Docker's engine: the machine's own, or one that is started for the tests and ends with them.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::process::Process;
use crate::{START_LIMIT, tools};

const STOP_LIMIT: Duration = Duration::from_secs(60);
/// What all the images of the tests are made from.
const STAND_IN: &str = "djaffar-test/debian";
/// Debian's own client knows BuildKit without a plugin.
const CLIENTS: [&str; 2] = ["/usr/bin/docker", "docker"];

#[derive(Debug)]
pub struct Engine {
    client: &'static str,
    /// `None`: the machine's own.
    host: Option<String>,
    process: Option<Process>,
    /// The machine's packet filter as it was before, for `iptables-restore`.
    filter: Vec<u8>,
    // Dropped after the process, whose socket it holds.
    _directory: Option<TempDir>,
}

impl Engine {
    /// # Errors
    /// Why there is none, in words.
    pub async fn find() -> Result<Self, String> {
        let client = CLIENTS.into_iter().find(|client| answers(Command::new(client).arg("--version")));
        let client = client.ok_or("Docker is not installed")?;
        if answers(Command::new(client).arg("info")) {
            return Ok(Self { client, host: None, process: None, filter: Vec::new(), _directory: None });
        }
        if !rustix::process::geteuid().is_root() {
            return Err("Docker's engine does not run, and only root can start it".to_owned());
        }
        Self::start(client).await
    }

    /// Its images are kept for the next time.
    async fn start(client: &'static str) -> Result<Self, String> {
        let program = ["/usr/sbin/dockerd", "/usr/bin/dockerd", "/usr/local/bin/dockerd"];
        let program = program.into_iter().find(|program| Path::new(program).exists());
        let program = program.ok_or("Docker's engine is not installed")?;
        // A socket's path must be short.
        let directory = tempfile::Builder::new().prefix("djaffar-test-").tempdir();
        let directory = directory.map_err(|error| error.to_string())?;
        let host = format!("unix://{}", directory.path().join("socket").display());
        let data = tools().join("compose/engine");
        fs::create_dir_all(&data).map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(["--bridge=none", "--host", &host]).arg("--data-root").arg(data);
        command.arg("--exec-root").arg(directory.path().join("exec"));
        command.arg("--pidfile").arg(directory.path().join("pid"));
        let filter = saved_filter().map_err(|error| format!("iptables-save: {error}"))?;
        let mut process = Process::start("dockerd", &mut command, &directory.path().join("log"));
        let begun = Instant::now();
        while !answers(Command::new(client).args(["--host", &host, "info"])) {
            if !process.is_running() || begun.elapsed() > START_LIMIT {
                let log = process.log();
                let last = log.lines().last().unwrap_or_default();
                return Err(format!("Docker's engine does not start here: {last}"));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(Self { client, host: Some(host), process: Some(process), filter, _directory: Some(directory) })
    }

    /// A command that talks to this engine.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        command.stdin(Stdio::null());
        command
    }

    /// What `docker` prints, trimmed.
    ///
    /// # Panics
    /// It fails.
    pub fn docker(&self, arguments: &[&str]) -> String {
        prints(self.command(self.client).args(arguments))
    }

    /// Whether the stand-ins can be made, or are there.
    ///
    /// # Errors
    /// They cannot.
    pub(crate) fn can_stand_in(&self) -> Result<(), String> {
        let is_there = answers(self.command(self.client).args(["image", "inspect", STAND_IN]));
        let can_make =
            rustix::process::geteuid().is_root() && answers(Command::new("debootstrap").arg("--version"));
        if is_there || can_make {
            return Ok(());
        }
        Err("the images that stand in for Debian's are made by root with debootstrap".to_owned())
    }

    /// The words that begin a command line of Compose; it finds a plugin by [`Compose::settings`].
    ///
    /// # Errors
    /// That version is not there.
    pub(crate) fn compose(&self, version: Compose) -> Result<Vec<&'static str>, String> {
        let words = match version {
            Compose::V1 => vec!["docker-compose"],
            Compose::V2 => vec![self.client, "compose"],
        };
        let mut says = Command::new(words[0]);
        if answers(says.args(&words[1..]).arg("version").envs(version.settings())) {
            Ok(words)
        } else {
            Err(format!("Compose {version:?} is not installed"))
        }
    }
}

/// Two programs that read the same file: `docker-compose`, and the plugin `docker compose`.
#[derive(Clone, Copy, Debug)]
pub enum Compose {
    V1,
    V2,
}

impl Compose {
    /// Where the plugin lies that `tests/setup` has fetched, if the machine has none of its own.
    pub(crate) fn settings(self) -> Option<(&'static str, PathBuf)> {
        let fetched = tools().join("docker");
        let is_needed = matches!(self, Self::V2) && fetched.join("cli-plugins/docker-compose").exists();
        is_needed.then_some(("DOCKER_CONFIG", fetched))
    }
}

/// An engine that is killed would leave its children behind.
impl Drop for Engine {
    fn drop(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.signal(Signal::TERM);
        let begun = std::time::Instant::now();
        while process.is_running() && begun.elapsed() < STOP_LIMIT {
            #[expect(clippy::disallowed_methods, reason = "drop cannot await")]
            std::thread::sleep(Duration::from_millis(50));
        }
        if let Err(error) = restore_filter(&self.filter) {
            eprintln!("the packet filter is not as it was before Docker: {error}");
        }
    }
}

/// The tables that Docker writes to.
fn saved_filter() -> std::io::Result<Vec<u8>> {
    let mut saved = Vec::new();
    for table in ["filter", "nat"] {
        saved.extend(Command::new("iptables-save").args(["-t", table]).output()?.stdout);
    }
    Ok(saved)
}

fn restore_filter(filter: &[u8]) -> std::io::Result<()> {
    let mut restore = Command::new("iptables-restore").stdin(Stdio::piped()).spawn()?;
    restore.stdin.take().expect("it is piped").write_all(filter)?;
    restore.wait().map(drop)
}

fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// # Panics
/// The command fails.
pub(crate) fn prints(command: &mut Command) -> String {
    prints_or_fails(command).unwrap_or_else(|failure| panic!("{failure}"))
}

/// # Errors
/// The command fails: with what, and what it says.
///
/// # Panics
/// It cannot be run.
pub(crate) fn prints_or_fails(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {errors}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `deploy/` in a folder of its own, as an operator would unpack it.
///
/// # Panics
/// It cannot be copied.
#[must_use]
pub fn copy_of_deploy() -> TempDir {
    let directory = tempfile::Builder::new().prefix("djaffar-test-deploy-").tempdir();
    let directory = directory.expect("a temporary directory can be made");
    copy(&crate::workspace().join("deploy"), directory.path());
    directory
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let path: PathBuf = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("an entry has a name");
        // What a stack that runs here has made is nobody else's.
        if name == "secrets" {
            continue;
        }
        if path.is_dir() {
            fs::create_dir(to.join(name)).expect("a folder can be made");
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("a file can be copied");
        }
    }
}
