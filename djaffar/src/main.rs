//! `djaffar`: the one command.

mod adapters;
mod admin;
mod cli;
mod command;
mod configuration;
mod data_directory;
mod dump;
mod failure;
mod front;
mod logging;
mod open_files;
mod process;
mod runtime;
mod settings;
mod telemetry;

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
