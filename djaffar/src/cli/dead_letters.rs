//! What `djaffar dead-letters` takes.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use writer::dead_letters::LetterFilter;

use super::StoreArguments;
use crate::settings::instant::instant;
use crate::settings::queue::QueueSettings;

#[derive(Args, Clone, Debug)]
pub(crate) struct DeadLettersArguments {
    #[command(subcommand)]
    pub(crate) action: DeadLettersAction,
}

#[derive(Clone, Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one of them lives at a time")]
pub(crate) enum DeadLettersAction {
    /// Print one line for each dead letter
    List(ListArguments),
    /// Print one dead letter: why it was refused, and what it holds
    Show(ShowArguments),
    /// Publish dead letters to the queue again, with the same event ids, once the cause is mended
    Replay(ReplayArguments),
    /// Remove dead letters for ever
    Discard(DiscardArguments),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArguments {
    /// Id of the dead letter, as `list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: i64,
    /// Print one JSON object; bytes that cannot be decoded are hex digits in it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) which: WhichLetters,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DiscardArguments {
    #[command(flatten)]
    pub(crate) which: WhichLetters,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct WhichLetters {
    /// Ids of dead letters, as `list` prints them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with_all = ["all", "reason", "sqlstate", "since", "until"])]
    pub(crate) ids: Vec<i64>,
    /// All that are there now, or all that the filters let through
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct FilterArguments {
    /// Only those whose reason holds this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only those with this code of the database
    #[arg(long, value_name = "CODE")]
    sqlstate: Option<String>,
    /// Only those first seen then or later
    #[arg(long, value_name = "DATE", value_parser = instant)]
    since: Option<DateTime<Utc>>,
    /// Only those first seen before
    #[arg(long, value_name = "DATE", value_parser = instant)]
    until: Option<DateTime<Utc>>,
}

impl From<FilterArguments> for LetterFilter {
    fn from(arguments: FilterArguments) -> Self {
        let FilterArguments { reason, sqlstate, since, until } = arguments;
        Self { reason, sqlstate, since, until }
    }
}
