//! The files of one machine: made private, locked by the process that uses them.

mod admin_access;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::distr::{Alphanumeric, SampleString};
use rustix::fs::{FlockOperation, flock};
use shared::secret::Secret;

use crate::failure::Failure;

pub(crate) use admin_access::AdminAccess;

const LOCK: &str = "djaffar.lock";
const SECRET_KEY: &str = "secret-key";
const SECRET_KEY_CHARACTERS: usize = 64;

/// A data directory that this process alone uses, until it ends.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory (mode 0700) when it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let refuse = |error: io::Error| {
            Failure::misconfigured(format!(
                "data-dir: cannot use {}: {error}; name a directory that this process may write to",
                path.display()
            ))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(refuse)?;
        let lock = private().create(true).truncate(false).open(path.join(LOCK)).map_err(refuse)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK {
                return Failure::misconfigured(format!(
                    "data-dir: {} is in use by another djaffar process; stop that one or name another directory",
                    path.display()
                ));
            }
            refuse(error.into())
        })?;
        AdminAccess::forget(path);
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.path.join("queue")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        spool(&self.path)
    }

    /// The key of an earlier start, or a new one (mode 0600).
    pub(crate) fn secret_key(&self) -> Result<Secret, Failure> {
        let path = self.path.join(SECRET_KEY);
        let refuse = |error: io::Error| {
            Failure::misconfigured(format!(
                "data-dir: cannot keep the secret key in {}: {error}; make it readable or set secret-key",
                path.display()
            ))
        };
        match std::fs::read_to_string(&path) {
            Ok(key) if key.trim().len() == SECRET_KEY_CHARACTERS => Ok(Secret::new(key.trim())),
            Ok(_) => Err(Failure::misconfigured(format!(
                "data-dir: {} does not hold the secret key that was generated; restore it, or remove it to start \
                 with a new key",
                path.display()
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.generate(&path).map_err(refuse),
            Err(error) => Err(refuse(error)),
        }
    }

    fn generate(&self, path: &Path) -> io::Result<Secret> {
        let key = random_key();
        self.write(path, key.expose())?;
        Ok(key)
    }

    /// Written beside and renamed: a crash leaves a whole file or none.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let unfinished = path.with_extension("new");
        let mut file = private().create(true).truncate(true).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        File::open(&self.path)?.sync_all()
    }
}

/// Makes the directory that is to hold a file, private.
pub(crate) fn create_parent(file: &Path) -> Result<(), Failure> {
    let Some(parent) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| {
        Failure::misconfigured(format!(
            "database: cannot make {}: {error}; name a path that this process may write to",
            parent.display()
        ))
    })
}

/// Where an ingest with this data directory has its spool.
pub(crate) fn spool(path: &Path) -> PathBuf {
    path.join("spool")
}

/// Whether a process uses the directory now.
pub(crate) fn is_in_use(path: &Path) -> bool {
    let Ok(lock) = File::open(path.join(LOCK)) else { return false };
    flock(&lock, FlockOperation::NonBlockingLockShared).is_err()
}

fn random_key() -> Secret {
    Secret::new(Alphanumeric.sample_string(&mut rand::rng(), SECRET_KEY_CHARACTERS))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_key_is_private_and_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataDirectory::open(&path).unwrap().secret_key().unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(SECRET_KEY)), 0o600);
        assert_eq!(DataDirectory::open(&path).unwrap().secret_key().unwrap(), first);
    }

    #[test]
    fn a_directory_has_one_process() {
        let parent = tempfile::tempdir().unwrap();
        assert!(!is_in_use(parent.path()));
        let held = DataDirectory::open(parent.path()).unwrap();
        assert!(is_in_use(parent.path()));
        let error = DataDirectory::open(parent.path()).unwrap_err().to_string();
        assert!(error.contains("in use by another djaffar process"), "{error}");
        drop(held);
        assert!(DataDirectory::open(parent.path()).is_ok());
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(parent.path()).unwrap();
        std::fs::write(parent.path().join(SECRET_KEY), "cut").unwrap();
        assert!(directory.secret_key().is_err());
    }
}
