//! `djaffar dump`: what is stored, on stdout or in a file.

use shared::lifecycle::{OwnedTask, Shutdown, spawn_owned};

use crate::cli::{DumpArguments, DumpFormatName};
use crate::dump::{DumpConfig, DumpFormat, dump};
use crate::failure::Failure;
use crate::runtime::StopSignals;

pub(crate) async fn run(arguments: DumpArguments) -> Result<(), Failure> {
    let format = match (arguments.format, arguments.indent) {
        (DumpFormatName::Django, indent) => DumpFormat::Django { indent },
        (DumpFormatName::Ndjson, None) => DumpFormat::Ndjson,
        (DumpFormatName::Csv, None) => DumpFormat::Csv,
        (DumpFormatName::Ndjson | DumpFormatName::Csv, Some(_)) => {
            return Err(Failure::misconfigured("indent belongs to --format django; leave one of them out"));
        }
    };
    let source = arguments.store.choice()?.into();
    let filter = arguments.filter.into();
    let (table, user_type, output) = (arguments.table, arguments.user_type, arguments.output);
    let stop = Shutdown::new();
    // Without a file there is nothing to remove, and the signal does its work itself, at once.
    let _listening = output.is_some().then(|| listen(stop.clone())).transpose()?;
    dump(DumpConfig { source, table, format, filter, user_type, output }, &stop).await?;
    Ok(())
}

fn listen(stop: Shutdown) -> Result<OwnedTask<()>, Failure> {
    let mut signals = StopSignals::listen()?;
    Ok(spawn_owned(async move {
        signals.next().await;
        stop.request();
    }))
}
