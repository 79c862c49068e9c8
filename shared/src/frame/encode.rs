//! Activities to frame bytes.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, fixed64, key_len, sint64};

use super::record::{FrameRecord, OWN_SENDER_VERSION, SAME_SENDER, tag};
use super::{FRAME_BYTES_MAX, Frame, FrameId, HEADER_BYTES, MAGIC, VERSION};
use crate::event::{
    Activity, ClientAddress, EventDate, EventId, PagePath, Referer, SessionId, UserAgent, UserId,
};

/// Room for what comes before the body: the header, two ids, three numbers, the body's key and length.
const PREFIX_BYTES_MAX: usize = HEADER_BYTES + 48;

/// Room for each of several records; a longer one makes more.
const USUAL_RECORD_BYTES: usize = 160;

/// One activity as it stands in a frame's body, encoded by the request's own task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedActivity {
    /// An `ActivityRecord`, without the fields of `sender`.
    record: Bytes,
    /// Empty if the record says itself who has sent it.
    sender: EncodedSender,
}

/// Who has sent several activities, encoded once. Clones share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedSender(Bytes);

/// What has happened, without who did it.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence<'a> {
    pub id: EventId,
    pub date: EventDate,
    pub received_at: EventDate,
    pub path: &'a PagePath,
    pub referer: &'a Referer,
}

impl<'a> From<&'a Activity> for Occurrence<'a> {
    fn from(activity: &'a Activity) -> Self {
        let Activity { id, date, received_at, ref path, ref referer, .. } = *activity;
        Self { id, date, received_at, path, referer }
    }
}

impl Occurrence<'_> {
    /// In microseconds.
    fn received_after(self) -> i64 {
        self.received_at.micros() - self.date.micros()
    }
}

impl EncodedActivity {
    /// Activities of few senders: a frame names each of them once for all that follow one another.
    /// They share one allocation.
    #[must_use]
    pub fn all<'a>(
        activities: impl ExactSizeIterator<Item = (Occurrence<'a>, &'a EncodedSender)>,
    ) -> Vec<Self> {
        let mut records = Vec::with_capacity(activities.len() * USUAL_RECORD_BYTES);
        let encode = |(occurrence, sender): (Occurrence<'a>, &'a EncodedSender)| {
            let texts = [
                (tag::PATH, unless_empty(occurrence.path.as_str())),
                (tag::REFERER, unless_empty(occurrence.referer.as_str())),
            ];
            let begin = records.len();
            put_record(occurrence, texts, &mut records);
            (begin..records.len(), sender.clone())
        };
        let places: Vec<_> = activities.map(encode).collect();
        let records = Bytes::from(records);
        places.into_iter().map(|(place, sender)| Self { record: records.slice(place), sender }).collect()
    }

    /// The entry that a dead letter has kept, with all its fields, also those of a newer build.
    #[must_use]
    pub fn from_raw(raw: &[u8]) -> Self {
        Self { record: Bytes::copy_from_slice(raw), sender: EncodedSender::default() }
    }

    /// Bytes it takes in a frame, or less after another of its sender.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an encoded activity is never empty")]
    pub fn len(&self) -> usize {
        delimited_len(tag::BODY_ACTIVITY, self.record.len() + self.sender.0.len())
    }
}

/// Written field by field: prost's own encoder would want the texts as `Bytes`, and an allocation for each.
impl From<&Activity> for EncodedActivity {
    fn from(activity: &Activity) -> Self {
        let octets = activity.ip_address.map(Octets::of);
        let texts = [
            (tag::SESSION_ID, activity.session_id.as_ref().map(|id| id.as_str().as_bytes())),
            (tag::USER_ID, activity.user_id.as_ref().map(|id| id.as_str().as_bytes())),
            (tag::IP_ADDRESS, octets.as_ref().map(Octets::as_slice)),
            (tag::PATH, unless_empty(activity.path.as_str())),
            (tag::REFERER, unless_empty(activity.referer.as_str())),
            (tag::USER_AGENT, unless_empty(activity.user_agent.as_str())),
        ];
        let occurrence = Occurrence::from(activity);
        let mut record = Vec::with_capacity(numbers_len(occurrence) + texts_len(&texts));
        put_record(occurrence, texts, &mut record);
        Self { record: Bytes::from(record), sender: EncodedSender::default() }
    }
}

impl EncodedSender {
    #[must_use]
    pub fn of(
        session_id: Option<&SessionId>,
        user_id: Option<&UserId>,
        ip_address: Option<ClientAddress>,
        user_agent: &UserAgent,
    ) -> Self {
        let octets = ip_address.map(Octets::of);
        let texts = [
            (tag::SESSION_ID, session_id.map(|id| id.as_str().as_bytes())),
            (tag::USER_ID, user_id.map(|id| id.as_str().as_bytes())),
            (tag::IP_ADDRESS, octets.as_ref().map(Octets::as_slice)),
            (tag::USER_AGENT, unless_empty(user_agent.as_str())),
        ];
        let mut fields = Vec::with_capacity(texts_len(&texts));
        put_texts(texts, &mut fields);
        Self(Bytes::from(fields))
    }

    fn is_shared_with(&self, other: &Self) -> bool {
        !self.0.is_empty() && self.0.as_ptr() == other.0.as_ptr() && self.0.len() == other.0.len()
    }
}

type Text<'a> = (u32, Option<&'a [u8]>);

fn numbers_len(occurrence: Occurrence<'_>) -> usize {
    let (id_high, id_low) = occurrence.id.0.as_u64_pair();
    fixed64::encoded_len(tag::ID_HIGH, &id_high)
        + fixed64::encoded_len(tag::ID_LOW, &id_low)
        + sint64::encoded_len(tag::DATE, &occurrence.date.micros())
        + sint64::encoded_len(tag::RECEIVED_AFTER, &occurrence.received_after())
}

fn put_record<const N: usize>(occurrence: Occurrence<'_>, texts: [Text<'_>; N], record: &mut Vec<u8>) {
    let (id_high, id_low) = occurrence.id.0.as_u64_pair();
    fixed64::encode(tag::ID_HIGH, &id_high, record);
    fixed64::encode(tag::ID_LOW, &id_low, record);
    sint64::encode(tag::DATE, &occurrence.date.micros(), record);
    sint64::encode(tag::RECEIVED_AFTER, &occurrence.received_after(), record);
    put_texts(texts, record);
}

fn texts_len(texts: &[Text<'_>]) -> usize {
    texts.iter().map(|(tag, bytes)| bytes.map_or(0, |bytes| delimited_len(*tag, bytes.len()))).sum()
}

fn put_texts<const N: usize>(texts: [Text<'_>; N], record: &mut Vec<u8>) {
    for (tag, bytes) in texts {
        if let Some(bytes) = bytes {
            begin_delimited(tag, bytes.len(), record);
            record.extend_from_slice(bytes);
        }
    }
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
    /// The oldest version whose readers understand what is in it.
    version: u8,
    /// Of the activity that was pushed last, if others may share it.
    sender: EncodedSender,
    frame_bytes_max: usize,
}

impl FrameBuilder {
    /// `frame_bytes_max` is the queue's limit for one message; the smaller of it and
    /// [`FRAME_BYTES_MAX`] counts.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self {
            bytes: no_body(),
            count: 0,
            version: OWN_SENDER_VERSION,
            sender: EncodedSender::default(),
            frame_bytes_max: frame_bytes_max.min(FRAME_BYTES_MAX),
        }
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
        let EncodedActivity { record, sender } = activity;
        if sender.is_shared_with(&self.sender) {
            self.version = VERSION;
            self.put_entry(record, &SAME_SENDER);
        } else {
            self.put_entry(record, &sender.0);
            self.sender = sender.clone();
        }
        self.count += 1;
    }

    fn put_entry(&mut self, record: &[u8], rest: &[u8]) {
        begin_delimited(tag::BODY_ACTIVITY, record.len() + rest.len(), &mut self.bytes);
        self.bytes.extend_from_slice(record);
        self.bytes.extend_from_slice(rest);
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
        let version = std::mem::replace(&mut self.version, OWN_SENDER_VERSION);
        self.sender = EncodedSender::default();
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
        prefix.put_u8(version);
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
