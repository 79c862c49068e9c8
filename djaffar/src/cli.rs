//! The commands and what each of them takes.

mod dead_letters;
mod keeping;
mod spool;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use shared::event::{SessionId, UserId};
use writer::export::ExportFilter;

use crate::dump::{DumpedTable, UserType};
use crate::failure::Failure;
use crate::load::LoadFormat;
use crate::logging::LoggingSettings;
use crate::settings::admin::{self, AdminSettings};
use crate::settings::data_directory::DataDirectorySettings;
use crate::settings::database::{DatabaseChoice, DatabaseSettings, WriterSettings};
use crate::settings::django::DjangoSettings;
use crate::settings::http::{HttpSettings, time_zone};
use crate::settings::instant::instant;
use crate::settings::json_web_token::JwtSettings;
use crate::settings::limits::{LimitSettings, referer_max};
use crate::settings::look_up::LookUpSettings;
use crate::settings::queue::QueueSettings;
use crate::settings::session::SessionSettings;
use crate::settings::site::SiteSettings;
use crate::settings::spool::SpoolSettings;
use crate::settings::token::TokenSettings;

pub(crate) use dead_letters::{
    DeadLettersAction, DeadLettersArguments, DiscardArguments, ListArguments, ReplayArguments, ShowArguments,
    WhichLetters,
};

pub(crate) use keeping::{EraseArguments, ExportArguments, PruneArguments};
pub(crate) use spool::{DrainArguments, SpoolAction, SpoolArguments};

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
    /// Store what was dumped, here or by django-djaffar, beside a running writer; exit 1 if a record is bad
    Load(Box<LoadArguments>),
    /// See, replay or discard what the database has refused
    DeadLetters(Box<DeadLettersArguments>),
    /// Delete what is older than a limit, beside running writers
    Prune(Box<PruneArguments>),
    /// Delete what is stored or still to be stored about a user, a session or an address
    Erase(Box<EraseArguments>),
    /// Print everything that is stored about a user, a session or an address, as JSON
    Export(Box<ExportArguments>),
    /// Empty what an ingest has kept while NATS was away
    Spool(Box<SpoolArguments>),
    /// Tell what became of all log requests; exit 1 when the accounts do not close
    Status(Box<StatusArguments>),
    /// Validate the configuration, reach queue and database, explain what is wrong; exit 2 if something is
    Check(Box<CheckArguments>),
    /// Ask a running process of this machine whether it is ready; exit 1 with its reasons when it is not
    Health(HealthArguments),
    /// Print the completions for a shell
    Completions(CompletionsArguments),
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
    #[command(flatten)]
    pub(crate) identity: IdentityArguments,
}

/// Who says which user sends a log request.
#[derive(Args, Clone, Debug)]
pub(crate) struct IdentityArguments {
    #[command(flatten)]
    pub(crate) django: DjangoSettings,
    #[command(flatten)]
    pub(crate) site: SiteSettings,
    #[command(flatten)]
    pub(crate) token: TokenSettings,
    #[command(flatten)]
    pub(crate) jwt: JwtSettings,
    #[command(flatten)]
    pub(crate) look_up: LookUpSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct IngestArguments {
    #[command(flatten)]
    pub(crate) front: FrontArguments,
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
    #[command(flatten)]
    pub(crate) spool: SpoolSettings,
    #[command(flatten)]
    pub(crate) data: DataDirectorySettings,
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

impl StoreArguments {
    pub(crate) fn choice(&self) -> Result<DatabaseChoice, Failure> {
        self.database.choice(&self.data.data_dir)
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DumpArguments {
    /// What to print
    pub(crate) table: DumpedTable,
    /// Django's fixture, byte for byte as `manage.py dumpdata` writes it, one JSON object a line, or CSV
    #[arg(long, value_name = "FORMAT", default_value = "django")]
    pub(crate) format: DumpFormatName,
    /// Spaces of indent in a fixture, as `dumpdata` takes it [default: all in one line]
    #[arg(long, value_name = "N")]
    pub(crate) indent: Option<u8>,
    #[command(flatten)]
    pub(crate) filter: DumpFilterArguments,
    /// Type of the user model's primary key
    #[arg(long, value_name = "TYPE", default_value = "text")]
    pub(crate) user_type: UserType,
    /// File to write, whole or not at all [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// Of session infos, those whose sessions such activities have.
#[derive(Args, Clone, Debug)]
pub(crate) struct DumpFilterArguments {
    /// Only activities dated then or later
    #[arg(long, value_name = "DATE", value_parser = instant)]
    since: Option<DateTime<Utc>>,
    /// Only activities dated before
    #[arg(long, value_name = "DATE", value_parser = instant)]
    until: Option<DateTime<Utc>>,
    /// Only activities of this user
    #[arg(long, value_name = "ID", value_parser = user)]
    user: Option<UserId>,
    /// Only activities of this session
    #[arg(long, value_name = "KEY", value_parser = session)]
    session: Option<SessionId>,
}

impl From<DumpFilterArguments> for ExportFilter {
    fn from(arguments: DumpFilterArguments) -> Self {
        let DumpFilterArguments { since, until, user, session } = arguments;
        Self { since, until, user, session, ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DumpFormatName {
    Django,
    Ndjson,
    Csv,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArguments {
    /// Files to read, plain, gzip or zstd; - is stdin
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// What the files are [default: what each shows]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<LoadFormat>,
    /// Only read and tell what is wrong; no database is needed
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) reading: ReadingSettings,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// What counts as valid, as at the endpoint.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReadingSettings {
    /// Time zone of dates without an offset, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = time_zone, help_heading = "HTTP")]
    pub(crate) time_zone: Tz,
    /// Longest referer, in characters
    #[arg(long, value_name = "CHARACTERS", default_value = "2048", value_parser = referer_max, help_heading = "Limits")]
    pub(crate) referer_max: usize,
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
    #[command(flatten)]
    pub(crate) spool: SpoolSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct HealthArguments {
    /// Admin listener to ask, such as http://127.0.0.1:8082 [default: the one of --admin-listen]
    #[arg(value_name = "URL", value_parser = admin_url)]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) admin: AdminSettings,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct CompletionsArguments {
    /// The shell: source what is printed, or put it where the shell looks for completions
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
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

fn user(text: &str) -> Result<UserId, String> {
    UserId::new(text).map_err(|error| format!("a user id has 1 to 255 bytes: it {error}"))
}

fn session(text: &str) -> Result<SessionId, String> {
    SessionId::new(text).map_err(|error| format!("a session key has 1 to 255 bytes: it {error}"))
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
