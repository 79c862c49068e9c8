//! What the process says about itself, on stderr: one line an event, human or JSON.
//!
//! No personal data at `info` and above. Control characters in a line are
//! escaped, so that input can neither forge a line nor steer a terminal.

use std::io::{self, Write};

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
    log_format: LogFormat,
    /// The least important lines to show
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
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
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Escaping(io::stderr()));
    let layer = match settings.log_format {
        LogFormat::Human => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(filter));
    registry.try_init().map_err(|error| Failure::failed(format!("cannot start logging: {error}")))
}

/// Escapes control characters; the formatter writes one whole line at a time.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(&escape(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escape(line: &[u8]) -> Vec<u8> {
    let (body, end) = match line.split_last() {
        Some((b'\n', body)) => (body, "\n"),
        _ => (line, ""),
    };
    let mut escaped = String::with_capacity(line.len());
    for character in String::from_utf8_lossy(body).chars() {
        if character.is_control() {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
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
        let escaped = escape(b"INFO path=a\nERROR forged\x1b[2J\xc2\x9b\n");
        assert_eq!(escaped, b"INFO path=a\\u{a}ERROR forged\\u{1b}[2J\\u{9b}\n");
    }
}
