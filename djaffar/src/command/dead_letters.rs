//! `djaffar dead-letters`: what the database has refused, and what becomes of it.

mod chosen;
mod discard;
mod list;
mod replay;
mod show;
pub(super) mod text;

use std::io::{self, Write};

use writer::dead_letters::DeadLetters;

use crate::cli::{DeadLettersAction, DeadLettersArguments, StoreArguments};
use crate::failure::Failure;

pub(crate) async fn run(arguments: DeadLettersArguments) -> Result<(), Failure> {
    match arguments.action {
        DeadLettersAction::List(arguments) => list::run(arguments).await,
        DeadLettersAction::Show(arguments) => show::run(arguments).await,
        DeadLettersAction::Replay(arguments) => replay::run(arguments).await,
        DeadLettersAction::Discard(arguments) => discard::run(arguments).await,
    }
}

async fn open(store: &StoreArguments) -> Result<DeadLetters, Failure> {
    Ok(DeadLetters::open(&store.choice()?.into()).await?)
}

/// `false`: the reader has seen enough.
fn print(line: &str) -> Result<bool, Failure> {
    match writeln!(io::stdout().lock(), "{line}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed(format!("cannot print: {error}"))),
    }
}

/// "1 dead letter", "2 dead letters".
fn counted(count: u64) -> String {
    crate::counted::counted(count, "dead letter", "dead letters")
}
