//! Where one machine keeps its files.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data directory")]
pub(crate) struct DataDirectorySettings {
    /// Directory of the embedded queue, the spool, SQLite and the generated secret key; locked by its process
    #[arg(long, value_name = "DIRECTORY", default_value = "./djaffar-data")]
    pub(crate) data_dir: PathBuf,
}
