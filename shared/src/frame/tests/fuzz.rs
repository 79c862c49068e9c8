//! Frames that are not what was published, and frames that somebody else has put together.

use super::*;
use crate::frame::record::OWN_SENDER;
use crate::fuzz::{Target, mutated};

/// Tags of protocol buffers, lengths, and what the fields hold.
const WORDS: &[&str] = &[
    "DJF\u{1}",
    "\u{9}",
    "\u{11}",
    "\u{18}",
    "\u{20}",
    "\u{2a}\u{4}abcd",
    "\u{32}\u{3}7\x007",
    "\u{3a}\u{4}\u{7f}\0\0\u{1}",
    "\u{3a}\u{3}abc",
    "\u{42}\0",
    "\u{42}\u{1}p",
    "\u{4a}\u{2}é",
    "\u{a}\0",
    "\u{52}\u{1}a",
    "\u{7f}\u{7f}\u{7f}\u{7f}\u{f}",
];

fn text(limits: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>().prop_filter("no text holds it", |c| *c != '\0'), limits)
        .prop_map(|characters| characters.into_iter().collect())
}

fn activity() -> impl Strategy<Value = Activity> {
    let micros = -62_135_596_800_000_000_i64..=253_402_300_799_999_999;
    let keys = (proptest::option::of(text(1..40)), proptest::option::of(text(1..40)));
    (
        any::<u128>(),
        (micros.clone(), micros),
        keys,
        any::<Option<[u8; 16]>>(),
        text(1..40),
        text(0..40),
        text(0..40),
    )
        .prop_map(activity_of)
}

/// All that these activities are about, by the sender of the first.
fn frame_of_one(activities: &[Activity], compression: Compression) -> Frame {
    let sender = activities.first().map(sender_of).unwrap_or_default();
    let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
    for entry in EncodedActivity::all(activities.iter().map(|activity| (Occurrence::from(activity), &sender)))
    {
        builder.push(&entry);
    }
    builder.finish(FrameId(Uuid::from_u128(1)), compression)
}

fn frame() -> impl Strategy<Value = Frame> {
    let activities = proptest::collection::vec(activity(), 0..5);
    (activities, any::<bool>(), any::<bool>()).prop_map(|(activities, is_shared, is_packed)| {
        let compression = if is_packed { Compression::Zstd } else { Compression::None };
        if is_shared { frame_of_one(&activities, compression) } else { frame_of(&activities, compression) }
    })
}

/// The rules of `event` hold, and the activity can be published again as it is.
fn check(entry: &DecodedActivity) -> Result<(), TestCaseError> {
    let kept = decode_activity(entry.raw.to_bytes()).decoded;
    // An invalid one may share its sender wrongly, which only its neighbours show.
    if matches!(entry.decoded, Decoded::Activity(_)) {
        prop_assert_eq!(&kept, &entry.decoded);
    }
    let Decoded::Activity(activity) = &entry.decoded else { return Ok(()) };
    for text in [activity.path.as_str(), activity.referer.as_str(), activity.user_agent.as_str()] {
        prop_assert!(!text.contains('\0'));
    }
    prop_assert!((1..=PATH_CHARACTERS_MAX).contains(&activity.path.as_str().chars().count()));
    prop_assert!(activity.referer.as_str().chars().count() <= REFERER_CHARACTERS_MAX);
    prop_assert!(activity.user_agent.as_str().chars().count() <= USER_AGENT_CHARACTERS_MAX);
    for key in
        [activity.user_id.as_ref().map(UserId::as_str), activity.session_id.as_ref().map(SessionId::as_str)]
    {
        prop_assert!(key.is_none_or(|key| (1..=255).contains(&key.len()) && !key.contains('\0')));
    }
    for date in [activity.date, activity.received_at] {
        prop_assert_eq!(EventDate::new(date.instant()), Some(date));
    }
    let again = frame_of(std::slice::from_ref(activity), Compression::None);
    prop_assert_eq!(activities_of(again.bytes), std::slice::from_ref(activity));
    Ok(())
}

#[test]
fn fuzz_a_frame_comes_back_as_it_was_or_not_at_all() {
    let spoilt = frame().prop_flat_map(|frame| {
        let bytes = mutated(Just(frame.bytes.to_vec()), WORDS);
        (Just(frame), bytes)
    });
    Target::new("frames", file!()).run(spoilt, |(frame, bytes)| {
        let bytes = Bytes::from(bytes);
        let decoded = decode(bytes.clone());
        match &decoded {
            Ok(found) => {
                let versionless = |bytes: &Bytes| (bytes.slice(..3), bytes.slice(4..));
                prop_assert_eq!(versionless(&bytes), versionless(&frame.bytes));
                prop_assert_eq!(&decoded, &decode(frame.bytes.clone()));
                prop_assert_eq!((found.id, found.activities.len()), (frame.id, frame.count as usize));
                prop_assert_eq!(read(bytes.clone()), Ok(Frame { bytes, ..frame }));
            }
            Err(FrameError::Newer { found }) => prop_assert!(*found > VERSION && bytes[3] == *found),
            Err(FrameError::Corrupt { .. }) => prop_assert!(bytes != frame.bytes),
        }
        Ok(())
    });
}

#[test]
fn fuzz_whatever_has_a_checksum_is_read_within_its_limits() {
    let envelope = frame().prop_map(|frame| frame.bytes[HEADER_BYTES..].to_vec());
    Target::new("sealed_envelopes", file!()).run(mutated(envelope, WORDS), |envelope| {
        let bytes = seal(&envelope);
        let decoded = decode(bytes.clone());
        prop_assert_eq!(&decode(bytes.clone()), &decoded);
        let Ok(found) = decoded else { return Ok(()) };
        let envelope = read(bytes).expect("its body was read");
        prop_assert_eq!((envelope.id, envelope.count as usize), (found.id, found.activities.len()));
        // Key and length of each.
        prop_assert!(found.activities.len() * 2 <= BODY_BYTES_MAX);
        found.activities.iter().try_for_each(check)
    });
}

/// As above, but the envelope is whole, so that every case reaches the entries.
#[test]
fn fuzz_whatever_an_entry_holds_its_neighbours_are_read() {
    let entry = activity().prop_map(|activity| {
        let frame = decode(frame_of(&[activity], Compression::None).bytes).expect("a sound frame");
        frame.activities[0].raw.to_bytes().to_vec()
    });
    let entries = (activity(), mutated(entry, WORDS), any::<bool>());
    Target::new("entries", file!()).run(entries, |(neighbour, spoilt, compressed)| {
        let good = EncodedActivity::from(&neighbour);
        let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
        for entry in [&good, &EncodedActivity::from_raw(&spoilt), &good] {
            builder.push(entry);
        }
        let compression = if compressed { Compression::Zstd } else { Compression::None };
        let frame = builder.finish(FrameId(Uuid::nil()), compression);
        let found = decode(frame.bytes).expect("a sound frame").activities;
        prop_assert_eq!(found.len(), 3);
        prop_assert_eq!(&found[0].decoded, &Decoded::Activity(neighbour));
        prop_assert_eq!(&found[0], &found[2]);
        if !matches!(&found[1].decoded, Decoded::Activity(_)) {
            // One that claims to share its sender is kept with that of the neighbour.
            let kept = found[1].raw.to_bytes();
            prop_assert!(
                kept == spoilt || kept.starts_with(&spoilt) && kept.ends_with(&OWN_SENDER),
                "{kept:?}"
            );
        }
        check(&found[1])
    });
}
