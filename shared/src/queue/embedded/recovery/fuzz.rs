//! Segments whose disk, or whose visitors, have done their worst.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::frame::{Frame, FrameId};
use crate::fuzz::{Target, mutated};
use crate::queue::embedded::record::{HEADER_BYTES, parse_acks};

const KEY: SegmentKey = SegmentKey { salt: 7, segment: 3 };
const WORDS: &[&str] = &["DJQ1", "\0\0\0\0", "\u{1}\0\0\0", "\0\u{8}\0\0"];

/// What was written, and up to where it was synced.
#[derive(Clone, Debug)]
struct Written {
    bytes: Vec<u8>,
    heads: Vec<RecordHead>,
    synced_to: usize,
}

impl Written {
    fn synced(&self) -> usize {
        self.heads.iter().filter(|head| head.end() as usize <= self.synced_to).count()
    }
}

/// Payloads of which some look like records, in groups that were synced together, and perhaps a seal.
fn written() -> impl Strategy<Value = Written> {
    let payload = mutated(proptest::collection::vec(any::<u8>(), 0..200), WORDS);
    let groups = proptest::collection::vec(proptest::collection::vec((payload, any::<u128>()), 1..4), 0..5);
    (groups, any::<bool>()).prop_map(|(groups, sealed)| {
        let (mut bytes, mut heads, mut synced_to) = (Vec::new(), Vec::new(), 0);
        for group in groups {
            for (payload, id) in group {
                let frame = Frame { id: FrameId(Uuid::from_u128(id)), count: 1, bytes: Bytes::from(payload) };
                let (header, head) = KEY.frame(bytes.len() as u32, synced_to, &frame, 1);
                bytes.extend_from_slice(&header);
                bytes.extend_from_slice(&frame.bytes);
                heads.push(head);
            }
            synced_to = bytes.len() as u32;
        }
        if sealed {
            bytes.extend_from_slice(&KEY.seal(synced_to));
        }
        Written { bytes, heads, synced_to: synced_to as usize }
    })
}

#[test]
fn fuzz_what_was_synced_comes_back_whatever_lies_behind_it() {
    // Leftovers of the same segment's key never lie there, but their bytes may.
    let tail = mutated(written().prop_map(|written| written.bytes), WORDS);
    Target::new("segment_tails", file!()).cases(100).run((written(), tail), |(written, tail)| {
        let mut bytes = written.bytes[..written.synced_to].to_vec();
        bytes.extend_from_slice(&tail);
        match read_segment(&bytes, KEY) {
            Ok(read) => prop_assert_eq!(&read.frames[..written.synced()], &written.heads[..]),
            // The tail may hold whole records of another place, which say that more was synced.
            Err(damage) => prop_assert!(damage.offset as usize >= written.synced_to),
        }
        Ok(())
    });
}

#[test]
fn fuzz_nothing_comes_back_that_was_not_written() {
    let spoilt = written().prop_flat_map(|written| {
        let bytes = mutated(Just(written.bytes.clone()), WORDS);
        (Just(written), bytes)
    });
    Target::new("spoilt_segments", file!()).cases(100).run(spoilt, |(written, bytes)| {
        let whole = written.heads.iter().take_while(|head| {
            let range = head.offset as usize..head.end() as usize;
            bytes.get(range.clone()) == written.bytes.get(range)
        });
        let whole: Vec<_> = whole.copied().collect();
        match read_segment(&bytes, KEY) {
            Ok(read) => {
                prop_assert_eq!(&read.frames, &whole);
                if let Ending::Open(end) = read.ending {
                    prop_assert_eq!(end, whole.last().map_or(0, RecordHead::end));
                }
            }
            Err(damage) => {
                prop_assert!(whole.len() < written.heads.len());
                prop_assert_eq!(damage.offset, whole.last().map_or(0, RecordHead::end));
            }
        }
        Ok(())
    });
}

#[test]
fn fuzz_acks_name_their_frames_and_no_others() {
    let acks = written().prop_flat_map(|written| {
        let acks = written.heads.iter().flat_map(RecordHead::ack).collect::<Vec<u8>>();
        (Just(written), mutated(Just(acks), WORDS))
    });
    Target::new("acks", file!()).run(acks, |(written, acks)| {
        prop_assert_eq!(parse_acks(&acks).count(), acks.len() / 8);
        let whole: Vec<_> = acks.chunks_exact(8).collect();
        for head in &written.heads {
            let acked = parse_acks(&acks).any(|ack| ack == (head.offset, head.ack_check));
            prop_assert_eq!(acked, whole.contains(&&head.ack()[..]));
        }
        Ok(())
    });
}

/// A visitor can choose the ids and texts of activities, and so write records that check in all but their CRC.
#[test]
fn leftovers_that_look_like_records_are_read_in_linear_time() {
    let size = 256 * 1024;
    let mut bytes = vec![0; size];
    for offset in (HEADER_BYTES..size / 2).step_by(HEADER_BYTES) {
        let header = &mut bytes[offset..offset + HEADER_BYTES];
        header[..4].copy_from_slice(b"DJQ1");
        header[8..12].copy_from_slice(&(size as u32 / 2 - 100).to_le_bytes());
        header[12..16].copy_from_slice(&(offset as u32).to_le_bytes());
    }
    let read = read_segment(&bytes, KEY);
    assert_eq!(read, Ok(Segment { frames: vec![], ending: Ending::Open(0) }));
    let checksums = Checksums::new(&bytes, 0);
    assert!(!proves_more(KEY, &checksums, 0));
    let candidates = SegmentKey::candidates(&bytes, 1).count();
    assert!(candidates > 2_000);
    assert!(checksums.summed() <= size + candidates * 2 * 4096, "{} bytes", checksums.summed());
}
