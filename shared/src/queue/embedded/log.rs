//! The segment log: appends frames, syncs them, rotates, and reads itself back.
//!
//! Every segment but the newest is sealed. An error of the disk is final: the
//! caller must not use the log again.

use std::collections::HashSet;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::Disk;
use super::record::{ACK_BYTES, HEADER_BYTES, Record, RecordHead, SegmentKey, parse_acks};
use super::recovery::{Ending, read_segment};
use crate::failpoint::{self, Place};
use crate::frame::Frame;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) segment_bytes: u32,
    /// Segments at the same time, without the spare.
    pub(super) segments_max: usize,
    /// Left free on the disk for everybody else.
    pub(super) reserve_bytes: u64,
}

impl Bounds {
    /// What all segments hold, without the spare.
    pub(super) fn bytes_max(&self) -> u64 {
        u64::from(self.segment_bytes) * self.segments_max as u64
    }
}

#[derive(Debug)]
pub(super) struct SegmentLog<D> {
    disk: Arc<D>,
    salt: u64,
    bounds: Bounds,
    active: Option<Active>,
    /// The highest number ever used.
    newest: u64,
    segments: usize,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    segment: u64,
    end: u32,
    synced_to: u32,
}

/// A segment that was there at the start, with the frames that nobody has acked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) segment: u64,
    pub(super) frames: Vec<RecordHead>,
}

#[derive(Debug)]
pub(super) enum OpenError {
    Io(io::Error),
    /// What was synced is not there any more.
    Damaged {
        segment: u64,
        offset: u32,
    },
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What became of one frame of a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended {
    Synced { segment: u64, head: RecordHead },
    Full { reason: String },
}

impl<D: Disk> SegmentLog<D> {
    /// Reads every segment back and seals the one that a crash has left open.
    pub(super) fn open(disk: Arc<D>, salt: u64, bounds: Bounds) -> Result<(Self, Vec<Recovered>), OpenError> {
        let numbers = disk.segments()?;
        let newest = disk.highest_number()?;
        let mut log = Self { disk, salt, bounds, active: None, newest, segments: numbers.len() };
        let last = numbers.last().copied();
        let mut recovered = Vec::new();
        for segment in numbers {
            let frames = log.recover(segment, last)?;
            if frames.is_empty() {
                log.release(segment)?;
            } else {
                recovered.push(Recovered { segment, frames });
            }
        }
        Ok((log, recovered))
    }

    fn recover(&self, segment: u64, last: Option<u64>) -> Result<Vec<RecordHead>, OpenError> {
        let length = self.disk.length(segment)?;
        let bytes = self.disk.read(segment, 0, usize::try_from(length).unwrap_or(usize::MAX))?;
        let key = self.key(segment);
        let read = read_segment(&bytes, key)
            .map_err(|damage| OpenError::Damaged { segment, offset: damage.offset })?;
        if let Ending::Open(end) = read.ending {
            if Some(segment) != last {
                return Err(OpenError::Damaged { segment, offset: end });
            }
            tracing::warn!(
                segment,
                end,
                frames = read.frames.len(),
                "the embedded queue was not closed; bytes behind its last whole frame were never synced and are left out"
            );
            // The seal says that everything before it is synced, so first it must be: a power loss
            // that spared the seal alone would look like damage.
            self.disk.sync(segment)?;
            self.disk.write(segment, end.into(), &mut [IoSlice::new(&key.seal(end))])?;
        }
        if Some(segment) == last {
            // What a killed process has written, its seal included, may not be on the disk yet.
            self.disk.sync(segment)?;
        }
        let mut acks = self.disk.read_acks(segment)?;
        // A torn ack must not shift those that are appended after it.
        if !acks.len().is_multiple_of(ACK_BYTES) {
            let padding = &[0; ACK_BYTES][acks.len() % ACK_BYTES..];
            self.disk.append_acks(segment, padding)?;
            acks.extend_from_slice(padding);
        }
        let acks: HashSet<(u32, u32)> = parse_acks(&acks).collect();
        Ok(read.frames.into_iter().filter(|head| !acks.contains(&(head.offset, head.ack_check))).collect())
    }

    fn key(&self, segment: u64) -> SegmentKey {
        SegmentKey { salt: self.salt, segment }
    }

    /// Appends the frames and syncs them; as one sync where they fit into one segment.
    pub(super) fn append(&mut self, frames: &[(&Frame, i64)]) -> io::Result<Vec<Appended>> {
        let mut outcomes = Vec::with_capacity(frames.len());
        let mut group: Vec<([u8; HEADER_BYTES], &Frame)> = Vec::with_capacity(frames.len());
        for (frame, published_micros) in frames {
            let length = HEADER_BYTES + frame.bytes.len();
            // Room for a seal stays in every segment.
            if length + HEADER_BYTES > self.bounds.segment_bytes as usize {
                let reason = format!("a frame of {} bytes is larger than a segment", frame.bytes.len());
                outcomes.push(Appended::Full { reason });
                continue;
            }
            let active = match self.active {
                Some(active) if self.has_room(active, length) => active,
                _ => {
                    self.flush(&mut group)?;
                    match self.rotate()? {
                        Ok(active) => active,
                        Err(reason) => {
                            outcomes.push(Appended::Full { reason });
                            continue;
                        }
                    }
                }
            };
            let key = self.key(active.segment);
            let (header, head) = key.frame(active.end, active.synced_to, frame, *published_micros);
            group.push((header, frame));
            self.active = Some(Active { end: head.end(), ..active });
            outcomes.push(Appended::Synced { segment: active.segment, head });
        }
        self.flush(&mut group)?;
        Ok(outcomes)
    }

    fn has_room(&self, active: Active, length: usize) -> bool {
        active.end as usize + length + HEADER_BYTES <= self.bounds.segment_bytes as usize
    }

    fn flush(&mut self, group: &mut Vec<([u8; HEADER_BYTES], &Frame)>) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if group.is_empty() {
            return Ok(());
        }
        let mut pieces: Vec<IoSlice<'_>> = Vec::with_capacity(group.len() * 2);
        for (header, frame) in group.iter() {
            pieces.push(IoSlice::new(header));
            pieces.push(IoSlice::new(&frame.bytes));
        }
        self.disk.write(active.segment, active.synced_to.into(), &mut pieces)?;
        failpoint::reach(Place::BeforeSync);
        self.disk.sync(active.segment)?;
        active.synced_to = active.end;
        group.clear();
        Ok(())
    }

    /// Starts the next segment, or says why the queue is full.
    fn rotate(&mut self) -> io::Result<Result<Active, String>> {
        if self.segments >= self.bounds.segments_max {
            return Ok(Err(format!("all of its {} segments hold frames", self.segments)));
        }
        let bytes = u64::from(self.bounds.segment_bytes);
        let free = self.disk.free_bytes()?;
        if free < bytes + self.bounds.reserve_bytes {
            return Ok(Err(format!("only {} MiB are free on its disk", free >> 20)));
        }
        let segment = self.newest + 1;
        match self.seal().and_then(|()| self.disk.create(segment, bytes)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                return Ok(Err("its disk is full".to_owned()));
            }
            Err(error) => return Err(error),
        }
        self.newest = segment;
        self.segments += 1;
        let active = Active { segment, end: 0, synced_to: 0 };
        self.active = Some(active);
        Ok(Ok(active))
    }

    fn seal(&mut self) -> io::Result<()> {
        if let Some(active) = self.active.take() {
            let seal = self.key(active.segment).seal(active.end);
            self.disk.write(active.segment, active.end.into(), &mut [IoSlice::new(&seal)])?;
            self.disk.sync(active.segment)?;
        }
        Ok(())
    }

    /// The segment that still grows; it is never released.
    pub(super) fn active(&self) -> Option<u64> {
        self.active.map(|active| active.segment)
    }

    pub(super) fn record_acks(&self, segment: u64, acks: &[u8]) -> io::Result<()> {
        self.disk.append_acks(segment, acks)
    }

    /// Forgets a sealed segment whose frames are all acked.
    pub(super) fn release(&mut self, segment: u64) -> io::Result<()> {
        self.segments -= 1;
        self.disk.release(segment)
    }

    /// Seals the log, so that the next process knows every byte was synced.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.seal()
    }
}

/// Reads frames that lie one behind the other in one segment, and checks each.
///
/// # Errors
/// The disk has failed, or what it returned is not what was written.
pub(super) fn read_frames<D: Disk>(
    disk: &D,
    salt: u64,
    segment: u64,
    heads: &[RecordHead],
) -> io::Result<Vec<Bytes>> {
    let (Some(first), Some(last)) = (heads.first(), heads.last()) else { return Ok(Vec::new()) };
    let length = (last.end() - first.offset) as usize;
    let bytes = disk.read(segment, first.offset.into(), length)?;
    let key = SegmentKey { salt, segment };
    let bytes = Bytes::from(bytes);
    let payload = |head: &RecordHead| {
        let start = (head.offset - first.offset) as usize;
        match key.parse(&bytes, start)?.record {
            Record::Frame(found) if found.length == head.length => {
                let payload = start + HEADER_BYTES;
                Some(bytes.slice(payload..payload + head.length as usize))
            }
            _ => None,
        }
    };
    let damaged =
        |head: &RecordHead| io::Error::other(format!("segment {segment} is damaged at byte {}", head.offset));
    heads.iter().map(|head| payload(head).ok_or_else(|| damaged(head))).collect()
}
