//! `djaffar status`: what became of all log requests, from database, queue and admin listeners.

mod report;
mod table;

use std::time::Duration;

use serde_json::Value;

use self::report::{Process, QueueReading, Reading, Report};
use crate::adapters::{AnyQueue, Database};
use crate::cli::StatusArguments;
use crate::command::check::no_stream;
use crate::command::print;
use crate::failure::{Failure, innermost};
use crate::settings::admin;
use crate::settings::queue::QueueChoice;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads in the order that activities flow: what moves on meanwhile is counted twice, never missed.
pub(crate) async fn run(arguments: StatusArguments) -> Result<(), Failure> {
    let queue = arguments.queue.choice()?;
    let database = Database::reader(arguments.store.database.choice(&arguments.store.data.data_dir)?)?;
    let mut processes = Vec::new();
    for url in listeners(&arguments, &queue) {
        let status = ask(&url).await.map_or_else(Reading::Unknown, Reading::Known);
        processes.push(Process { url, status });
    }
    let queue = read_queue(&arguments, &queue, &processes).await;
    let database = match tokio::time::timeout(ANSWER_TIMEOUT, database.status()).await {
        Ok(Ok(status)) => Reading::Known(status),
        Ok(Err(error)) => Reading::Unknown(format!("database: {}", error.reason)),
        Err(_) => Reading::Unknown("database: no answer".to_owned()),
    };
    let report = Report::new(processes, queue, database, shared::time::now());
    if arguments.json {
        print(&serde_json::to_string_pretty(&report).map_err(|error| Failure::failed(error.to_string()))?);
    } else {
        print(&table::render(&report));
    }
    match (report.is_broken(), &report.database) {
        (true, _) => Err(Failure::Reported(1)),
        (false, Reading::Unknown(_)) => Err(Failure::Reported(2)),
        (false, Reading::Known(_)) => Ok(()),
    }
}

fn listeners(arguments: &StatusArguments, queue: &QueueChoice) -> Vec<String> {
    match (&arguments.listeners.admin, queue) {
        (Some(urls), _) => urls.clone(),
        (None, QueueChoice::Embedded) => vec![format!("http://{}", admin::DEFAULT)],
        (None, QueueChoice::Nats(_)) => Vec::new(),
    }
}

async fn ask(url: &str) -> Result<Value, String> {
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).no_proxy().build();
    let client = client.map_err(|error| error.to_string())?;
    let answer =
        client.get(format!("{url}/status")).send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(|error| innermost(&error))?;
    answer.json().await.map_err(|_| "does not answer as a djaffar admin listener".to_owned())
}

async fn read_queue(
    arguments: &StatusArguments,
    queue: &QueueChoice,
    processes: &[Process],
) -> Reading<QueueReading> {
    let QueueChoice::Nats(servers) = queue else {
        return processes.iter().find_map(Process::embedded_queue).map_or_else(
            || {
                Reading::Unknown(
                    "its process does not answer; name its admin listener with --admin".to_owned(),
                )
            },
            Reading::Known,
        );
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, AnyQueue::look_at(&arguments.queue, servers)).await {
        Ok(Ok(None)) => Reading::Unknown(no_stream(&arguments.queue.stream)),
        Ok(Ok(Some(backlog))) => Reading::Known(QueueReading {
            name: "nats",
            frames: backlog.frames,
            activities: backlog.activities,
            bytes: backlog.bytes,
            oldest: backlog.oldest,
        }),
        Ok(Err(error)) => Reading::Unknown(format!("queue: {error}")),
        Err(_) => Reading::Unknown("queue: no answer".to_owned()),
    }
}
