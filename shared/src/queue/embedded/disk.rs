//! What the log needs of a disk, and the real one.
//!
//! ```text
//! lock  format  00000000000000000002.log  00000000000000000002.acks  00000000000000000001.spare
//! ```

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Files of one directory, named by segment. Shared by the threads that write and read.
pub(super) trait Disk: Send + Sync + 'static {
    /// In ascending order.
    fn segments(&self) -> io::Result<Vec<u64>>;
    /// The highest number of any file, so that a spare never gets the number back that its leftovers have.
    fn highest_number(&self) -> io::Result<u64>;
    /// Makes an empty segment with room for `bytes`; its name is synced.
    fn create(&self, segment: u64, bytes: u64) -> io::Result<()>;
    fn write(&self, segment: u64, offset: u64, pieces: &mut [IoSlice<'_>]) -> io::Result<()>;
    /// Returns once everything written to the segment is on the disk. Never called again after an error.
    fn sync(&self, segment: u64) -> io::Result<()>;
    fn length(&self, segment: u64) -> io::Result<u64>;
    fn read(&self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Forgets a segment and its acks.
    fn release(&self, segment: u64) -> io::Result<()>;
    /// Not synced, and left out when the disk is full: a lost ack is one more delivery.
    fn append_acks(&self, segment: u64, acks: &[u8]) -> io::Result<()>;
    fn read_acks(&self, segment: u64) -> io::Result<Vec<u8>>;
    /// What a new segment can take from, in bytes.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// A directory. One released segment is kept as a spare: writing over blocks
/// that exist spares `fdatasync` the file system's journal.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    open: Mutex<HashMap<u64, Arc<File>>>,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn segment_path(&self, segment: u64) -> PathBuf {
        self.path.join(format!("{segment:020}.log"))
    }

    fn acks_path(&self, segment: u64) -> PathBuf {
        self.path.join(format!("{segment:020}.acks"))
    }

    /// Numbers of the files with this extension, in ascending order.
    fn numbers(&self, extension: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = PathBuf::from(entry?.file_name());
            if name.extension().is_some_and(|found| found == extension) {
                let number = name.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
                numbers.extend(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn spare(&self) -> io::Result<Option<PathBuf>> {
        Ok(self.numbers("spare")?.first().map(|number| self.spare_path(*number)))
    }

    fn spare_path(&self, segment: u64) -> PathBuf {
        self.path.join(format!("{segment:020}.spare"))
    }

    /// Makes created, renamed and removed names last.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn file(&self, segment: u64) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = OpenOptions::new().read(true).write(true).open(self.segment_path(segment))?;
        let file = Arc::new(file);
        open.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    fn reuse_spare(&self, segment: u64, bytes: u64) -> io::Result<bool> {
        let Some(spare) = self.spare()? else { return Ok(false) };
        if fs::metadata(&spare)?.len() == bytes {
            fs::rename(spare, self.segment_path(segment))?;
            return Ok(true);
        }
        // Another size was configured then.
        fs::remove_file(spare)?;
        Ok(false)
    }

    fn allocate(&self, segment: u64, bytes: u64) -> io::Result<()> {
        let path = self.segment_path(segment);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let allocated = match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            // Not every file system can; the length then grows with the writes.
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            allocated => allocated.map_err(io::Error::from),
        };
        match allocated.and_then(|()| file.sync_all()) {
            Ok(()) => Ok(()),
            Err(error) => {
                fs::remove_file(path)?;
                Err(error)
            }
        }
    }
}

impl Disk for Directory {
    fn segments(&self) -> io::Result<Vec<u64>> {
        self.numbers("log")
    }

    fn highest_number(&self) -> io::Result<u64> {
        let highest = |extension| Ok::<_, io::Error>(self.numbers(extension)?.last().copied().unwrap_or(0));
        Ok(highest("log")?.max(highest("spare")?))
    }

    fn create(&self, segment: u64, bytes: u64) -> io::Result<()> {
        if !self.reuse_spare(segment, bytes)? {
            self.allocate(segment, bytes)?;
        }
        self.sync_names()
    }

    fn write(&self, segment: u64, offset: u64, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let file = self.file(segment)?;
        let mut offset = offset;
        while !pieces.is_empty() {
            // The kernel takes 1024 pieces at a time.
            let some = pieces.len().min(1024);
            let written = match rustix::io::pwritev(&file, &pieces[..some], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            offset += written as u64;
            IoSlice::advance_slices(&mut pieces, written);
        }
        Ok(())
    }

    fn sync(&self, segment: u64) -> io::Result<()> {
        self.file(segment)?.sync_data()
    }

    fn length(&self, segment: u64) -> io::Result<u64> {
        Ok(self.file(segment)?.metadata()?.len())
    }

    fn read(&self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file(segment)?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn release(&self, segment: u64) -> io::Result<()> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&segment);
        let path = self.segment_path(segment);
        match self.spare()? {
            Some(_) => fs::remove_file(path)?,
            None => fs::rename(path, self.spare_path(segment))?,
        }
        self.sync_names()?;
        match fs::remove_file(self.acks_path(segment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn append_acks(&self, segment: u64, acks: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).open(self.acks_path(segment));
        let mut file = match file {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            file => file?,
        };
        let before = file.metadata()?.len();
        match file.write_all(acks) {
            // Half an ack would shift those behind it.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => file.set_len(before),
            written => written,
        }
    }

    fn read_acks(&self, segment: u64) -> io::Result<Vec<u8>> {
        match fs::read(self.acks_path(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = statvfs(&self.path)?;
        let spare =
            self.spare()?.map_or(Ok(0), |spare| fs::metadata(spare).map(|metadata| metadata.len()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize) + spare)
    }
}
