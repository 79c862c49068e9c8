//! What each command does.

mod dump;
mod migrate;

use std::io::Write;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Dump(arguments)) => dump::run(*arguments).await,
        Some(Command::Migrate(arguments)) => migrate::run(*arguments).await,
        Some(
            Command::Status(_)
            | Command::Check(_)
            | Command::Serve(_)
            | Command::Ingest(_)
            | Command::Writer(_),
        )
        | None => Err(Failure::failed("this command is not built yet")),
    }
}

/// Prints to stdout; nobody needs to read it.
fn print(text: &str) {
    writeln!(std::io::stdout().lock(), "{text}").ok();
}
