//! `djaffar serve`: ingest, queue and writer in one process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use writer::StopMode;

use crate::adapters::{AnyQueue, Database};
use crate::cli::ServeArguments;
use crate::command::print;
use crate::data_directory::{self, AdminAccess, DataDirectory};
use crate::failure::Failure;
use crate::process::{self, Process};
use crate::{front, settings::queue::QueueChoice};

pub(crate) async fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let ServeArguments { front, queue: queue_settings, database, writer: writer_settings, data, admin } =
        &arguments;
    process::check_apart(front.http.listen, admin.admin_listen)?;
    let choice = queue_settings.choice()?;
    let database = Database::new(database.choice(&data.data_dir)?, process::writer_id(admin.admin_listen))?;
    let directory = DataDirectory::open(&data.data_dir)?;
    if let Some(file) = database.file() {
        data_directory::create_parent(file)?;
    }
    let stop_timeout = admin.stop_timeout.0;
    let mut config = front::configure(front, stop_timeout, || directory.secret_key())?;
    config.welcome = Some(include_str!("serve/welcome.html"));
    let drain_time = writer_stop_time(stop_timeout, config.request_timeout);

    let mut process = Process::new("serve", admin)?;
    let queue = match &choice {
        QueueChoice::Embedded => AnyQueue::embedded(queue_settings, directory.queue())?,
        QueueChoice::Nats(servers) => AnyQueue::nats(queue_settings, servers, &process.readiness).await?,
    };
    let public = process::bind("listen", front.http.listen)?;
    let admin_listener = process::bind("admin-listen", admin.admin_listen)?;
    let (listens, tells) = (process::address(&public)?, process::address(&admin_listener)?);
    if let QueueChoice::Embedded = choice {
        let reached = SocketAddr::new(reachable(tells.ip()), tells.port());
        process.take_frames(AdminAccess::leave(&directory, reached)?.key);
    }
    process.watch(&queue);
    process.take_requests(public, &queue, config);
    // With the embedded queue nobody else would store what is left.
    let stop = match choice {
        QueueChoice::Embedded => StopMode::DrainBacklog,
        QueueChoice::Nats(_) => StopMode::Pulled,
    };
    process.store(&queue, database.stores(writer_settings.dead_letters_max)?, stop, drain_time);
    process.read_totals(database.clone());
    if let Some(retention) = writer_settings.retention {
        process.retain(database.clone(), retention);
    }
    greet(listens, tells, front.http.base_path.as_str(), directory.path(), &queue, &database);
    process.run(admin_listener, queue).await
}

/// What ingest's last requests leave of the stop, with some room for the rest.
fn writer_stop_time(stop_timeout: Duration, request_timeout: Duration) -> Duration {
    let ingest = request_timeout.min(stop_timeout.mul_f32(0.8));
    (stop_timeout.mul_f32(0.9).saturating_sub(ingest)).max(stop_timeout.mul_f32(0.1))
}

fn greet(
    listens: SocketAddr,
    tells: SocketAddr,
    base_path: &str,
    data: &Path,
    queue: &AnyQueue,
    database: &Database,
) {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let reachable = SocketAddr::new(reachable(listens.ip()), listens.port());
    let date = shared::time::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
    print(&format!(
        "Djaffar listens on http://{listens}{base_path}/log/ and tells how it is on http://{tells}/status"
    ));
    print(&format!(
        "Its data is in {} (queue: {}, database: {})",
        data.display(),
        queue.name(),
        database.name()
    ));
    print(&format!("Try: curl -i -d \"date={date}&path=users/me/cart/\" http://{reachable}{base_path}/log/"));
}

/// An address to connect to, where the listener's is all addresses.
fn reachable(address: IpAddr) -> IpAddr {
    if address.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stops_fit_into_the_stop_timeout() {
        let seconds = Duration::from_secs_f32;
        assert_eq!(writer_stop_time(seconds(10.0), seconds(5.0)), seconds(4.0));
        assert_eq!(writer_stop_time(seconds(5.0), seconds(5.0)), seconds(0.5));
    }
}
