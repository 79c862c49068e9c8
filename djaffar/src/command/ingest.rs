//! `djaffar ingest`: one of the processes that take log requests and publish them to NATS.

use crate::adapters::AnyQueue;
use crate::cli::IngestArguments;
use crate::command::print;
use crate::failure::Failure;
use crate::front;
use crate::process::{self, Process};

pub(crate) async fn run(arguments: IngestArguments) -> Result<(), Failure> {
    let IngestArguments { front, queue: queue_settings, admin } = &arguments;
    process::check_apart(front.http.listen, admin.admin_listen)?;
    let servers = queue_settings.servers("ingest")?;
    let config = front::configure(front, admin.stop_timeout.0, || Err(front::key_missing()))?;

    let mut process = Process::new("ingest", admin)?;
    let queue = AnyQueue::nats(queue_settings, &servers, &process.readiness).await?;
    let public = process::bind("listen", front.http.listen)?;
    let admin_listener = process::bind("admin-listen", admin.admin_listen)?;
    let (listens, tells) = (process::address(&public)?, process::address(&admin_listener)?);
    process.watch(&queue);
    process.take_requests(public, &queue, config);
    let base_path = front.http.base_path.as_str();
    print(&format!(
        "Djaffar ingest listens on http://{listens}{base_path}/log/, admin pages on http://{tells}"
    ));
    process.run(admin_listener, queue).await
}
