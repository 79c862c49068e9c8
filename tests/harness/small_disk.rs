//! A disk of a few megabytes that can be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

#[derive(Debug)]
pub struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// `None`, said aloud, where nothing may be mounted.
    ///
    /// # Panics
    /// There is no room for the directory.
    #[must_use]
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let directory =
            tempfile::Builder::new().prefix("djaffar-disk-").tempdir().expect("a temporary directory");
        let size = format!("size={mebibytes}m,mode=0777");
        let mounted = mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], directory.path());
        if !mounted {
            eprintln!("SKIPPED: no small disk can be mounted here (root only), so no disk is filled");
        }
        mounted.then_some(Self { directory })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// # Panics
    /// The disk cannot be made larger.
    pub fn resize(&self, mebibytes: u32) {
        let size = format!("remount,size={mebibytes}m");
        assert!(mount(&["-o", &size], self.path()), "a disk can be remounted");
    }

    /// Leaves no byte free.
    ///
    /// # Panics
    /// The ballast cannot be made.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("the ballast can be made");
        let piece = vec![b'x'; 64 * 1024];
        // A short write takes the last bytes; the next one fails.
        while ballast.write_all(&piece).is_ok() {}
    }

    /// Gives back what [`SmallDisk::fill`] took.
    ///
    /// # Panics
    /// It was not filled.
    pub fn relieve(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may still have files open.
        Command::new("umount").arg("-l").arg(self.path()).status().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_and_a_relieved_one_does() {
        let Some(disk) = SmallDisk::mount(1) else { return };
        let file = disk.path().join("file");
        disk.fill();
        assert!(fs::write(&file, [0; 100_000]).is_err());
        disk.relieve();
        fs::write(&file, [0; 100_000]).unwrap();
    }
}
