//! The directory belongs to one process; its `format` file says how to read the log.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use uuid::Uuid;

use super::disk::{Directory, Disk};
use crate::queue::QueueError;

const FORMAT: &str = "djaffar embedded queue, version 1, salt ";

fn misconfigured(reason: String) -> QueueError {
    QueueError::Misconfigured { reason }
}

/// Names the file and what the system said about it.
pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> QueueError {
    let path = path.display();
    misconfigured(format!("cannot {what} {path} ({error}): --data-dir must be writable by this process"))
}

/// Locks the directory for as long as the file lives.
pub(super) fn lock(directory: &Path) -> Result<File, QueueError> {
    fs::create_dir_all(directory).map_err(|error| cannot("create", directory, &error))?;
    let path = directory.join("lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| cannot("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(cannot("lock", &path, &error)),
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let owner = file.read_to_string(&mut owner).map(|_| owner.trim().to_owned()).unwrap_or_default();
            return Err(misconfigured(format!(
                "the embedded queue in {} is in use by process {owner}: stop that process, or give this one another --data-dir",
                directory.display()
            )));
        }
    }
    let signed = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    signed.map_err(|error| cannot("write", &path, &error))?;
    Ok(file)
}

/// The salt of the directory's log; made when the directory is new.
pub(super) fn read_or_make_salt(directory: &Directory) -> Result<u64, QueueError> {
    let path = directory.path().join("format");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let salt = text.trim().strip_prefix(FORMAT).and_then(|salt| u64::from_str_radix(salt, 16).ok());
            salt.ok_or_else(|| {
                misconfigured(format!(
                    "{} is not of this version's embedded queue: start the version that wrote it and let it drain, or give this one another --data-dir",
                    path.display()
                ))
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let empty = directory.segments().is_ok_and(|segments| segments.is_empty());
            if !empty {
                return Err(misconfigured(format!(
                    "{} is missing beside a log that holds frames: bring it back from where it went",
                    path.display()
                )));
            }
            let salt = Uuid::new_v4().as_u64_pair().0;
            make_format(directory, &path, salt).map_err(|error| cannot("write", &path, &error))?;
            Ok(salt)
        }
        Err(error) => Err(cannot("read", &path, &error)),
    }
}

/// Whole or not at all: written aside, synced, renamed.
fn make_format(directory: &Directory, path: &Path, salt: u64) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    writeln!(file, "{FORMAT}{salt:016x}")?;
    file.sync_all()?;
    fs::rename(aside, path)?;
    directory.sync_names()
}
