//! `djaffar spool drain`: what a stopped ingest has left, published to NATS.

use shared::lifecycle::{Shutdown, spawn_owned};
use shared::queue::spool::SpooledQueue;
use shared::queue::{Backlog, QueueBacklog};
use shared::readiness::Readiness;

use crate::adapters::{AnyQueue, Spool, counted};
use crate::cli::{DrainArguments, SpoolAction, SpoolArguments};
use crate::command::print;
use crate::failure::Failure;

pub(crate) async fn run(arguments: SpoolArguments) -> Result<(), Failure> {
    match arguments.action {
        SpoolAction::Drain(arguments) => drain(arguments).await,
    }
}

async fn drain(arguments: DrainArguments) -> Result<(), Failure> {
    let servers = arguments.queue.servers("spool drain")?;
    let Some(spool) = Spool::find(&arguments.data.data_dir)? else {
        print("the spool is empty");
        return Ok(());
    };
    let before = spool.queue.backlog_now();
    let readiness = Readiness::default();
    let nats = AnyQueue::jetstream(&arguments.queue, &servers, readiness.condition("nats")).await?;
    if let Err(error) = nats.backlog().await {
        let left = spool.left().unwrap_or_else(|| "the spool is empty".to_owned());
        return Err(Failure::misconfigured(format!("queue: {error}; {left}")));
    }
    let _watch = spawn_owned(nats.clone().watch(Shutdown::new()));
    let queue = SpooledQueue::new(nats, spool.queue.clone(), readiness.condition("spool"));
    let emptied = queue.empty().await;
    let drained = counted(&difference(&before, &queue.spooled()));
    match (emptied, spool.left()) {
        (Ok(()), None) => {
            print(&format!("{drained} drained; the spool is empty"));
            Ok(())
        }
        (Ok(()), Some(left)) => Err(Failure::Unfinished(format!("{drained} drained; {left}: run it again"))),
        (Err(error), left) => {
            let left = left.unwrap_or_else(|| "the spool is empty".to_owned());
            Err(Failure::Unfinished(format!("{error}; {drained} drained; {left}: run it again")))
        }
    }
}

fn difference(before: &Backlog, after: &Backlog) -> Backlog {
    Backlog {
        frames: before.frames - after.frames,
        activities: before.activities.zip(after.activities).map(|(before, after)| before - after),
        bytes: before.bytes - after.bytes,
        oldest: None,
    }
}
