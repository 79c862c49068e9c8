//! `djaffar dump`: what is stored, on stdout.

use writer::export::{ExportError, ExportSource};

use crate::cli::{DumpArguments, DumpFormatName};
use crate::dump::{DumpConfig, DumpFormat, dump};
use crate::failure::Failure;
use crate::settings::database::DatabaseChoice;

pub(crate) async fn run(arguments: DumpArguments) -> Result<(), Failure> {
    let format = match (arguments.format, arguments.indent) {
        (DumpFormatName::Django, indent) => DumpFormat::Django { indent },
        (DumpFormatName::Ndjson, None) => DumpFormat::Ndjson,
        (DumpFormatName::Ndjson, Some(_)) => {
            return Err(Failure::misconfigured("indent contradicts --format ndjson; leave one of them out"));
        }
    };
    let store = &arguments.store;
    let source = match store.database.choice(&store.data.data_dir)? {
        DatabaseChoice::Sqlite(path) => ExportSource::Sqlite(path),
        DatabaseChoice::Postgres(url) => ExportSource::Postgres(url),
    };
    let config = DumpConfig { source, table: arguments.table, format };
    match dump(config, std::io::stdout().lock()).await {
        Ok(_) => Ok(()),
        Err(error @ (ExportError::NoRowsYet(_) | ExportError::Unreachable(_))) => {
            Err(Failure::misconfigured(format!("database: {error}")))
        }
        Err(error) => Err(Failure::failed(error.to_string())),
    }
}
