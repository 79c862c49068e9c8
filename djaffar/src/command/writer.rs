//! `djaffar writer`: one of the processes that store what NATS holds.

use writer::StopMode;

use crate::adapters::{AnyQueue, Database};
use crate::cli::WriterArguments;
use crate::command::print;
use crate::data_directory;
use crate::failure::Failure;
use crate::process::{self, Process};

pub(crate) async fn run(arguments: WriterArguments) -> Result<(), Failure> {
    let WriterArguments { queue: queue_settings, database, writer: writer_settings, admin } = &arguments;
    let servers = queue_settings.servers("writer")?;
    let database = Database::new(database.required("writer")?, process::writer_id(admin.admin_listen))?;
    if let Some(file) = database.file() {
        data_directory::create_parent(file)?;
    }

    let mut process = Process::new("writer", admin)?;
    let queue = AnyQueue::nats(queue_settings, &servers, &process.readiness).await?;
    let admin_listener = process::bind("admin-listen", admin.admin_listen)?;
    let tells = process::address(&admin_listener)?;
    process.watch(&queue);
    process.store(
        &queue,
        database.stores(writer_settings.dead_letters_max)?,
        StopMode::Pulled,
        admin.stop_timeout.0.mul_f32(0.8),
    );
    process.read_totals(database.clone());
    if let Some(retention) = writer_settings.retention {
        process.retain(database.clone(), retention);
    }
    print(&format!("Djaffar writer stores in {}, admin pages on http://{tells}", database.name()));
    process.run(admin_listener, queue).await
}
