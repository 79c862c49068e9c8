//! Activities to frame bytes.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, fixed64, key_len, sint64};

use super::record::{FrameRecord, tag};
use super::{FRAME_BYTES_MAX, Frame, FrameId, HEADER_BYTES, MAGIC, VERSION};
use crate::event::{Activity, ClientAddress};

/// Room for what comes before the body: the header, two ids, three numbers, the body's key and length.
const PREFIX_BYTES_MAX: usize = HEADER_BYTES + 48;

/// One activity as it stands in a frame's body, encoded by the request's own task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedActivity(Vec<u8>);

impl EncodedActivity {
    /// The entry that a dead letter has kept, with all its fields, also those of a newer build.
    #[must_use]
    pub fn from_raw(raw: &[u8]) -> Self {
        let mut entry = begin_entry(raw.len());
        entry.extend_from_slice(raw);
        Self(entry)
    }

    /// Bytes it takes in a frame.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an encoded activity is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Writes an `ActivityRecord` field by field: its own encoder would want the texts as `Bytes`, and an
/// allocation for each.
impl From<&Activity> for EncodedActivity {
    fn from(activity: &Activity) -> Self {
        let (id_high, id_low) = activity.id.0.as_u64_pair();
        let date = activity.date.micros();
        let received_after = activity.received_at.micros() - date;
        let octets = activity.ip_address.map(Octets::of);
        let texts = [
            (tag::SESSION_ID, activity.session_id.as_ref().map(|id| id.as_str().as_bytes())),
            (tag::USER_ID, activity.user_id.as_ref().map(|id| id.as_str().as_bytes())),
            (tag::IP_ADDRESS, octets.as_ref().map(Octets::as_slice)),
            (tag::PATH, unless_empty(activity.path.as_str())),
            (tag::REFERER, unless_empty(activity.referer.as_str())),
            (tag::USER_AGENT, unless_empty(activity.user_agent.as_str())),
        ];
        let mut length = fixed64::encoded_len(tag::ID_HIGH, &id_high)
            + fixed64::encoded_len(tag::ID_LOW, &id_low)
            + sint64::encoded_len(tag::DATE, &date)
            + sint64::encoded_len(tag::RECEIVED_AFTER, &received_after);
        for (tag, bytes) in texts {
            length += bytes.map_or(0, |bytes| delimited_len(tag, bytes.len()));
        }
        let mut entry = begin_entry(length);
        fixed64::encode(tag::ID_HIGH, &id_high, &mut entry);
        fixed64::encode(tag::ID_LOW, &id_low, &mut entry);
        sint64::encode(tag::DATE, &date, &mut entry);
        sint64::encode(tag::RECEIVED_AFTER, &received_after, &mut entry);
        for (tag, bytes) in texts {
            if let Some(bytes) = bytes {
                begin_delimited(tag, bytes.len(), &mut entry);
                entry.extend_from_slice(bytes);
            }
        }
        Self(entry)
    }
}

/// Key and length of an entry of the body, and room for the rest.
fn begin_entry(length: usize) -> Vec<u8> {
    let mut entry = Vec::with_capacity(delimited_len(tag::BODY_ACTIVITY, length));
    begin_delimited(tag::BODY_ACTIVITY, length, &mut entry);
    entry
}

/// Key and length, a byte each where they fit: the encoder's own loop costs more than the rest of the field.
fn begin_delimited(tag: u32, length: usize, entry: &mut Vec<u8>) {
    let key = tag << 3 | WireType::LengthDelimited as u32;
    match (u8::try_from(key), u8::try_from(length)) {
        (Ok(key @ 0..=127), Ok(length @ 0..=127)) => entry.extend_from_slice(&[key, length]),
        _ => {
            encode_key(tag, WireType::LengthDelimited, entry);
            encode_varint(length as u64, entry);
        }
    }
}

/// As protocol buffers leave out an empty field that is not optional.
fn unless_empty(text: &str) -> Option<&[u8]> {
    (!text.is_empty()).then_some(text.as_bytes())
}

fn delimited_len(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

enum Octets {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Octets {
    fn of(address: ClientAddress) -> Self {
        match address.ip() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(address.octets()),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::V4(octets) => octets,
            Self::V6(octets) => octets,
        }
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
    /// [`PREFIX_BYTES_MAX`] for what comes before the body, then the body.
    bytes: Vec<u8>,
    count: u32,
    frame_bytes_max: usize,
}

impl FrameBuilder {
    /// `frame_bytes_max` is the queue's limit for one message; the smaller of it and
    /// [`FRAME_BYTES_MAX`] counts.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { bytes: no_body(), count: 0, frame_bytes_max: frame_bytes_max.min(FRAME_BYTES_MAX) }
    }

    /// Makes room for activities of so many bytes, as far as a frame holds them.
    pub fn reserve(&mut self, activities_bytes: usize) {
        self.bytes.reserve_exact(activities_bytes.min(self.frame_bytes_max));
    }

    /// Whether the activity would fit into an empty frame.
    #[must_use]
    pub fn can_hold(&self, activity: &EncodedActivity) -> bool {
        PREFIX_BYTES_MAX + activity.len() <= self.frame_bytes_max
    }

    /// Whether the activity still fits into this one.
    #[must_use]
    pub fn has_room_for(&self, activity: &EncodedActivity) -> bool {
        self.bytes.len() + activity.len() <= self.frame_bytes_max
    }

    pub fn push(&mut self, activity: &EncodedActivity) {
        self.bytes.extend_from_slice(&activity.0);
        self.count += 1;
    }

    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The finished frame. The builder is empty again.
    ///
    /// A body that zstd does not make smaller is written as it is.
    pub fn finish(&mut self, id: FrameId, compression: Compression) -> Frame {
        let mut bytes = std::mem::replace(&mut self.bytes, no_body());
        let count = std::mem::take(&mut self.count);
        let body_bytes = bytes.len() - PREFIX_BYTES_MAX;
        let is_packed = compression == Compression::Zstd && pack(&mut bytes);
        let (id_high, id_low) = id.0.as_u64_pair();
        let envelope = FrameRecord {
            id_high,
            id_low,
            count,
            compression: u32::from(is_packed),
            body_bytes: body_bytes as u64,
            // Written already, behind the room that these fields are given now.
            body: Bytes::new(),
        };
        let mut prefix = BytesMut::with_capacity(PREFIX_BYTES_MAX);
        prefix.put_slice(MAGIC);
        prefix.put_u8(VERSION);
        prefix.put_u32_le(0);
        envelope.encode_raw(&mut prefix);
        encode_key(tag::BODY, WireType::LengthDelimited, &mut prefix);
        encode_varint((bytes.len() - PREFIX_BYTES_MAX) as u64, &mut prefix);
        let begin = PREFIX_BYTES_MAX - prefix.len();
        bytes[begin..PREFIX_BYTES_MAX].copy_from_slice(&prefix);
        let (header, rest) = bytes[begin..].split_at_mut(HEADER_BYTES);
        header[4..].copy_from_slice(&crc32c::crc32c(rest).to_le_bytes());
        Frame { id, count, bytes: Bytes::from(bytes).slice(begin..) }
    }
}

fn no_body() -> Vec<u8> {
    vec![0; PREFIX_BYTES_MAX]
}

/// Compresses the body in its place; false, and nothing is changed, if that does not make it smaller.
fn pack(bytes: &mut Vec<u8>) -> bool {
    let body = &bytes[PREFIX_BYTES_MAX..];
    let Some(packed) = zstd::bulk::compress(body, 1).ok().filter(|packed| packed.len() < body.len()) else {
        return false;
    };
    bytes.truncate(PREFIX_BYTES_MAX);
    bytes.extend_from_slice(&packed);
    true
}
