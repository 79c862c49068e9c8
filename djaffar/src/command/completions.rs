//! `djaffar completions`: what a shell needs to complete commands, flags and their values.

use std::io::Write;

use clap_complete::{generate, shells};

use crate::cli::{self, CompletionsArguments, Shell};
use crate::failure::Failure;

const NAME: &str = "djaffar";

pub(crate) fn run(arguments: CompletionsArguments) -> Result<(), Failure> {
    let script = script(arguments.shell);
    // Nobody needs to read it.
    std::io::stdout().lock().write_all(&script).ok();
    Ok(())
}

fn script(shell: Shell) -> Vec<u8> {
    let mut command = cli::command();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, NAME, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, NAME, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, NAME, &mut script),
    }
    script
}
