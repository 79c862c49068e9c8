//! Where a dump goes: stdout, or a file that is there whole or not at all.
//!
//! The file is written beside its place, synced and renamed. Held by `tests/dump/output.rs`.

use std::fs::{self, File};
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub(super) enum Output {
    Stdout(StdoutLock<'static>),
    File { unfinished: NamedTempFile, path: PathBuf },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Nothing can be put there: one sentence with the remedy.
    #[error("output: {0}")]
    Refused(String),
    #[error("{} cannot be written: {error}", path.display())]
    Failed { path: PathBuf, error: io::Error },
}

impl Output {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, OutputError> {
        let Some(path) = path else { return Ok(Self::Stdout(io::stdout().lock())) };
        let path = place(path)?;
        let directory = directory(&path);
        let refuse = |error: io::Error| {
            OutputError::Refused(format!(
                "cannot write into {}: {error}; name a file in a directory that this process may write to",
                directory.display()
            ))
        };
        // Rows are personal data: for their owner alone.
        let unfinished = tempfile::Builder::new().prefix(".djaffar-dump-").tempfile_in(directory);
        Ok(Self::File { unfinished: unfinished.map_err(refuse)?, path })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.write_all(bytes).and_then(|()| stdout.flush()),
            Self::File { unfinished, .. } => unfinished.write_all(bytes),
        }
    }

    /// Puts the file in its place.
    pub(super) fn finish(self) -> Result<(), OutputError> {
        let Self::File { unfinished, path } = self else { return Ok(()) };
        let failed = |error| OutputError::Failed { path: path.clone(), error };
        unfinished.as_file().sync_all().map_err(failed)?;
        unfinished.persist(&path).map_err(|error| failed(error.error))?;
        File::open(directory(&path)).and_then(|directory| directory.sync_all()).map_err(failed)
    }

    /// Whether somebody sees the rows go by.
    pub(super) fn is_shown(&self) -> bool {
        matches!(self, Self::Stdout(stdout) if stdout.is_terminal())
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout(_) => "stdout".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

/// Behind a link is the file that is meant; what is no file must not be replaced by one.
fn place(path: &Path) -> Result<PathBuf, OutputError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            path.canonicalize().map_err(|error| OutputError::Failed { path: path.to_owned(), error })
        }
        Ok(_) => Err(OutputError::Refused(format!(
            "{} is no file; name one, or leave --output out and redirect stdout",
            path.display()
        ))),
        Err(_) if path.file_name().is_none() => {
            Err(OutputError::Refused(format!("{} names no file", path.display())))
        }
        Err(_) => Ok(path.to_owned()),
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
