//! `djaffar dump`: rows as a Django fixture or as lines of JSON, one by one.

mod django;
mod json;
mod ndjson;

use std::io::{self, BufWriter, Write};

use writer::export::{ActivityOrder, ActivityRow, Export, ExportError, ExportSource, SessionInfoRow};

/// Bytes per write to the output.
const OUTPUT_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct DumpConfig {
    pub(crate) source: ExportSource,
    pub(crate) table: DumpedTable,
    pub(crate) format: DumpFormat,
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
}

impl DumpFormat {
    fn activity_order(self) -> ActivityOrder {
        match self {
            Self::Django { .. } => ActivityOrder::Id,
            Self::Ndjson => ActivityOrder::Date,
        }
    }
}

/// What a format does with the rows.
trait RowFormat {
    fn activity(&mut self, row: &ActivityRow<'_>, out: &mut impl Write) -> io::Result<()>;
    fn session_info(&mut self, row: &SessionInfoRow<'_>, out: &mut impl Write) -> io::Result<()>;
    fn end(&mut self, out: &mut impl Write) -> io::Result<()>;
}

/// Writes the table to `out` and returns how many rows it wrote.
///
/// A reader that has seen enough (`| head`) ends it quietly. Writes block: nothing else runs
/// beside a dump.
pub(crate) async fn dump(config: DumpConfig, out: impl Write) -> Result<u64, ExportError> {
    let mut export = Export::open(&config.source).await?;
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, out);
    let mut written = 0;
    let result = match config.format {
        DumpFormat::Django { indent } => {
            write(&mut export, &config, django::Fixture::new(config.table, indent), &mut out, &mut written)
                .await
        }
        DumpFormat::Ndjson => write(&mut export, &config, ndjson::Lines, &mut out, &mut written).await,
    };
    match result {
        Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(written),
        result => result.map(|()| written),
    }
}

async fn write(
    export: &mut Export,
    config: &DumpConfig,
    mut format: impl RowFormat,
    out: &mut impl Write,
    written: &mut u64,
) -> Result<(), ExportError> {
    match config.table {
        DumpedTable::Activity => {
            let visit = |row: &ActivityRow<'_>| format.activity(row, out).map(|()| *written += 1);
            export.activities(config.format.activity_order(), visit).await?;
        }
        DumpedTable::SessionInfo => {
            let visit = |row: &SessionInfoRow<'_>| format.session_info(row, out).map(|()| *written += 1);
            export.session_infos(visit).await?;
        }
    }
    format.end(out).and_then(|()| out.flush()).map_err(ExportError::Output)
}
