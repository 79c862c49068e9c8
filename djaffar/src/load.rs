//! `djaffar load`: files to rows.
//!
//! One thread reads (`source`, then `array`, `lines` or `table`) and turns each record into what
//! cannot be wrong (`record`); connections store chunks of it side by side. Memory holds a few
//! chunks, however large a file is.

mod array;
#[cfg(test)]
mod fuzz;
mod json;
mod lines;
mod record;
mod report;
mod source;
mod stable_id;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use shared::lifecycle::spawn_owned;
use shared::store::StoreError;
use tokio::sync::{Mutex, mpsc};
use writer::load::{Chunk, LoadReport, Loader, Pace, Place};
use writer::store::postgres::MadeMonths;

use crate::adapters::{AnyStore, Database};
use crate::failure::Failure;
use record::{Reader, Record};
use report::Report;
use source::Source;

/// A batch of the writer's.
const CHUNK_ROWS: usize = 10_000;
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
/// Chunks that wait for a connection.
const CHUNKS_AHEAD: usize = 1;
/// Longest record; more is a missing quotation mark or brace.
const RECORD_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct LoadConfig {
    pub(crate) files: Vec<PathBuf>,
    /// `None`: each file shows what it is.
    pub(crate) format: Option<LoadFormat>,
    /// For dates without an offset.
    pub(crate) time_zone: Tz,
    /// In characters.
    pub(crate) referer_max: usize,
    /// `session_info.first_seen` where the record does not say, and the last month to be made.
    pub(crate) now: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LoadFormat {
    /// A list of objects, as `dumpdata` writes it
    Django,
    /// One JSON object a line, also those of `dumpdata --format jsonl`
    Ndjson,
    /// With a heading
    Csv,
}

/// What the reading has met that is no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadCounts {
    pub(crate) activities: u64,
    pub(crate) session_infos: u64,
    /// Records of other models in a fixture.
    pub(crate) others: u64,
    pub(crate) bad: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) read: ReadCounts,
    pub(crate) stored: LoadReport,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Loads the files into the database; without one it only reads them.
///
/// Bad records are told on stderr and left out.
///
/// # Errors
/// A file is not there, or the database stays away. What was stored until then stays, and is
/// skipped by the next try.
pub(crate) async fn load(config: LoadConfig, database: Option<&Database>) -> Result<Loaded, LoadError> {
    let sources = source::open_all(&config.files)?;
    let report = Arc::new(Report::new(&sources));
    let (give, take) = mpsc::channel(CHUNKS_AHEAD);
    let take = Arc::new(Mutex::new(take));
    let mut lanes = Vec::new();
    for loader in database.map(Database::loaders).transpose()?.unwrap_or_default() {
        let lane = Lane { loader, months: MadeMonths::default(), now: config.now };
        lanes.push(spawn_owned(lane.run(Arc::clone(&take), Arc::clone(&report))));
    }
    if lanes.is_empty() {
        lanes.push(spawn_owned(discard(Arc::clone(&take))));
    }
    let reading = {
        let report = Arc::clone(&report);
        tokio::task::spawn_blocking(move || read(sources, &config, &give, &report))
    };
    let mut loaded = Loaded::default();
    let mut failed = None;
    for lane in lanes {
        match lane.join().await.map_err(died)? {
            Ok(stored) => loaded.stored += stored,
            Err(error) => failed = Some(error),
        }
    }
    loaded.read = reading.await.map_err(died)?;
    report.end();
    failed.map_or(Ok(loaded), |error| Err(error.into()))
}

fn died(error: tokio::task::JoinError) -> Failure {
    Failure::failed(format!("a part of the load has died: {error}"))
}

/// Reads all files one after the other.
fn read(
    sources: Vec<Source>,
    config: &LoadConfig,
    chunks: &mpsc::Sender<Chunk>,
    report: &Report,
) -> ReadCounts {
    let mut counts = ReadCounts::default();
    let mut gathering = Gathering::default();
    let reader = Reader { time_zone: config.time_zone, referer_max: config.referer_max, now: config.now };
    for (file, source) in sources.into_iter().enumerate() {
        let read_bytes = source.counter();
        let mut records = source.records(config.format, reader.clone());
        while let Some(item) = records.next() {
            let place = Place { file, line: item.line };
            match item.record {
                Ok(Record::Activity(activity)) => {
                    counts.activities += 1;
                    gathering.chunk.activities.push((place, *activity));
                }
                Ok(Record::SessionInfo(info)) => {
                    counts.session_infos += 1;
                    gathering.chunk.session_infos.push((place, info));
                }
                Ok(Record::OtherModel) => counts.others += 1,
                Err(reason) => {
                    counts.bad += 1;
                    report.bad(place, &reason);
                }
            }
            if gathering.is_full(item.bytes) {
                report.reached(file, read_bytes.get());
                if chunks.blocking_send(gathering.take()).is_err() {
                    return counts;
                }
            }
        }
        report.reached(file, read_bytes.get());
    }
    // Nobody is there to take it when the database has failed, which its lane tells.
    chunks.blocking_send(gathering.take()).ok();
    counts
}

#[derive(Debug, Default)]
struct Gathering {
    chunk: Chunk,
    bytes: u64,
}

impl Gathering {
    /// `bytes` were read for the last record.
    fn is_full(&mut self, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        let rows = self.chunk.activities.len() + self.chunk.session_infos.len();
        rows >= CHUNK_ROWS || rows > 0 && self.bytes >= CHUNK_BYTES
    }

    fn take(&mut self) -> Chunk {
        std::mem::take(self).chunk
    }
}

type Take = Arc<Mutex<mpsc::Receiver<Chunk>>>;

/// One connection.
struct Lane {
    loader: Loader<AnyStore>,
    months: MadeMonths,
    now: DateTime<Utc>,
}

impl Lane {
    async fn run(self, take: Take, report: Arc<Report>) -> Result<LoadReport, StoreError> {
        let result = self.take_all(&take, &report).await;
        if result.is_err() {
            // The other lane ends with what it holds.
            take.lock().await.close();
        }
        result
    }

    async fn take_all(mut self, take: &Take, report: &Report) -> Result<LoadReport, StoreError> {
        let mut stored = LoadReport::default();
        loop {
            let Some(chunk) = take.lock().await.recv().await else { return Ok(stored) };
            let dates = chunk.activities.iter().map(|(_, activity)| activity.date.instant());
            self.loader.store_mut().make_months(dates, &mut self.months, self.now).await?;
            stored += self.loader.load(chunk, |place, reason| report.bad(place, reason)).await?;
        }
    }
}

async fn discard(take: Take) -> Result<LoadReport, StoreError> {
    while take.lock().await.recv().await.is_some() {}
    Ok(LoadReport::default())
}

impl Database {
    /// Connections for a load, with accounts of their own.
    fn loaders(&self) -> Result<Vec<Loader<AnyStore>>, Failure> {
        let pace = if self.file().is_some() { Pace::shared() } else { Pace::Whole };
        Ok(self.load_connections()?.into_iter().map(|store| Loader::new(store, pace)).collect())
    }
}
