//! Activities to frame bytes.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::record::{ActivityRecord, BODY_ACTIVITY_TAG, FrameRecord};
use super::{FRAME_BYTES_MAX, Frame, FrameId, HEADER_BYTES, MAGIC, VERSION};
use crate::event::Activity;

/// Room for the envelope's own fields: two ids, three numbers, the body's key and length.
const ENVELOPE_BYTES_MAX: usize = 48;

/// One activity as it stands in a frame's body, encoded by the request's own task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedActivity(Vec<u8>);

impl EncodedActivity {
    /// Bytes it takes in a frame.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an encoded activity is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Activity> for EncodedActivity {
    fn from(activity: Activity) -> Self {
        let (id_high, id_low) = activity.id.0.as_u64_pair();
        let record = ActivityRecord {
            id_high,
            id_low,
            date: activity.date.micros(),
            received_after: activity.received_at.micros() - activity.date.micros(),
            session_id: activity.session_id.map(crate::event::SessionId::into_string),
            user_id: activity.user_id.map(crate::event::UserId::into_string),
            ip_address: activity.ip_address.map_or_else(Bytes::new, |address| match address.ip() {
                IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
                IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
            }),
            path: activity.path.into_string(),
            referer: activity.referer.into_string(),
            user_agent: activity.user_agent.into_string(),
        };
        let length = record.encoded_len();
        let mut entry =
            Vec::with_capacity(key_len(BODY_ACTIVITY_TAG) + encoded_len_varint(length as u64) + length);
        encode_key(BODY_ACTIVITY_TAG, WireType::LengthDelimited, &mut entry);
        encode_varint(length as u64, &mut entry);
        record.encode_raw(&mut entry);
        Self(entry)
    }
}

/// How a frame's body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    /// zstd, level 1.
    Zstd,
}

/// Gathers activities until the frame is full.
#[derive(Debug)]
pub struct FrameBuilder {
    body: Vec<u8>,
    count: u32,
    body_bytes_max: usize,
}

impl FrameBuilder {
    /// `frame_bytes_max` is the queue's limit for one message; the smaller of it and
    /// [`FRAME_BYTES_MAX`] counts.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        let frame_bytes_max = frame_bytes_max.min(FRAME_BYTES_MAX);
        let body_bytes_max = frame_bytes_max.saturating_sub(HEADER_BYTES + ENVELOPE_BYTES_MAX);
        Self { body: Vec::new(), count: 0, body_bytes_max }
    }

    /// Whether the activity would fit into an empty frame.
    #[must_use]
    pub fn can_hold(&self, activity: &EncodedActivity) -> bool {
        activity.len() <= self.body_bytes_max
    }

    /// Whether the activity still fits into this one.
    #[must_use]
    pub fn has_room_for(&self, activity: &EncodedActivity) -> bool {
        self.body.len() + activity.len() <= self.body_bytes_max
    }

    pub fn push(&mut self, activity: &EncodedActivity) {
        self.body.extend_from_slice(&activity.0);
        self.count += 1;
    }

    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The finished frame. The builder is empty again and keeps its memory.
    ///
    /// A body that zstd does not make smaller is written as it is.
    pub fn finish(&mut self, id: FrameId, compression: Compression) -> Frame {
        let (id_high, id_low) = id.0.as_u64_pair();
        let packed = match compression {
            Compression::None => None,
            Compression::Zstd => {
                zstd::bulk::compress(&self.body, 1).ok().filter(|packed| packed.len() < self.body.len())
            }
        };
        let envelope = FrameRecord {
            id_high,
            id_low,
            count: self.count,
            compression: u32::from(packed.is_some()),
            body_bytes: self.body.len() as u64,
            body: packed.map_or_else(|| Bytes::copy_from_slice(&self.body), Bytes::from),
        };
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + envelope.encoded_len());
        bytes.put_slice(MAGIC);
        bytes.put_u8(VERSION);
        bytes.put_u32_le(0);
        envelope.encode_raw(&mut bytes);
        let checksum = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        bytes[4..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        let frame = Frame { id, count: self.count, bytes: bytes.freeze() };
        self.body.clear();
        self.count = 0;
        frame
    }
}
