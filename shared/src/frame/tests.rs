use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::event::*;

mod fuzz;

fn example(path: &str) -> Activity {
    Activity {
        id: EventId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
        date: EventDate::from_micros(1_482_996_922_571_000).expect("in range"),
        received_at: EventDate::from_micros(1_482_996_922_600_123).expect("in range"),
        session_id: Some(SessionId::new("0190cafe0190cafe0190cafe0190cafe").expect("valid")),
        user_id: None,
        ip_address: Some(ClientAddress::new("192.0.2.7".parse().expect("an address"))),
        path: PagePath::new(path).expect("valid"),
        referer: Referer::new("https://example.org/", 2048).expect("valid"),
        user_agent: UserAgent::from_header("Mozilla/5.0 (ünïcode)".as_bytes()),
    }
}

/// Id, dates, keys, address, path, referer and user agent, as they are drawn.
type Drawn = (u128, (i64, i64), (Option<String>, Option<String>), Option<[u8; 16]>, String, String, String);

fn activity_of((id, (date, received), (session, user), address, path, referer, agent): Drawn) -> Activity {
    Activity {
        id: EventId(Uuid::from_u128(id)),
        date: EventDate::from_micros(date).expect("in range"),
        received_at: EventDate::from_micros(received).expect("in range"),
        session_id: session.map(|text| SessionId::new(text).expect("valid")),
        user_id: user.map(|text| UserId::new(text).expect("valid")),
        ip_address: address.map(|octets| ClientAddress::new(octets.into())),
        path: PagePath::new(path).expect("valid"),
        referer: Referer::new(referer, 2048).expect("valid"),
        user_agent: UserAgent::from_header(agent.as_bytes()),
    }
}

fn frame_of(activities: &[Activity], compression: Compression) -> Frame {
    let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
    for activity in activities {
        builder.push(&EncodedActivity::from(activity));
    }
    builder.finish(FrameId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_00ff)), compression)
}

fn sender_of(activity: &Activity) -> EncodedSender {
    let Activity { session_id, user_id, ip_address, user_agent, .. } = activity;
    EncodedSender::of(session_id.as_ref(), user_id.as_ref(), *ip_address, user_agent)
}

/// The activities of two senders, each of whom stands in the frame once.
fn shared_frame() -> (Vec<Activity>, FrameBuilder) {
    let (ours, nobody) = (example("/"), Activity { session_id: None, ..example("/") });
    let (our_sender, nobody_sender) = (sender_of(&ours), sender_of(&nobody));
    let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
    let (activities, senders): (Vec<_>, Vec<_>) = [
        ("/a", &ours, &our_sender),
        ("/b", &ours, &our_sender),
        ("/c", &nobody, &nobody_sender),
        ("/d", &nobody, &nobody_sender),
        ("/e", &ours, &our_sender),
        ("/f", &ours, &our_sender),
    ]
    .map(|(path, who, sender)| {
        (Activity { path: PagePath::new(path).expect("valid"), ..who.clone() }, sender)
    })
    .into_iter()
    .unzip();
    for entry in EncodedActivity::all(activities.iter().map(Occurrence::from).zip(senders)) {
        builder.push(&entry);
    }
    (activities, builder)
}

fn activities_of(bytes: Bytes) -> Vec<Activity> {
    let frame = decode(bytes).expect("a readable frame");
    frame
        .activities
        .into_iter()
        .map(|entry| match entry.decoded {
            Decoded::Activity(activity) => activity,
            Decoded::Invalid(reason) => panic!("invalid activity: {reason}"),
        })
        .collect()
}

/// Version 1 as it was first written: these files must stay readable for ever.
#[test]
fn golden_frames_decode() {
    let plain = Bytes::from_static(include_bytes!("../../golden/frame-v1.bin"));
    assert_eq!(activities_of(plain), [example("/a"), example("/b")]);
    let packed = Bytes::from_static(include_bytes!("../../golden/frame-v1-zstd.bin"));
    assert_eq!(activities_of(packed), vec![example("/packed"); 20]);
}

#[test]
fn golden_frame_bytes_are_what_is_written() {
    let written = frame_of(&[example("/a"), example("/b")], Compression::None);
    assert_eq!(written.bytes, include_bytes!("../../golden/frame-v1.bin").as_slice());
    assert_eq!(written.count, 2);
}

/// Version 2, where an entry can share its sender with the one before it.
#[test]
fn golden_frames_with_shared_senders_decode_and_are_what_is_written() {
    let golden = include_bytes!("../../golden/frame-v2.bin").as_slice();
    let (activities, mut builder) = shared_frame();
    let id = FrameId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_00ff));
    assert_eq!(builder.finish(id, Compression::None).bytes, golden);
    assert_eq!(activities_of(Bytes::from_static(golden)), activities);
}

/// A dead letter of an entry that shares its sender holds him too.
#[test]
fn a_raw_entry_says_who_has_sent_it() {
    let (activities, mut builder) = shared_frame();
    let frame = decode(builder.finish(FrameId::generate(), Compression::None).bytes).expect("a frame");
    for (entry, activity) in frame.activities.iter().zip(activities) {
        assert_eq!(decode_activity(entry.raw.to_bytes()).decoded, Decoded::Activity(activity));
    }
}

#[test]
fn a_sender_is_not_shared_with_the_frame_before() {
    let (activities, mut builder) = shared_frame();
    let sender = sender_of(&activities[0]);
    let entry = EncodedActivity::all([(Occurrence::from(&activities[0]), &sender)].into_iter()).remove(0);
    builder.push(&entry);
    builder.finish(FrameId::generate(), Compression::None);
    builder.push(&entry);
    let frame = builder.finish(FrameId::generate(), Compression::None).bytes;
    assert_eq!(frame[3], record::OWN_SENDER_VERSION);
    assert_eq!(activities_of(frame), activities[..1]);
}

/// Nobody writes these; whoever may publish could.
#[test]
fn an_entry_that_shares_no_sender_or_has_two_is_invalid() {
    let sharing = |session: Option<&'static [u8]>| {
        let record = record::ActivityRecord {
            path: Bytes::from_static(b"/"),
            session_id: session.map(Bytes::from_static),
            same_sender: true,
            ..Default::default()
        };
        EncodedActivity::from_raw(&prost::Message::encode_to_vec(&record))
    };
    let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
    let unreadable = EncodedActivity::from_raw(b"\xff");
    for entry in [
        &sharing(None),
        &EncodedActivity::from(&example("/")),
        &sharing(Some(b"of its own")),
        &sharing(None),
        &unreadable,
        &sharing(None),
    ] {
        builder.push(entry);
    }
    let frame = decode(builder.finish(FrameId::generate(), Compression::None).bytes).expect("a frame");
    let valid: Vec<_> =
        frame.activities.iter().map(|entry| matches!(entry.decoded, Decoded::Activity(_))).collect();
    assert_eq!(valid, [false, true, false, true, false, false]);
}

/// A field of a later version, in the envelope and in an activity, is skipped.
#[test]
fn golden_frame_with_unknown_fields_decodes() {
    let later = Bytes::from_static(include_bytes!("../../golden/frame-v1-unknown-fields.bin"));
    assert_eq!(activities_of(later), [example("/later")]);
}

#[test]
fn a_newer_version_is_not_corrupt() {
    let mut bytes = BytesMut::from(&frame_of(&[example("/a")], Compression::None).bytes[..]);
    bytes[3] = VERSION + 1;
    assert_eq!(decode(bytes.freeze()), Err(FrameError::Newer { found: VERSION + 1 }));
}

#[test]
fn every_flipped_bit_is_seen() {
    let frame = frame_of(&[example("/a"), example("/b")], Compression::None).bytes;
    for index in 0..frame.len() * 8 {
        let mut bytes = BytesMut::from(&frame[..]);
        bytes[index / 8] ^= 1 << (index % 8);
        assert!(decode(bytes.freeze()).is_err(), "bit {index}");
    }
}

#[test]
fn a_header_before_nothing_is_no_frame() {
    let cut = decode(Bytes::from_static(b"DJF\x01\0\0\0\0"));
    assert!(matches!(cut, Err(FrameError::Corrupt { .. })), "{cut:?}");
}

#[test]
fn every_truncation_is_seen() {
    let frame = frame_of(&[example("/a")], Compression::Zstd).bytes;
    for length in 0..frame.len() {
        assert!(decode(frame.slice(..length)).is_err(), "{length} bytes");
    }
}

#[test]
fn a_frame_never_exceeds_its_limit() {
    let mut builder = FrameBuilder::new(4096);
    let entry = EncodedActivity::from(&example("/limit"));
    while builder.has_room_for(&entry) {
        builder.push(&entry);
    }
    let frame = builder.finish(FrameId::generate(), Compression::None);
    assert!(frame.bytes.len() <= 4096, "{}", frame.bytes.len());
    assert_eq!(builder.count(), 0);
}

#[test]
fn an_inflation_bomb_is_refused() {
    let envelope = record::FrameRecord {
        count: 1,
        compression: 1,
        body_bytes: u64::MAX,
        body: Bytes::from(zstd::bulk::compress(&vec![0; 1 << 20], 1).expect("compresses")),
        ..Default::default()
    };
    let bytes = seal(&prost::Message::encode_to_vec(&envelope));
    assert!(matches!(decode(bytes), Err(FrameError::Corrupt { .. })));
}

/// An activity that breaks a rule is named; its neighbours are read.
#[test]
fn an_invalid_activity_leaves_its_neighbours() {
    let mut builder = FrameBuilder::new(FRAME_BYTES_MAX);
    builder.push(&EncodedActivity::from(&example("/good")));
    let mut bytes = builder.finish(FrameId::generate(), Compression::None).bytes.to_vec();
    let at = bytes.windows(5).position(|window| window == b"/good").expect("the path");
    bytes[at] = 0;
    let bytes = seal(&bytes[HEADER_BYTES..]);
    let frame = decode(bytes).expect("a readable frame");
    assert_eq!(frame.activities[0].decoded, Decoded::Invalid("path contains U+0000".into()));
}

fn seal(envelope: &[u8]) -> Bytes {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    bytes.extend(crc32c::crc32c(envelope).to_le_bytes());
    bytes.extend(envelope);
    Bytes::from(bytes)
}

proptest! {
    #[test]
    fn any_activity_comes_back(
        id in any::<u128>(),
        date in -62_135_596_800_000_000_i64..=253_402_300_799_999_999,
        received in 0_i64..=253_402_300_799_999_999,
        session in proptest::option::of("[0-9a-f]{32}"),
        user in proptest::option::of("[^\0]{1,60}"),
        address in proptest::option::of(any::<[u8; 16]>()),
        path in "[^\0]{1,1000}",
        referer in "[^\0]{0,2048}",
        agent in "[^\0]{0,1000}",
        compressed in any::<bool>(),
    ) {
        let activity = activity_of((id, (date, received), (session, user), address, path, referer, agent));
        let compression = if compressed { Compression::Zstd } else { Compression::None };
        let frame = frame_of(std::slice::from_ref(&activity), compression);
        prop_assert_eq!(activities_of(frame.bytes), [activity]);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        // With a valid checksum only the shape can be wrong; an envelope of few bytes may well be a frame.
        drop(decode(seal(&bytes)));
        prop_assert!(decode(Bytes::from(bytes)).is_err());
    }
}
