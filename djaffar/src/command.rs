//! What each command does.

mod check;
mod completions;
mod dead_letters;
mod dump;
mod erase;
mod export;
mod health;
mod ingest;
mod load;
mod migrate;
mod prune;
mod serve;
mod spool;
mod status;
mod writer;

use std::io::Write;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Serve(arguments)) => serve::run(*arguments).await,
        Some(Command::Ingest(arguments)) => ingest::run(*arguments).await,
        Some(Command::Writer(arguments)) => writer::run(*arguments).await,
        Some(Command::Migrate(arguments)) => migrate::run(*arguments).await,
        Some(Command::Dump(arguments)) => dump::run(*arguments).await,
        Some(Command::Load(arguments)) => load::run(*arguments).await,
        Some(Command::DeadLetters(arguments)) => dead_letters::run(*arguments).await,
        Some(Command::Prune(arguments)) => prune::run(*arguments).await,
        Some(Command::Erase(arguments)) => erase::run(*arguments).await,
        Some(Command::Export(arguments)) => export::run(*arguments).await,
        Some(Command::Spool(arguments)) => spool::run(*arguments).await,
        Some(Command::Status(arguments)) => status::run(*arguments).await,
        Some(Command::Check(arguments)) => check::run(*arguments).await,
        Some(Command::Health(arguments)) => health::run(arguments).await,
        Some(Command::Completions(arguments)) => completions::run(arguments),
        // The configuration has chosen a command.
        None => Err(Failure::failed("no command is given; see `djaffar --help`")),
    }
}

/// Prints to stdout; nobody needs to read it.
fn print(text: &str) {
    writeln!(std::io::stdout().lock(), "{text}").ok();
}
