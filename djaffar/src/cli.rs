//! The commands and what each of them takes.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::dump::DumpedTable;
use crate::logging::LoggingSettings;
use crate::settings::admin::{self, AdminSettings};
use crate::settings::data_directory::DataDirectorySettings;
use crate::settings::database::{DatabaseSettings, WriterSettings};
use crate::settings::http::HttpSettings;
use crate::settings::limits::LimitSettings;
use crate::settings::queue::QueueSettings;
use crate::settings::session::SessionSettings;

/// Records what users of a website do: a log request becomes a row, exactly once.
///
/// Each setting is a flag, an environment variable (DJAFFAR_ and the flag in
/// capitals) and a key of the TOML file that --config names. A flag beats the
/// environment, the environment beats the file. Without arguments: `djaffar serve`.
#[derive(Debug, Parser)]
#[command(name = "djaffar", version, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// TOML file with settings, keyed by their flags; keys that other commands use are fine
    #[arg(long, global = true, value_name = "FILE", env = "DJAFFAR_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) logging: LoggingSettings,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run ingest, queue and writer in one process (the default command)
    Serve(Box<ServeArguments>),
    /// Run one of the processes that take log requests and publish them to NATS
    Ingest(Box<IngestArguments>),
    /// Run one of the processes that store what NATS holds
    Writer(Box<WriterArguments>),
    /// Bring the database's schema up to date, then exit
    Migrate(Box<StoreArguments>),
    /// Print what is stored, beside a running writer
    Dump(Box<DumpArguments>),
    /// Tell what became of all log requests; exit 1 when the accounts do not close
    Status(Box<StatusArguments>),
    /// Validate the configuration, reach queue and database, explain what is wrong; exit 2 if something is
    Check(Box<CheckArguments>),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) front: FrontArguments,
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) writer: WriterSettings,
    #[command(flatten)]
    pub(crate) data: DataDirectorySettings,
    #[command(flatten)]
    pub(crate) admin: AdminSettings,
}

/// What ingest needs, whichever process it runs in.
#[derive(Args, Clone, Debug)]
pub(crate) struct FrontArguments {
    #[command(flatten)]
    pub(crate) http: HttpSettings,
    #[command(flatten)]
    pub(crate) session: SessionSettings,
    #[command(flatten)]
    pub(crate) limits: LimitSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct IngestArguments {
    #[command(flatten)]
    pub(crate) front: FrontArguments,
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
    #[command(flatten)]
    pub(crate) admin: AdminSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct WriterArguments {
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) writer: WriterSettings,
    #[command(flatten)]
    pub(crate) admin: AdminSettings,
}

/// Which database, wherever it is.
#[derive(Args, Clone, Debug)]
pub(crate) struct StoreArguments {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
    #[command(flatten)]
    pub(crate) data: DataDirectorySettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DumpArguments {
    /// What to print
    pub(crate) table: DumpedTable,
    /// Django's fixture, byte for byte as `manage.py dumpdata` writes it, or one JSON object a line
    #[arg(long, value_name = "FORMAT", default_value = "django")]
    pub(crate) format: DumpFormatName,
    /// Spaces of indent in a fixture, as `dumpdata` takes it [default: all in one line]
    #[arg(long, value_name = "N")]
    pub(crate) indent: Option<u8>,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DumpFormatName {
    Django,
    Ndjson,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArguments {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) listeners: ListenerSettings,
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Admin")]
pub(crate) struct ListenerSettings {
    /// Admin listeners of the processes to ask, divided by commas [default: http://127.0.0.1:8081 with the embedded queue, none with NATS]
    #[arg(long, value_name = "URL,...", value_delimiter = ',', value_parser = admin_url)]
    pub(crate) admin: Option<Vec<String>>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArguments {
    /// The command that the configuration is for
    #[arg(long, value_name = "COMMAND", default_value = "serve")]
    pub(crate) role: Role,
    /// Validate the configuration alone; reach nothing
    #[arg(long)]
    pub(crate) config_only: bool,
    #[command(flatten)]
    pub(crate) serve: ServeArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Serve,
    Ingest,
    Writer,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Ingest => "ingest",
            Self::Writer => "writer",
        }
    }
}

/// The whole command line, before files and environment have their say.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommand("writer", |writer| {
        writer.mut_arg("admin_listen", |argument| argument.default_value(admin::WRITER_DEFAULT))
    })
}

fn admin_url(text: &str) -> Result<String, String> {
    let url = text.trim().trim_end_matches('/');
    match url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) {
        Some(host) if !host.is_empty() => Ok(url.to_owned()),
        _ => Err("an admin listener is a URL, such as http://127.0.0.1:8081".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
