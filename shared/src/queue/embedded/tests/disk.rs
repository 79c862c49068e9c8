//! A disk that loses what was not synced, in pieces and in any order.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::queue::embedded::disk::Disk;

const SECTOR_BYTES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct FakeDisk {
    files: Mutex<Files>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    pub(super) segments: BTreeMap<u64, Segment>,
    spare: Option<(u64, Vec<u8>)>,
    /// Writes and syncs until one fails.
    pub(super) fails_in: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    /// As a reader sees it.
    pub(super) bytes: Vec<u8>,
    pub(super) acks: Vec<u8>,
    /// What a power loss goes back to.
    synced: Vec<u8>,
}

/// Random numbers of a seed, for what a power loss spares.
pub(super) struct Seeded(pub(super) u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

impl FakeDisk {
    pub(super) fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same files, as after `kill -9`: nothing is lost.
    pub(super) fn after_kill(&self) -> Self {
        let files = Files { fails_in: None, ..self.files().clone() };
        Self { files: Mutex::new(files) }
    }

    /// The same files after a power loss: each sector that was not synced is there or not.
    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let mut random = Seeded(seed);
        let mut files = Files { fails_in: None, ..self.files().clone() };
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
            segment.acks.truncate(acks);
        }
        Self { files: Mutex::new(files) }
    }
}

impl Files {
    fn segment(&mut self, number: u64) -> io::Result<&mut Segment> {
        self.segments.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn may_fail(&mut self) -> io::Result<()> {
        match &mut self.fails_in {
            Some(0) => Err(io::Error::other("the fake disk has failed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for FakeDisk {
    fn segments(&self) -> io::Result<Vec<u64>> {
        Ok(self.files().segments.keys().copied().collect())
    }

    fn highest_number(&self) -> io::Result<u64> {
        let files = self.files();
        let spare = files.spare.as_ref().map(|(number, _)| *number);
        Ok(files.segments.keys().copied().chain(spare).max().unwrap_or(0))
    }

    fn create(&self, segment: u64, bytes: u64) -> io::Result<()> {
        let mut files = self.files();
        let content = files.spare.take().map_or_else(|| vec![0; bytes as usize], |(_, content)| content);
        let file = Segment { synced: content.clone(), bytes: content, acks: Vec::new() };
        assert!(files.segments.insert(segment, file).is_none(), "segment {segment} exists");
        Ok(())
    }

    fn write(&self, segment: u64, offset: u64, pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut files = self.files();
        files.may_fail()?;
        let file = files.segment(segment)?;
        let mut offset = offset as usize;
        for piece in pieces.iter() {
            let end = offset + piece.len();
            file.bytes.resize(file.bytes.len().max(end), 0);
            file.bytes[offset..end].copy_from_slice(piece);
            offset = end;
        }
        Ok(())
    }

    fn sync(&self, segment: u64) -> io::Result<()> {
        let mut files = self.files();
        files.may_fail()?;
        let file = files.segment(segment)?;
        file.synced.clone_from(&file.bytes);
        Ok(())
    }

    fn length(&self, segment: u64) -> io::Result<u64> {
        Ok(self.files().segment(segment)?.bytes.len() as u64)
    }

    fn read(&self, segment: u64, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut files = self.files();
        let range = offset as usize..offset as usize + length;
        files
            .segment(segment)?
            .bytes
            .get(range)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn release(&self, segment: u64) -> io::Result<()> {
        let mut files = self.files();
        if let Some(file) = files.segments.remove(&segment) {
            files.spare.get_or_insert((segment, file.synced));
        }
        Ok(())
    }

    fn append_acks(&self, segment: u64, acks: &[u8]) -> io::Result<()> {
        self.files().segment(segment)?.acks.extend_from_slice(acks);
        Ok(())
    }

    fn read_acks(&self, segment: u64) -> io::Result<Vec<u8>> {
        Ok(self.files().segment(segment)?.acks.clone())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX / 2)
    }
}
