//! strace as a saboteur: a system call of a running process fails, or is counted.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::slice;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::Process;
use crate::{START_LIMIT, wait_until};

/// Attached until it is dropped.
#[derive(Debug)]
pub struct Strace {
    process: Process,
    directory: TempDir,
}

/// Whom to attach to.
#[derive(Clone, Debug)]
pub enum Target {
    /// With all its threads.
    Process(u32),
    Threads(Vec<u32>),
}

impl Strace {
    /// Follows these system calls, such as `fdatasync,write`.
    pub async fn follow(target: &Target, calls: &str) -> Self {
        Self::attach(target, &["-e", &format!("trace={calls}")]).await
    }

    /// Lets a system call fail: `fdatasync:error=EIO:when=3`, say.
    pub async fn inject(target: &Target, fault: &str) -> Self {
        let calls = fault.split(':').next().unwrap_or_default();
        Self::attach(target, &["-e", &format!("trace={calls}"), "-e", &format!("inject={fault}")]).await
    }

    async fn attach(target: &Target, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut command = Command::new("strace");
        let ids = match target {
            Target::Process(id) => {
                command.arg("-f");
                slice::from_ref(id)
            }
            Target::Threads(ids) => ids,
        };
        command.args(arguments).arg("-o").arg(directory.path().join("calls"));
        command.args(ids.iter().flat_map(|id| ["-p".to_owned(), id.to_string()]));
        let process = Process::start("strace", &mut command, &directory.path().join("log"));
        let strace = Self { process, directory };
        wait_until("strace to attach", START_LIMIT, || async {
            strace.process.log().matches("attached").count() >= ids.len()
        })
        .await;
        strace
    }

    /// One line for each call.
    #[must_use]
    pub fn calls(&self) -> String {
        fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default()
    }

    /// Detaches and leaves the process alone.
    pub async fn detach(mut self) {
        self.process.signal(Signal::INT);
        self.process.ended(Duration::from_secs(30)).await;
    }
}

/// The threads of a process whose names begin so.
///
/// # Panics
/// There is none.
#[must_use]
pub fn threads(process: u32, name: &str) -> Target {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs").flatten();
    let named = |path: &Path| fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.starts_with(name));
    let threads = tasks.map(|task| task.path()).filter(|path| named(path));
    let ids: Vec<u32> = threads.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect();
    assert!(!ids.is_empty(), "process {process} has no thread {name}");
    Target::Threads(ids)
}
