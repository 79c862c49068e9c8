//! Configuration and start-up, on the real program: what is wrong is one sentence and exit 2 before
//! any port is bound, what is merely away is waited for.

mod example;
mod refusals;
mod secrets;
mod shell;
mod sources;
mod start;
mod units;

use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A refused start ends at once; one that hangs has started.
const REFUSAL_LIMIT: Duration = Duration::from_secs(20);

/// One run of the program in a directory of its own, with no variable of the caller's.
struct Run {
    directory: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Run {
    fn new(arguments: &[&str]) -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: Vec::new(),
        }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file into the directory that the program runs in.
    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.directory.path().join(name), text).expect("a file can be written");
        self
    }

    /// Uses this text as the configuration file.
    fn config(mut self, text: &str) -> Self {
        self.arguments.extend(["--config".to_owned(), "djaffar.toml".to_owned()]);
        self.file("djaffar.toml", text)
    }

    async fn output(self) -> Output {
        let mut command = tokio::process::Command::new(djaffar_tests::binary("djaffar"));
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match tokio::time::timeout(REFUSAL_LIMIT, command.output()).await {
            Ok(output) => output.expect("djaffar can be started"),
            Err(_) => panic!("djaffar {:?} has started instead of refusing", self.arguments),
        }
    }

    /// The one sentence of a refused start.
    async fn refusal(self) -> String {
        let arguments = self.arguments.clone();
        let output = self.output().await;
        let text = String::from_utf8(output.stderr).expect("djaffar prints UTF-8");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        text.strip_prefix("djaffar: ")
            .unwrap_or_else(|| panic!("{arguments:?}: {text}"))
            .trim_end()
            .to_owned()
    }

    async fn succeeds(self) -> String {
        let arguments = self.arguments.clone();
        let output = self.output().await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8(output.stdout).expect("djaffar prints UTF-8");
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        text
    }
}
