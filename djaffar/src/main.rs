//! `djaffar`: the one command.

mod adapters;
mod cli;
mod command;
mod configuration;
mod data_directory;
mod dump;
mod failure;
mod logging;
mod runtime;
mod settings;

use std::process::ExitCode;

use crate::failure::Failure;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<(), Failure> {
    let cli = configuration::load()?;
    logging::install(&cli.logging)?;
    runtime::run(command::run(cli))
}
