//! `djaffar dump`: rows as a Django fixture, as lines of JSON or as CSV, one by one.

mod csv;
mod django;
#[cfg(test)]
pub(crate) mod fuzz;
mod json;
mod ndjson;
mod output;
mod user;

use std::io;
use std::path::PathBuf;

use shared::lifecycle::Shutdown;
use writer::export::{
    ActivityOrder, ActivityRow, Export, ExportError, ExportFilter, ExportSource, SessionInfoRow,
};

use self::output::Output;
use crate::progress::Progress;

pub(crate) use output::OutputError;
pub(crate) use user::UserType;

/// Bytes per write to the output.
const OUTPUT_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct DumpConfig {
    pub(crate) source: ExportSource,
    pub(crate) table: DumpedTable,
    pub(crate) format: DumpFormat,
    pub(crate) filter: ExportFilter,
    pub(crate) user_type: UserType,
    /// `None`: stdout.
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DumpedTable {
    Activity,
    #[value(name = "sessioninfo")]
    SessionInfo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DumpFormat {
    /// Byte for byte what `manage.py dumpdata` writes, in its order; `indent` as its `--indent`.
    Django { indent: Option<u8> },
    /// One object a line, dates in microseconds; activities by date and id.
    Ndjson,
    /// A heading and one row a line with the same names, in the same order.
    Csv,
}

impl DumpFormat {
    fn activity_order(self) -> ActivityOrder {
        match self {
            Self::Django { .. } => ActivityOrder::Id,
            Self::Ndjson | Self::Csv => ActivityOrder::Date,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Asked to stop; there is no file.
    #[error("interrupted; {0} is as it was")]
    Interrupted(String),
}

/// What a format does with the rows; it appends to `out`.
trait RowFormat {
    /// # Errors
    /// The row cannot be written in this format.
    fn activity(&mut self, row: &ActivityRow<'_>, out: &mut Vec<u8>) -> io::Result<()>;
    fn session_info(&mut self, row: &SessionInfoRow<'_>, out: &mut Vec<u8>);
    fn end(&mut self, out: &mut Vec<u8>);
}

/// Writes the table and returns how many rows it wrote.
///
/// A reader that has seen enough (`| head`) ends it quietly. Writes block: nothing else runs
/// beside a dump. `stop` ends one that writes a file, and removes what there is of it.
pub(crate) async fn dump(config: DumpConfig, stop: &Shutdown) -> Result<u64, DumpError> {
    let mut output = Output::open(config.output.as_deref())?;
    let mut export = Export::open(&config.source).await?;
    let mut progress = Progress::of_rows(output.is_shown());
    let (user_type, table) = (config.user_type, config.table);
    let mut sink = Sink { output: &mut output, buffer: Vec::with_capacity(2 * OUTPUT_BYTES), stop };
    let result = {
        let run = async {
            match config.format {
                DumpFormat::Django { indent } => {
                    let format = django::Fixture::new(table, indent, user_type);
                    write(&mut export, &config, format, &mut sink, &mut progress).await
                }
                DumpFormat::Ndjson => {
                    let format = ndjson::Lines { user_type };
                    write(&mut export, &config, format, &mut sink, &mut progress).await
                }
                DumpFormat::Csv => {
                    let format = csv::Table::new(table, user_type);
                    write(&mut export, &config, format, &mut sink, &mut progress).await
                }
            }
        };
        // Before its first row the database may have to sort for a long time.
        tokio::select! {
            biased;
            () = stop.requested() => Err(interrupted().into()),
            result = run => result,
        }
    };
    progress.end();
    match result {
        Err(DumpError::Export(ExportError::Output(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(0)
        }
        Err(DumpError::Export(ExportError::Output(error))) if error.kind() == io::ErrorKind::Interrupted => {
            Err(DumpError::Interrupted(output.name()))
        }
        Err(error) => Err(error),
        Ok(written) => {
            output.finish()?;
            Ok(written)
        }
    }
}

async fn write(
    export: &mut Export,
    config: &DumpConfig,
    mut format: impl RowFormat,
    sink: &mut Sink<'_>,
    progress: &mut Progress,
) -> Result<u64, DumpError> {
    let written = match config.table {
        DumpedTable::Activity => {
            let visit = |row: &ActivityRow<'_>| {
                format.activity(row, &mut sink.buffer)?;
                progress.row();
                sink.drain()
            };
            export.activities(config.format.activity_order(), &config.filter, visit).await?
        }
        DumpedTable::SessionInfo => {
            let visit = |row: &SessionInfoRow<'_>| {
                format.session_info(row, &mut sink.buffer);
                progress.row();
                sink.drain()
            };
            export.session_infos(&config.filter, visit).await?
        }
    };
    format.end(&mut sink.buffer);
    sink.flush().map_err(ExportError::Output)?;
    Ok(written)
}

/// Gathers rows and hands them on in large pieces.
struct Sink<'a> {
    output: &'a mut Output,
    buffer: Vec<u8>,
    stop: &'a Shutdown,
}

impl Sink<'_> {
    fn drain(&mut self) -> io::Result<()> {
        if self.buffer.len() < OUTPUT_BYTES {
            return Ok(());
        }
        // A driver whose rows are always there would never let the stop be heard.
        if self.stop.is_requested() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn interrupted() -> ExportError {
    ExportError::Output(io::ErrorKind::Interrupted.into())
}
