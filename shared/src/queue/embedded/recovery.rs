//! Reads a segment back: which frames it holds and where it ends. Pure.
//!
//! A record that is not whole ends the segment: those bytes were never
//! synced, so nobody was answered. Unless a later record proves that they
//! were: then the disk has lost or changed what was promised, and the queue
//! does not open.

use super::checksums::Checksums;
use super::record::{Record, RecordHead, SegmentKey, Shape};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) frames: Vec<RecordHead>,
    pub(super) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Closed in order: every byte before the seal was synced.
    Sealed,
    /// The process ended without closing; records go up to this offset.
    Open(u32),
}

/// Bytes that had been synced are not what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) offset: u32,
}

pub(super) fn read_segment(bytes: &[u8], key: SegmentKey) -> Result<Segment, Damage> {
    let mut frames = Vec::new();
    let mut end = 0;
    while let Some(parsed) = key.parse(bytes, end as usize) {
        match parsed.record {
            Record::Frame(head) => {
                end = head.end();
                frames.push(head);
            }
            Record::Seal => return Ok(Segment { frames, ending: Ending::Sealed }),
        }
    }
    let checksums = Checksums::new(bytes, end as usize);
    if proves_more(key, &checksums, end) {
        Err(Damage { offset: end })
    } else {
        Ok(Segment { frames, ending: Ending::Open(end) })
    }
}

/// Whether a later record says that more than `end` was synced.
///
/// Behind the end lies what visitors have sent, leftovers of a file that is used again too: whatever
/// they have made look like records must not cost more than reading it.
fn proves_more(key: SegmentKey, checksums: &Checksums<'_>, end: u32) -> bool {
    SegmentKey::candidates(checksums.bytes(), end as usize + 1)
        .filter_map(|offset| Shape::of(checksums.bytes(), offset))
        .any(|later| later.synced_to() > end && key.fits(&later, checksums))
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract::frame;
    use crate::queue::embedded::record::HEADER_BYTES;

    const KEY: SegmentKey = SegmentKey { salt: 7, segment: 3 };

    /// Three frames: the first synced alone, the other two together. Then room, as in a real segment.
    fn segment() -> (Vec<u8>, Vec<RecordHead>) {
        let mut bytes = Vec::new();
        let mut heads = Vec::new();
        let mut synced_to = 0;
        for payload in [60, 90, 40] {
            let frame = frame(payload);
            let (header, head) = KEY.frame(bytes.len() as u32, synced_to, &frame, 1);
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(&frame.bytes);
            synced_to = heads.first().map_or(head.end(), RecordHead::end);
            heads.push(head);
        }
        bytes.resize(bytes.len() + 200, 0);
        (bytes, heads)
    }

    fn sealed() -> (Vec<u8>, Vec<RecordHead>) {
        let (mut bytes, heads) = segment();
        let end = heads[2].end();
        bytes[end as usize..end as usize + HEADER_BYTES].copy_from_slice(&KEY.seal(end));
        (bytes, heads)
    }

    #[test]
    fn a_segment_is_read_back() {
        let (bytes, heads) = segment();
        let ending = Ending::Open(heads[2].end());
        assert_eq!(read_segment(&bytes, KEY), Ok(Segment { frames: heads, ending }));
        let (bytes, heads) = sealed();
        assert_eq!(read_segment(&bytes, KEY), Ok(Segment { frames: heads, ending: Ending::Sealed }));
    }

    #[test]
    fn leftovers_of_another_segment_are_nothing() {
        let (bytes, _) = sealed();
        let read = read_segment(&bytes, SegmentKey { segment: 4, ..KEY });
        assert_eq!(read, Ok(Segment { frames: vec![], ending: Ending::Open(0) }));
    }

    #[test]
    fn a_tail_torn_at_any_byte_ends_the_segment_there() {
        let (bytes, heads) = segment();
        for cut in 0..heads[2].end() as usize {
            let whole: Vec<_> = heads.iter().copied().filter(|head| head.end() as usize <= cut).collect();
            let ending = Ending::Open(whole.last().map_or(0, RecordHead::end));
            let expected = Ok(Segment { frames: whole, ending });
            assert_eq!(read_segment(&bytes[..cut], KEY), expected, "cut at {cut}");
            let mut zeroed = bytes.clone();
            zeroed[cut..].fill(0);
            // The last bytes of a payload may be zero anyway.
            if zeroed != bytes {
                let read = read_segment(&zeroed, KEY).expect("no damage");
                assert!(read.frames.len() >= expected.map_or(0, |segment| segment.frames.len()));
            }
        }
    }

    #[test]
    fn pages_of_one_unsynced_write_may_arrive_in_any_order() {
        let (mut bytes, heads) = segment();
        // The second frame's write is lost, the third's, of the same group, has arrived.
        bytes[heads[1].offset as usize..heads[1].end() as usize].fill(0);
        let read = read_segment(&bytes, KEY).expect("no damage");
        assert_eq!(read, Segment { frames: vec![heads[0]], ending: Ending::Open(heads[0].end()) });
    }

    #[test]
    fn any_flipped_bit_in_a_sealed_segment_is_damage() {
        let (bytes, heads) = sealed();
        for bit in 0..heads[2].end() as usize * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let guilty = heads.iter().find(|head| bit / 8 < head.end() as usize).expect("a record");
            assert_eq!(read_segment(&flipped, KEY), Err(Damage { offset: guilty.offset }), "bit {bit}");
        }
    }

    #[test]
    fn a_flipped_bit_before_a_synced_record_is_damage() {
        let (bytes, heads) = segment();
        for bit in 0..heads[0].end() as usize * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_segment(&flipped, KEY), Err(Damage { offset: 0 }), "bit {bit}");
        }
    }
}
