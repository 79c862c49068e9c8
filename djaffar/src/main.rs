//! `djaffar`: the one command.

mod adapters;
mod admin;
mod cli;
mod command;
mod configuration;
mod counted;
mod data_directory;
mod dump;
mod failure;
mod front;
mod identity;
mod load;
mod logging;
mod open_files;
mod process;
mod progress;
mod queue_totals;
mod retention;
mod runtime;
mod settings;
mod store_totals;
mod telemetry;

use std::process::ExitCode;

use crate::cli::Cli;
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match configuration::load() {
        Ok(cli) => cli,
        Err(failure) => return failure.report_plainly(),
    };
    let format = cli.logging.log_format;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(format),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    logging::install(&cli.logging)?;
    runtime::run(command::run(cli))
}
