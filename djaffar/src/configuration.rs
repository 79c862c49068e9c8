//! One configuration from flags, environment and file: flags beat the
//! environment, the environment beats the file.
//!
//! clap knows flags, environment and defaults in that order, so the file's
//! values are installed as clap's defaults before the final parse. An unknown
//! name anywhere is refused: a misspelt setting must not be a silent default.

mod environment;
mod file;
mod nearest;
mod sentence;

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{ArgMatches, Command, FromArgMatches};

use crate::cli::{self, Cli};
use crate::failure::Failure;
use file::FileValues;

/// Reads the process's arguments, environment and the file they name.
pub(crate) fn load() -> Result<Cli, Failure> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect::<Vec<_>>();
    parse(std::env::args_os().collect(), &names)
}

fn parse(mut arguments: Vec<OsString>, environment: &[String]) -> Result<Cli, Failure> {
    let command = with_environment(cli::command());
    let settings = setting_names(&command);
    if names_no_command(&command, &arguments) {
        arguments.insert(1, "serve".into());
    }
    let mut matches = get_matches(&command, &arguments, None)?;
    environment::refuse_unknown(environment, &settings)?;
    if let Some(path) = matches.get_one::<std::path::PathBuf>("config") {
        let values = file::read(path, &settings)?;
        let command = with_defaults(command, &values);
        matches = get_matches(&command, &arguments, Some(&values))?;
    }
    Cli::from_arg_matches(&matches).map_err(|error| Failure::misconfigured(error.to_string()))
}

/// Nothing but flags: they are meant for the default command.
fn names_no_command(command: &Command, arguments: &[OsString]) -> bool {
    let mut texts = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    let answers = ["-h", "--help", "-V", "--version"];
    let is_flag = |text: &str| text.starts_with('-');
    arguments.get(1).is_none_or(|first| is_flag(&first.to_string_lossy()))
        && texts
            .all(|text| !answers.contains(&text.as_ref()) && command.find_subcommand(text.as_ref()).is_none())
}

fn get_matches(
    command: &Command,
    arguments: &[OsString],
    file: Option<&FileValues>,
) -> Result<ArgMatches, Failure> {
    command.clone().try_get_matches_from(arguments).map_err(|error| {
        if error.use_stderr() {
            return Failure::misconfigured(sentence::of(&error, arguments, file));
        }
        // Help and version; a closed stdout has nobody to tell.
        error.print().err();
        Failure::Reported(0)
    })
}

/// A setting stands under a help heading; other flags belong to one invocation.
fn is_setting(argument: &clap::Arg) -> bool {
    argument.get_help_heading().is_some() && argument.get_long().is_some()
}

/// `DJAFFAR_` and the flag in capitals.
fn variable(flag: &str) -> String {
    format!("{}{}", environment::PREFIX, flag.replace('-', "_").to_ascii_uppercase())
}

fn with_environment(command: Command) -> Command {
    every_setting(command, |argument, flag| argument.env(variable(flag)).hide_env_values(true))
}

fn with_defaults(command: Command, values: &FileValues) -> Command {
    every_setting(command, |argument, flag| match values.get(flag) {
        Some(value) => argument.default_value(value.to_owned()),
        None => argument,
    })
}

fn every_setting(command: Command, change: impl Fn(clap::Arg, &str) -> clap::Arg + Copy) -> Command {
    let change_one = move |argument: clap::Arg| match argument.get_long().map(str::to_owned) {
        Some(flag) if is_setting(&argument) => change(argument, &flag),
        _ => argument,
    };
    command.mut_args(change_one).mut_subcommands(|subcommand| every_setting(subcommand, change))
}

fn setting_names(command: &Command) -> BTreeSet<String> {
    let settings = command.get_arguments().filter(|argument| is_setting(argument));
    let names = settings.filter_map(|argument| argument.get_long().map(str::to_owned));
    names.chain(command.get_subcommands().flat_map(setting_names)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command as Chosen;

    fn load(arguments: &[&str]) -> Result<Cli, Failure> {
        parse(std::iter::once(&"djaffar").chain(arguments).map(OsString::from).collect(), &[])
    }

    fn with_file(text: &str, arguments: &[&str]) -> Result<Cli, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        load(&[arguments, &["--config", path]].concat())
    }

    #[test]
    fn no_arguments_mean_serve() {
        assert!(matches!(load(&[]).unwrap().command, Some(Chosen::Serve(_))));
        assert!(matches!(load(&["--log-level", "warn"]).unwrap().command, Some(Chosen::Serve(_))));
        assert!(matches!(load(&["--listen", "127.0.0.1:1"]).unwrap().command, Some(Chosen::Serve(_))));
        assert!(matches!(load(&["--log-level", "warn", "writer"]).unwrap().command, Some(Chosen::Writer(_))));
    }

    #[test]
    fn the_writer_has_an_admin_port_of_its_own() {
        let Some(Chosen::Writer(writer)) = load(&["writer"]).unwrap().command else { panic!("no writer") };
        assert_eq!(writer.admin.admin_listen.port(), 8082);
    }

    #[test]
    fn flags_beat_the_file_and_the_file_beats_defaults() {
        let file = "listen = \"127.0.0.1:1\"\nreferer_max = 7\ntrusted-proxies = [\"10.0.0.0/8\", \"192.0.2.1\"]\n\
                    session-expire-at-browser-close = true\ndead-letters-max = \"1MiB\"";
        let arguments = ["serve", "--listen", "127.0.0.1:2", "--session-expire-at-browser-close=false"];
        let Some(Chosen::Serve(serve)) = with_file(file, &arguments).unwrap().command else {
            panic!("no serve")
        };
        assert_eq!(serve.front.http.listen.port(), 2);
        assert_eq!(serve.front.limits.referer_max, 7);
        assert!(serve.front.http.trusted_proxies.unwrap().contains("192.0.2.1".parse().unwrap()));
        assert!(!serve.front.session.session_expire_at_browser_close);
    }

    #[test]
    fn a_shared_file_may_hold_keys_of_other_commands() {
        assert!(with_file("listen = \"127.0.0.1:1\"\nlog-level = \"warn\"", &["writer"]).is_ok());
    }

    #[test]
    fn unknown_keys_name_their_neighbour() {
        let error = with_file("lisen = \"127.0.0.1:1\"", &[]).unwrap_err().to_string();
        assert!(error.contains("`lisen`") && error.contains("`listen`"), "{error}");
        assert!(with_file("config = \"x\"", &[]).is_err());
        assert!(with_file("json = true", &[]).is_err());
    }

    #[test]
    fn a_refused_value_says_where_it_stands() {
        let error = with_file("listen = \"nowhere\"", &[]).unwrap_err().to_string();
        assert!(error.contains("`listen` in ") && error.contains("IP:PORT"), "{error}");
        let error = load(&["serve", "--intake-bytes-max", "64MB"]).unwrap_err().to_string();
        assert!(error.starts_with("--intake-bytes-max: ") && error.contains("64MiB"), "{error}");
    }

    #[test]
    fn every_setting_explains_itself() {
        let command = with_environment(cli::command());
        for subcommand in command.get_subcommands() {
            for argument in subcommand.get_arguments().filter(|argument| argument.get_long().is_some()) {
                let name = argument.get_id();
                assert!(argument.get_help().is_some(), "{name} has no help");
            }
        }
    }
}
