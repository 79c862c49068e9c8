//! What `djaffar spool` takes.

use clap::{Args, Subcommand};

use crate::settings::data_directory::DataDirectorySettings;
use crate::settings::queue::QueueSettings;

#[derive(Args, Clone, Debug)]
pub(crate) struct SpoolArguments {
    #[command(subcommand)]
    pub(crate) action: SpoolAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SpoolAction {
    /// Publish what a stopped ingest has left in its spool, until it is empty; exit 3 if it is not
    Drain(DrainArguments),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DrainArguments {
    #[command(flatten)]
    pub(crate) queue: QueueSettings,
    #[command(flatten)]
    pub(crate) data: DataDirectorySettings,
}
