//! The spool of an ingest: an embedded queue in its data directory.

use std::path::Path;

use shared::queue::Backlog;
use shared::queue::embedded::{BYTES_MAX_LEAST, EmbeddedConfig, EmbeddedQueue};

use crate::data_directory::{self, DataDirectory};
use crate::failure::Failure;

/// Locked for as long as it lives.
pub(crate) struct Spool {
    pub(crate) queue: EmbeddedQueue,
    directory: DataDirectory,
}

impl Spool {
    /// Made if it is missing.
    pub(crate) fn open(data_directory: &Path, bytes_max: u64) -> Result<Self, Failure> {
        let directory = DataDirectory::open(data_directory)?;
        let config = EmbeddedConfig { directory: directory.spool(), bytes_max };
        Ok(Self { queue: EmbeddedQueue::open(&config)?, directory })
    }

    /// The spool of an earlier process, if there is one.
    pub(crate) fn find(data_directory: &Path) -> Result<Option<Self>, Failure> {
        if data_directory::spool(data_directory).is_dir() {
            return Self::open(data_directory, BYTES_MAX_LEAST).map(Some);
        }
        Ok(None)
    }

    /// Frames that were answered with 2xx would lie where nobody looks.
    pub(crate) fn refuse_forgotten(data_directory: &Path) -> Result<(), Failure> {
        if data_directory::is_in_use(data_directory) {
            return Ok(());
        }
        match Self::find(data_directory)?.and_then(|spool| spool.left()) {
            Some(left) => Err(Failure::misconfigured(format!(
                "spool-max is 0, but {left}; set spool-max again, or empty it with `djaffar spool drain`"
            ))),
            None => Ok(()),
        }
    }

    /// What is in it, in words; `None` when it is empty.
    pub(crate) fn left(&self) -> Option<String> {
        let backlog = self.queue.backlog_now();
        let path = self.directory.spool();
        (backlog.frames > 0).then(|| format!("the spool in {} holds {}", path.display(), counted(&backlog)))
    }
}

/// "12 frames (340 activities)".
pub(crate) fn counted(backlog: &Backlog) -> String {
    let frames = crate::counted::counted(backlog.frames, "frame", "frames");
    let activities = backlog.activities.unwrap_or_default();
    format!("{frames} ({})", crate::counted::counted(activities, "activity", "activities"))
}
