//! clap's error as one sentence that names the setting, where it stands, and the remedy.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::file::FileValues;
use super::variable;

pub(super) fn of(error: &clap::Error, arguments: &[OsString], file: Option<&FileValues>) -> String {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(" or ")),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let flag = argument.split([' ', '[', '=']).next().unwrap_or_default().trim_start_matches("--");
            let place = place(flag, arguments, file);
            let value = text(ContextKind::InvalidValue).unwrap_or_default().escape_debug().to_string();
            let reason = match (error.source(), text(ContextKind::ValidValue)) {
                (Some(source), _) => source.to_string(),
                (None, Some(valid)) if !valid.is_empty() => format!("it is one of {valid}"),
                (None, _) => "it needs a value".to_owned(),
            };
            format!("{place}: '{value}' is refused: {reason}")
        }
        ErrorKind::UnknownArgument => {
            let remedy = text(ContextKind::SuggestedArg).map_or_else(
                || "see `djaffar COMMAND --help`".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            format!("unknown argument {argument}; {remedy}")
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("unknown command {name}; see `djaffar --help`")
        }
        ErrorKind::MissingRequiredArgument => {
            format!("{argument} is needed; see `djaffar COMMAND --help`")
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "this command needs to be told what to do; see `djaffar COMMAND --help`".to_owned()
        }
        _ => first_line(error),
    }
}

/// Where the value in force stands: the flag, else the environment, else the file.
fn place(flag: &str, arguments: &[OsString], file: Option<&FileValues>) -> String {
    let long = format!("--{flag}");
    let with_value = format!("{long}=");
    let on_line = |argument: &OsString| {
        argument.to_str().is_some_and(|text| text == long || text.starts_with(&with_value))
    };
    if arguments.iter().any(on_line) {
        return long;
    }
    let variable = variable(flag);
    if std::env::var_os(&variable).is_some() {
        return variable;
    }
    match file.filter(|file| file.get(flag).is_some()) {
        Some(file) => format!("`{flag}` in {}", file.path.display()),
        None => long,
    }
}

fn first_line(error: &clap::Error) -> String {
    let whole = error.to_string();
    let line = whole.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("{}; see `djaffar COMMAND --help`", line.trim_start_matches("error: "))
}
