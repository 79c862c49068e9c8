//! `djaffar check`: validates the configuration, reaches queue and database, says what is wrong.

use std::path::Path;
use std::time::Duration;

use ingest::IngestConfig;
use ingest::identity::Finding;
use shared::secret::Secret;

use super::migrate::explain;
use crate::adapters::{AnyQueue, Database};
use crate::cli::{CheckArguments, Role};
use crate::command::print;
use crate::data_directory;
use crate::failure::Failure;
use crate::settings::queue::{NatsServers, QueueChoice};
use crate::{front, process};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

/// One line a finding, as it is found.
#[derive(Default)]
struct Findings {
    wrong: usize,
}

impl Findings {
    fn fine(&self, what: &str) {
        print(&format!("ok       {what}"));
    }

    fn warn(&self, what: &str) {
        print(&format!("warning  {what}"));
    }

    fn wrong(&mut self, what: &str) {
        self.wrong += 1;
        print(&format!("wrong    {what}"));
    }

    /// The value, or its failure as a finding.
    fn take<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.wrong(&failure.to_string())).ok()
    }
}

pub(crate) async fn run(arguments: CheckArguments) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let settings = &arguments.serve;
    let role = arguments.role;
    let front = if role == Role::Writer { None } else { check_front(&mut findings, &arguments) };
    let queue = match role {
        Role::Serve => settings.queue.choice(),
        Role::Ingest | Role::Writer => settings.queue.servers(role.name()).map(QueueChoice::Nats),
    };
    let queue = findings.take(queue);
    let has_spool = role == Role::Ingest
        && findings.take(arguments.spool.bytes_max()).is_some_and(|bytes_max| bytes_max.is_some());
    let database = match role {
        Role::Serve => settings.database.choice(&settings.data.data_dir).map(Some),
        Role::Ingest => Ok(None),
        Role::Writer => settings.database.required(role.name()).map(Some),
    };
    let database = database.and_then(|choice| choice.map(Database::reader).transpose());
    let database = findings.take(database).flatten();
    if let Some(warning) = database.as_ref().and_then(Database::warning) {
        findings.warn(&warning);
    }
    if findings.wrong == 0 {
        findings.fine(&format!("configuration of `djaffar {}`", role.name()));
    }
    if !arguments.config_only {
        if role == Role::Serve || has_spool {
            check_data_directory(&mut findings, &settings.data.data_dir);
        }
        if let Some(config) = front {
            check_users(&mut findings, &config).await;
        }
        if let Some(QueueChoice::Nats(servers)) = queue {
            check_queue(&mut findings, &arguments, &servers).await;
        }
        if let Some(database) = database {
            check_database(&mut findings, &database).await;
        }
    }
    if findings.wrong == 0 { Ok(()) } else { Err(Failure::Reported(2)) }
}

fn check_front(findings: &mut Findings, arguments: &CheckArguments) -> Option<IngestConfig> {
    let settings = &arguments.serve;
    let role = arguments.role;
    // Stands for the key that serve makes.
    let key = || match role {
        Role::Serve => Ok(Secret::new("generated".repeat(8))),
        Role::Ingest | Role::Writer => Err(front::key_missing()),
    };
    findings.take(process::check_apart(settings.front.http.listen, settings.admin.admin_listen));
    let config = findings.take(front::configure(&settings.front, settings.admin.stop_timeout.0, key));
    for warning in config.iter().flat_map(IngestConfig::warnings) {
        findings.warn(&warning);
    }
    config
}

/// Each authenticator, and whether it can reach what it needs.
async fn check_users(findings: &mut Findings, config: &IngestConfig) {
    for Finding { authenticator, reached } in config.users().probe().await {
        match reached {
            Ok(found) => findings.fine(&format!("users: {authenticator}: {found}")),
            Err(reason) => findings.wrong(&format!("users: {authenticator} cannot be asked: {reason}")),
        }
    }
}

fn check_data_directory(findings: &mut Findings, path: &Path) {
    let shown = path.display();
    if data_directory::is_in_use(path) {
        return findings.fine(&format!("data-dir {shown}, in use by a running djaffar"));
    }
    let nearest = path.ancestors().find(|ancestor| ancestor.exists());
    let nearest = nearest.filter(|nearest| !nearest.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_writable = rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK).is_ok();
    if !nearest.is_dir() || !is_writable {
        return findings.wrong(&format!(
            "data-dir: {} is not a directory that this process may write to; name another one",
            nearest.display()
        ));
    }
    findings.fine(&format!("data-dir {shown}{}", if path.exists() { "" } else { ", will be made" }));
}

/// For whoever only looks.
pub(crate) fn no_stream(stream: &str) -> String {
    format!("the stream {stream} does not exist yet: ingest or writer creates it")
}

async fn check_queue(findings: &mut Findings, arguments: &CheckArguments, servers: &NatsServers) {
    let settings = &arguments.serve.queue;
    match tokio::time::timeout(ANSWER_TIMEOUT, AnyQueue::look_at(settings, servers)).await {
        Ok(Ok(Some(backlog))) => {
            findings.fine(&format!("queue reached: {} frames, {} bytes", backlog.frames, backlog.bytes));
        }
        Ok(Ok(None)) => findings.fine(&format!("queue reached; {}", no_stream(&settings.stream))),
        Ok(Err(error)) => findings.wrong(&format!("queue: {error}")),
        Err(_) => findings.wrong("queue: no answer; see whether NATS runs and this machine may reach it"),
    }
}

async fn check_database(findings: &mut Findings, database: &Database) {
    let name = database.name();
    if database.file().is_some_and(|file| !file.exists()) {
        return findings.fine(&format!("database {name}, will be made"));
    }
    match tokio::time::timeout(ANSWER_TIMEOUT, database.status()).await {
        Ok(Ok(_)) => findings.fine(&format!("database {name} reached")),
        Ok(Err(error)) if error.sqlstate.as_deref() == Some(UNDEFINED_TABLE) => {
            findings
                .fine(&format!("database {name} reached; the writer or `djaffar migrate` makes its tables"));
        }
        Ok(Err(error)) => findings.wrong(&explain(&error)),
        Err(_) => findings.wrong("database: no answer; see whether it runs and this machine may reach it"),
    }
}
