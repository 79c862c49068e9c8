//! A disk that loses what was not synced, in pieces and in any order, and fails when it is told to.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::queue::embedded::disk::Disk;

const SECTOR_BYTES: usize = 64;

#[derive(Default)]
pub struct SimulatedDisk {
    files: Mutex<Files>,
    fate: Option<Arc<dyn Fate>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) segments: BTreeMap<u64, Segment>,
    spare: Option<(u64, Vec<u8>)>,
    /// Writes and syncs until one fails.
    pub(crate) fails_in: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    /// As a reader sees it.
    pub(crate) bytes: Vec<u8>,
    pub(crate) acks: Vec<u8>,
    /// What a power loss goes back to.
    synced: Vec<u8>,
    last_write: Range<usize>,
}

/// Decides what becomes of each operation.
pub trait Fate: Send + Sync + 'static {
    fn judge(&self, operation: Operation) -> Verdict;
    /// Room for new segments, in bytes.
    fn free_bytes(&self) -> u64;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Open,
    Create,
    Write { bytes: usize },
    Sync,
    Read,
    Release,
    AppendAcks { bytes: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// Of a write or an append so many bytes are done, of the others nothing; then it fails.
    Torn {
        bytes: usize,
        error: io::ErrorKind,
    },
    /// Done, and then it fails.
    DoneUnheard(io::ErrorKind),
    /// A disk that lies.
    Skipped,
}

/// Random numbers of a seed, for what a power loss spares.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(fate: Arc<dyn Fate>) -> Self {
        Self { files: Mutex::default(), fate: Some(fate) }
    }

    pub(crate) fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, files: Files) -> Self {
        Self { files: Mutex::new(Files { fails_in: None, ..files }), fate: self.fate.clone() }
    }

    /// The same files, as after `kill -9`: nothing is lost.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        self.with(self.files().clone())
    }

    /// The same files after a power loss: each sector that was not synced is there or not.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let mut random = Seeded(seed);
        let mut files = self.files().clone();
        for segment in files.segments.values_mut() {
            let mut survived = segment.synced.clone();
            survived.resize(segment.bytes.len(), 0);
            for (sector, written) in survived.chunks_mut(SECTOR_BYTES).zip(segment.bytes.chunks(SECTOR_BYTES))
            {
                if random.next().is_multiple_of(2) {
                    sector.copy_from_slice(written);
                }
            }
            segment.bytes.clone_from(&survived);
            segment.synced = survived;
            let acks = random.next() as usize % (segment.acks.len() + 1);
            match random.next().is_multiple_of(4) {
                // The file's length has arrived, its bytes have not.
                true => segment.acks[acks..].fill(0),
                false => segment.acks.truncate(acks),
            }
        }
        self.with(files)
    }

    /// The same files without what was written last: what a recovery that is wrong would make of them.
    #[must_use]
    pub fn without_last_write(&self) -> Self {
        let mut files = self.files().clone();
        if let Some(mut newest) = files.segments.last_entry() {
            let Segment { bytes, synced, last_write, .. } = newest.get_mut();
            bytes[last_write.clone()].fill(0);
            synced.clone_from(bytes);
        }
        self.with(files)
    }

    fn judge(&self, operation: Operation) -> Verdict {
        self.fate.as_ref().map_or(Verdict::Done, |fate| fate.judge(operation))
    }

    /// Does an operation that is done or not.
    fn whole<T: Default>(
        &self,
        operation: Operation,
        run: impl FnOnce(&mut Files) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.judge(operation) {
            Verdict::Done => run(&mut self.files()),
            Verdict::Skipped => Ok(T::default()),
            Verdict::Torn { error, .. } => Err(error.into()),
            Verdict::DoneUnheard(error) => run(&mut self.files()).and(Err(error.into())),
        }
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments: Vec<u64> = self.files().segments.keys().copied().collect();
        formatter.debug_struct("SimulatedDisk").field("segments", &segments).finish_non_exhaustive()
    }
}

impl Files {
    fn segment(&mut self, number: u64) -> io::Result<&mut Segment> {
        self.segments.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn may_fail(&mut self) -> io::Result<()> {
        match &mut self.fails_in {
            Some(0) => Err(io::Error::other("the simulated disk has failed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn write(
        &mut self,
        segment: u64,
        offset: u64,
        pieces: &[IoSlice<'_>],
        mut left: usize,
    ) -> io::Result<()> {
        let file = self.segment(segment)?;
        let mut offset = offset as usize;
        let start = offset;
        for piece in pieces {
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            let end = offset + piece.len();
            file.bytes.resize(file.bytes.len().max(end), 0);
            file.bytes[offset..end].copy_from_slice(piece);
            offset = end;
        }
        file.last_write = start..offset;
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn segments(&self) -> io::Result<Vec<u64>> {
        self.whole(Operation::Open, |files| Ok(files.segments.keys().copied().collect()))
    }

    fn highest_number(&self) -> io::Result<u64> {
        let files = self.files();
        let spare = files.spare.as_ref().map(|(number, _)| *number);
        Ok(files.segments.keys().copied().chain(spare).max().unwrap_or(0))
    }

    fn create(&self, segment: u64, bytes: u64) -> io::Result<()> {
        self.whole(Operation::Create, |files| {
            let content = files.spare.take().map(|(_, content)| content);
            let content = content
                .filter(|content| content.len() as u64 == bytes)
                .unwrap_or_else(|| vec![0; bytes as usize]);
            let file = Segment { synced: content.clone(), bytes: content, ..Segment::default() };
            assert!(files.segments.insert(segment, file).is_none(), "segment {segment} exists");
            Ok(())
        })
    }

    fn write(&self, segment: u64, offset: u64, pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        let verdict = self.judge(Operation::Write { bytes });
        let mut files = self.files();
        files.may_fail()?;
        match verdict {
            Verdict::Done => files.write(segment, offset, pieces, bytes),
            Verdict::Skipped => Ok(()),
            Verdict::Torn { bytes, error } => {
                files.write(segment, offset, pieces, bytes).and(Err(error.into()))
            }
            Verdict::DoneUnheard(error) => files.write(segment, offset, pieces, bytes).and(Err(error.into())),
        }
    }

    fn sync(&self, segment: u64) -> io::Result<()> {
        self.whole(Operation::Sync, |files| {
            files.may_fail()?;
            let file = files.segment(segment)?;
            file.synced.clone_from(&file.bytes);
            Ok(())
        })
    }

    fn length(&self, segment: u64) -> io::Result<u64> {
        Ok(self.files().segment(segment)?.bytes.len() as u64)
    }

    fn read(&self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.whole(Operation::Read, |files| {
            let range = offset as usize..offset as usize + length;
            let bytes = files.segment(segment)?.bytes.get(range).map(<[u8]>::to_vec);
            bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        })
    }

    fn release(&self, segment: u64) -> io::Result<()> {
        self.whole(Operation::Release, |files| {
            if let Some(file) = files.segments.remove(&segment) {
                files.spare.get_or_insert((segment, file.synced));
            }
            Ok(())
        })
    }

    fn append_acks(&self, segment: u64, acks: &[u8]) -> io::Result<()> {
        let append = |some: usize| {
            self.files().segment(segment)?.acks.extend_from_slice(&acks[..some]);
            Ok(())
        };
        match self.judge(Operation::AppendAcks { bytes: acks.len() }) {
            Verdict::Done => append(acks.len()),
            Verdict::Skipped => Ok(()),
            Verdict::Torn { bytes, error } => append(bytes).and(Err(error.into())),
            Verdict::DoneUnheard(error) => append(acks.len()).and(Err(error.into())),
        }
    }

    fn read_acks(&self, segment: u64) -> io::Result<Vec<u8>> {
        Ok(self.files().segment(segment)?.acks.clone())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.fate.as_ref().map_or(u64::MAX / 2, |fate| fate.free_bytes()))
    }
}
