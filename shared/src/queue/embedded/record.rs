//! The bytes of a record and of an ack. Pure.
//!
//! ```text
//! record  magic 4 · CRC-32C 4 · length 4 · synced_to 4 · frame id 16 · published 8 · activities 4 · kind 4 · payload
//! ack     offset of the record 4 · check 4
//! ```
//!
//! All numbers are little endian. The CRC covers everything behind it, salted
//! with the queue's secret and the segment's number, so that no leftover of a
//! recycled file and no bytes inside a payload can pass for a record.
//! `synced_to` is the offset up to which the segment was synced when the record
//! was written: a later valid record proves what came before it.

use std::ops::Range;

use super::checksums::Checksums;
use crate::frame::FrameId;

pub(super) const HEADER_BYTES: usize = 48;
pub(super) const ACK_BYTES: usize = 8;
const MAGIC: [u8; 4] = *b"DJQ1";
const KIND_FRAME: u32 = 0;
const KIND_SEAL: u32 = 1;

/// What salts every check in one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentKey {
    pub(super) salt: u64,
    pub(super) segment: u64,
}

/// What the queue remembers of a frame; everything but its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHead {
    /// Where the record starts in its segment.
    pub(super) offset: u32,
    /// Of the payload.
    pub(super) length: u32,
    pub(super) activities: u32,
    /// Of the ack that names this record.
    pub(super) ack_check: u32,
    pub(super) published_micros: i64,
}

impl RecordHead {
    pub(super) fn end(&self) -> u32 {
        self.offset + HEADER_BYTES as u32 + self.length
    }

    pub(super) fn ack(&self) -> [u8; ACK_BYTES] {
        let mut bytes = [0; ACK_BYTES];
        bytes[..4].copy_from_slice(&self.offset.to_le_bytes());
        bytes[4..].copy_from_slice(&self.ack_check.to_le_bytes());
        bytes
    }
}

/// What a valid record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Frame(RecordHead),
    /// Nothing follows in this segment; everything before was synced.
    Seal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) record: Record,
    pub(super) synced_to: u32,
}

/// What could be a record, before its CRC is looked at.
#[derive(Clone, Debug)]
pub(super) struct Shape<'a> {
    header: &'a [u8],
    payload: Range<usize>,
    /// At most 4 GiB, as that of its payload's end.
    offset: usize,
    crc: u32,
    kind: Kind,
    synced_to: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Frame,
    Seal,
}

impl<'a> Shape<'a> {
    /// Of bytes that begin with their segment: up to where it was synced, if a record could say so here.
    pub(super) fn synced_to(&self) -> u32 {
        if self.synced_to as usize <= self.offset { self.synced_to } else { 0 }
    }

    pub(super) fn of(bytes: &'a [u8], offset: usize) -> Option<Self> {
        let start = offset.checked_add(HEADER_BYTES)?;
        let header = bytes.get(offset..start)?;
        let length = number(&header[8..12]) as usize;
        let payload = start..start.checked_add(length)?;
        let kind = match number(&header[44..48]) {
            KIND_FRAME => Kind::Frame,
            KIND_SEAL => Kind::Seal,
            _ => return None,
        };
        let synced_to = number(&header[12..16]);
        let is_record =
            header[..4] == MAGIC && payload.end <= bytes.len() && u32::try_from(payload.end).is_ok();
        is_record.then(|| Self { header, payload, offset, crc: number(&header[4..8]), kind, synced_to })
    }
}

impl SegmentKey {
    fn crc(self, header_rest: &[u8], payload: &[u8]) -> u32 {
        let crc = crc32c::crc32c(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &self.segment.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(crc, header_rest), payload)
    }

    fn ack_check(self, offset: u32, id: &[u8]) -> u32 {
        self.crc(&offset.to_le_bytes(), id)
    }

    /// The header of a frame's record, and what to remember of it.
    pub(super) fn frame(
        self,
        offset: u32,
        synced_to: u32,
        frame: &crate::frame::Frame,
        published_micros: i64,
    ) -> ([u8; HEADER_BYTES], RecordHead) {
        let FrameId(id) = frame.id;
        let head = RecordHead {
            offset,
            length: frame.bytes.len() as u32,
            activities: frame.count,
            ack_check: self.ack_check(offset, id.as_bytes()),
            published_micros,
        };
        (self.header(&head, synced_to, id.as_bytes(), KIND_FRAME, &frame.bytes), head)
    }

    /// The record that closes a segment at `offset`.
    pub(super) fn seal(self, offset: u32) -> [u8; HEADER_BYTES] {
        let head = RecordHead { offset, length: 0, activities: 0, ack_check: 0, published_micros: 0 };
        self.header(&head, offset, &[0; 16], KIND_SEAL, &[])
    }

    fn header(
        self,
        head: &RecordHead,
        synced_to: u32,
        id: &[u8; 16],
        kind: u32,
        payload: &[u8],
    ) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&head.length.to_le_bytes());
        header[12..16].copy_from_slice(&synced_to.to_le_bytes());
        header[16..32].copy_from_slice(id);
        header[32..40].copy_from_slice(&head.published_micros.to_le_bytes());
        header[40..44].copy_from_slice(&head.activities.to_le_bytes());
        header[44..48].copy_from_slice(&kind.to_le_bytes());
        let crc = self.crc(&header[8..], payload);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// The record that starts at `offset` of the segment's `bytes`, if a whole and valid one does.
    pub(super) fn parse(self, bytes: &[u8], offset: usize) -> Option<Parsed> {
        let shape = Shape::of(bytes, offset)?;
        let payload = &bytes[shape.payload.clone()];
        (shape.crc == self.crc(&shape.header[8..], payload)).then(|| self.parsed(&shape))
    }

    /// Whether the CRC of a record of this shape is right, by the checksums of its segment.
    pub(super) fn fits(self, shape: &Shape<'_>, checksums: &Checksums<'_>) -> bool {
        let checked = shape.offset + 8..shape.payload.end;
        let salted = self.crc(&[], &[]);
        shape.crc == crc32c::crc32c_combine(salted, checksums.of(checked.clone()), checked.len())
    }

    fn parsed(self, shape: &Shape<'_>) -> Parsed {
        let header = shape.header;
        let mut published = [0; 8];
        published.copy_from_slice(&header[32..40]);
        let offset = shape.offset as u32;
        let record = match shape.kind {
            Kind::Seal => Record::Seal,
            Kind::Frame => Record::Frame(RecordHead {
                offset,
                length: shape.payload.len() as u32,
                activities: number(&header[40..44]),
                ack_check: self.ack_check(offset, &header[16..32]),
                published_micros: i64::from_le_bytes(published),
            }),
        };
        Parsed { record, synced_to: shape.synced_to }
    }

    /// Offsets at or behind `from` where a record might start.
    pub(super) fn candidates(bytes: &[u8], from: usize) -> impl Iterator<Item = usize> {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.windows(MAGIC.len())
            .enumerate()
            .filter(|(_, window)| *window == MAGIC)
            .map(move |(at, _)| from + at)
    }
}

/// Offset and check of every ack in an ack file. Entries that no record matches mean nothing.
pub(super) fn parse_acks(bytes: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    bytes.chunks_exact(ACK_BYTES).map(|ack| (number(&ack[..4]), number(&ack[4..])))
}

fn number(bytes: &[u8]) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(bytes);
    u32::from_le_bytes(number)
}
