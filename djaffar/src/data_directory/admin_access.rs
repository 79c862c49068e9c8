//! How other commands of the same owner reach the process that has the directory open.
//!
//! A file (mode 0600) with the address of its admin listener and a key, both
//! of this run. Whoever can read it could as well write to the queue itself.

use std::net::SocketAddr;
use std::path::Path;

use shared::secret::Secret;

use super::{DataDirectory, random_key};
use crate::failure::Failure;

const FILE: &str = "admin-access";

#[derive(Clone, Debug)]
pub(crate) struct AdminAccess {
    pub(crate) url: String,
    pub(crate) key: Secret,
}

impl AdminAccess {
    /// Makes a new key and leaves it, with the listener's address, to the commands beside.
    pub(crate) fn leave(directory: &DataDirectory, admin: SocketAddr) -> Result<Self, Failure> {
        let access = Self { url: format!("http://{admin}"), key: random_key() };
        let path = directory.path().join(FILE);
        directory.write(&path, &format!("{}\n{}\n", access.url, access.key.expose())).map_err(|error| {
            Failure::misconfigured(format!(
                "data-dir: cannot write {}: {error}; make it writable by this process",
                path.display()
            ))
        })?;
        Ok(access)
    }

    pub(crate) fn read(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::misconfigured(format!(
                "data-dir: {} is in use by a process that takes no frames from others ({}: {error}); name the \
                 queue with --queue nats://host:4222, or stop that process",
                directory.display(),
                path.display()
            ))
        })?;
        match text.lines().collect::<Vec<_>>()[..] {
            [url, key] => Ok(Self { url: url.to_owned(), key: Secret::new(key) }),
            _ => Err(Failure::failed(format!("{} is not what `djaffar serve` has written", path.display()))),
        }
    }

    /// What an earlier run has left leads nowhere.
    pub(super) fn forget(directory: &Path) {
        // Not there is as good.
        std::fs::remove_file(directory.join(FILE)).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_access_is_private_and_of_one_run() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(parent.path()).unwrap();
        let left = AdminAccess::leave(&directory, "127.0.0.1:8081".parse().unwrap()).unwrap();
        let read = AdminAccess::read(parent.path()).unwrap();
        assert_eq!((read.url.as_str(), read.key), ("http://127.0.0.1:8081", left.key));
        let mode = std::fs::metadata(parent.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(directory);
        drop(DataDirectory::open(parent.path()).unwrap());
        assert!(AdminAccess::read(parent.path()).is_err());
    }
}
