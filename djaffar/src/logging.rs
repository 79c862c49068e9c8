//! What the process says about itself, on stderr: one line an event, human or JSON.
//!
//! No personal data at `info` and above. Control characters in a line are
//! escaped, so that input can neither forge a line nor steer a terminal. As JSON,
//! every line is an object, also of a panic and of the sentence by which the process
//! ends; only settings that cannot be read are complained of in plain text. Held by
//! `tests/hardening/logs.rs`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic;

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LoggingSettings {
    /// Form of the log lines on stderr
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(crate) log_format: LogFormat,
    /// The least important lines to show
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Libraries that would print statements or peers; theirs is shown from `warn`.
const QUIET: [&str; 5] = ["sqlx", "async_nats", "hyper", "hyper_util", "rustls"];

pub(crate) fn install(settings: &LoggingSettings) -> Result<(), Failure> {
    let level = match settings.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let filter = Targets::new()
        .with_default(level)
        .with_targets(QUIET.map(|target| (target, level.min(LevelFilter::WARN))));
    let format = settings.log_format;
    let stderr = move || Escaping { to: io::stderr(), format };
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(stderr);
    let layer = match format {
        LogFormat::Human => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(filter));
    registry.try_init().map_err(|error| Failure::failed(format!("cannot start logging: {error}")))?;
    panic::set_hook(Box::new(|panicked| {
        let message = panicked.payload_as_str().unwrap_or_default();
        let location = panicked.location().map(ToString::to_string);
        tracing::error!(location, "a task has panicked: {message}");
    }));
    Ok(())
}

/// Escapes control characters; the formatter writes one whole line at a time.
struct Escaping<W> {
    to: W,
    format: LogFormat,
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.to.write_all(&escape(line, self.format))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Ends lines or turns the direction of writing, for some who read the log.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

pub(crate) fn escape(line: &[u8], format: LogFormat) -> Vec<u8> {
    let (body, end) = match line.split_last() {
        Some((b'\n', body)) => (body, "\n"),
        _ => (line, ""),
    };
    let mut escaped = String::with_capacity(line.len());
    for character in String::from_utf8_lossy(body).chars() {
        match format {
            _ if !is_deceptive(character) => escaped.push(character),
            LogFormat::Human => escaped.extend(character.escape_unicode()),
            // All of them have four digits, and stand within texts.
            LogFormat::Json => {
                write!(escaped, "\\u{:04x}", u32::from(character)).expect("a string takes any text");
            }
        }
    }
    escaped.push_str(end);
    escaped.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        let escaped = escape(b"INFO path=a\nERROR forged\x1b[2J\xc2\x9b\n", LogFormat::Human);
        assert_eq!(escaped, b"INFO path=a\\u{a}ERROR forged\\u{1b}[2J\\u{9b}\n");
    }

    #[test]
    fn a_line_of_json_stays_json() {
        let text = "a\n\u{1b}[2J\u{7f}\u{9b}31m\u{2028}\u{202e}\u{1f600}\"\\";
        let line = format!("{}\n", serde_json::json!({ "path": text }));
        let escaped = escape(line.as_bytes(), LogFormat::Json);
        let shown = std::str::from_utf8(&escaped).expect("UTF-8").strip_suffix('\n').expect("a line");
        assert!(!shown.contains(is_deceptive), "{shown}");
        let read: serde_json::Value = serde_json::from_str(shown).expect("JSON");
        assert_eq!(read["path"], text);
    }
}
