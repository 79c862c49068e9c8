//! `djaffar ingest`: one of the processes that take log requests and publish them to NATS.

use crate::adapters::{AnyQueue, Spool};
use crate::cli::IngestArguments;
use crate::command::print;
use crate::failure::Failure;
use crate::front;
use crate::process::{self, Process};

pub(crate) async fn run(arguments: IngestArguments) -> Result<(), Failure> {
    let IngestArguments { front, queue: queue_settings, spool, data, admin } = &arguments;
    process::check_apart(front.http.listen, admin.admin_listen)?;
    let servers = queue_settings.servers("ingest")?;
    let config = front::configure(front, admin.stop_timeout.0, || Err(front::key_missing()))?;
    let spool = match spool.bytes_max()? {
        Some(bytes_max) => Some(Spool::open(&data.data_dir, bytes_max)?),
        None => Spool::refuse_forgotten(&data.data_dir).map(|()| None)?,
    };

    let mut process = Process::new("ingest", admin)?;
    let queue = match &spool {
        Some(spool) => {
            AnyQueue::spooled(queue_settings, &servers, spool.queue.clone(), &process.readiness).await?
        }
        None => AnyQueue::nats(queue_settings, &servers, &process.readiness).await?,
    };
    let public = process::bind("listen", front.http.listen)?;
    let admin_listener = process::bind("admin-listen", admin.admin_listen)?;
    let (listens, tells) = (process::address(&public)?, process::address(&admin_listener)?);
    process.watch(&queue);
    process.take_requests(public, &queue, config);
    let base_path = front.http.base_path.as_str();
    print(&format!(
        "Djaffar ingest listens on http://{listens}{base_path}/log/, admin pages on http://{tells}"
    ));
    let ended = process.run(admin_listener, queue).await;
    let Some(left) = spool.and_then(|spool| spool.left()) else { return ended };
    let remedy = "start `djaffar ingest` with this data-dir again, or empty it with `djaffar spool drain`";
    let sentence = format!("{left} that NATS has not taken; {remedy}");
    match ended {
        Ok(()) => Err(Failure::Unfinished(sentence)),
        Err(failure) => {
            // The failure decides the exit; both must be known.
            tracing::error!("{sentence}");
            Err(failure)
        }
    }
}
