//! Frame bytes to activities.

use std::net::IpAddr;

use bytes::{Buf, Bytes};
use bytestring::ByteString;
use prost::Message;
use uuid::Uuid;

use super::record::{ActivityRecord, BodyRecord, FrameRecord, OWN_SENDER, SenderRecord};
use super::{BODY_BYTES_MAX, Frame, FrameId, HEADER_BYTES, MAGIC, VERSION};
use crate::event::{
    Activity, ClientAddress, EventDate, EventId, PagePath, REFERER_CHARACTERS_MAX, Referer, SessionId,
    UserAgent, UserId,
};

/// Why a frame cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Written by a newer Djaffar: leave it in the queue and upgrade this process.
    #[error("the frame has version {found}, this build reads up to {VERSION}: upgrade the writers first")]
    Newer { found: u8 },
    /// Not what was published: keep the bytes as a dead letter.
    #[error("the frame is corrupt: {reason}")]
    Corrupt { reason: String },
}

/// A frame whose envelope has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedFrame {
    pub id: FrameId,
    pub activities: Vec<DecodedActivity>,
}

/// One entry of a frame, with the bytes it was read from for a dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedActivity {
    pub raw: RawEntry,
    pub decoded: Decoded,
}

/// The bytes of one entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawEntry {
    entry: Bytes,
    /// The `SenderRecord` that it shares with one before it, if it does.
    sender: Option<Bytes>,
}

impl From<Bytes> for RawEntry {
    fn from(entry: Bytes) -> Self {
        Self { entry, sender: None }
    }
}

impl RawEntry {
    /// Bytes of an entry that says everything itself, as a dead letter keeps it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.sender {
            None => self.entry.clone(),
            Some(sender) => Bytes::from([&self.entry, sender, OWN_SENDER.as_slice()].concat()),
        }
    }

    /// About how many those are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.entry.len() + self.sender.as_ref().map_or(0, Bytes::len)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    Activity(Activity),
    /// The entry breaks a rule of [`crate::event`]; says which.
    Invalid(String),
}

fn corrupt(reason: impl Into<String>) -> FrameError {
    FrameError::Corrupt { reason: reason.into() }
}

/// Reads a frame. Its checksum covers everything behind the version, and all known versions are read alike,
/// so whatever was published comes back or nothing does.
///
/// # Errors
/// [`FrameError::Newer`] for a version this build does not know, [`FrameError::Corrupt`] for all else.
pub fn decode(bytes: Bytes) -> Result<DecodedFrame, FrameError> {
    let envelope = envelope(bytes)?;
    let body = inflate(&envelope)?;
    let body = BodyRecord::decode(body).map_err(|error| corrupt(error.to_string()))?;
    if body.activities.len() != envelope.count as usize {
        return Err(corrupt(format!(
            "it announces {} activities and holds {}",
            envelope.count,
            body.activities.len()
        )));
    }
    let mut senders = Senders::default();
    let activities = body.activities.into_iter().map(|entry| senders.decode(entry)).collect();
    Ok(DecodedFrame { id: id(&envelope), activities })
}

/// Reads a frame's envelope alone, for whoever hands it on.
///
/// # Errors
/// As [`decode`], but for what only its body shows.
pub fn read(bytes: Bytes) -> Result<Frame, FrameError> {
    let envelope = envelope(bytes.clone())?;
    Ok(Frame { id: id(&envelope), count: envelope.count, bytes })
}

fn id(envelope: &FrameRecord) -> FrameId {
    FrameId(Uuid::from_u64_pair(envelope.id_high, envelope.id_low))
}

fn envelope(mut bytes: Bytes) -> Result<FrameRecord, FrameError> {
    // The checksum of nothing is 0: a header alone must not pass for a frame without activities.
    if bytes.len() <= HEADER_BYTES || &bytes[..3] != MAGIC {
        return Err(corrupt("it does not begin with a frame header"));
    }
    bytes.advance(3);
    let version = bytes.get_u8();
    if version > VERSION {
        return Err(FrameError::Newer { found: version });
    }
    if version == 0 {
        return Err(corrupt("version 0 was never written"));
    }
    if bytes.get_u32_le() != crc32c::crc32c(&bytes) {
        return Err(corrupt("the checksum does not match"));
    }
    FrameRecord::decode(bytes).map_err(|error| corrupt(error.to_string()))
}

fn inflate(envelope: &FrameRecord) -> Result<Bytes, FrameError> {
    match envelope.compression {
        0 => Ok(envelope.body.clone()),
        1 => {
            let body_bytes = usize::try_from(envelope.body_bytes)
                .ok()
                .filter(|bytes| *bytes <= BODY_BYTES_MAX)
                .ok_or_else(|| corrupt(format!("its body would inflate beyond {BODY_BYTES_MAX} bytes")))?;
            zstd::bulk::decompress(&envelope.body, body_bytes)
                .map(Bytes::from)
                .map_err(|error| corrupt(format!("zstd: {error}")))
        }
        other => Err(corrupt(format!("unknown compression {other}"))),
    }
}

/// Reads one entry, as a dead letter keeps it.
#[must_use]
pub fn decode_activity(raw: Bytes) -> DecodedActivity {
    Senders::default().decode(raw)
}

/// What an entry may want of those before it in its frame.
#[derive(Default)]
struct Senders {
    /// The last entry that says itself who has sent it.
    entry: Option<Bytes>,
    /// What it says, once that has been asked for.
    sender: Option<Sender>,
}

struct Sender {
    record: SenderRecord,
    bytes: Bytes,
}

impl Senders {
    fn decode(&mut self, entry: Bytes) -> DecodedActivity {
        let mut shared = None;
        let decoded = match ActivityRecord::decode(entry.clone()) {
            Ok(record) if record.same_sender => self.sender().and_then(|sender| {
                shared = Some(sender.bytes.clone());
                activity(sender.complete(record)?)
            }),
            Ok(record) => {
                *self = Self { entry: Some(entry.clone()), sender: None };
                activity(record)
            }
            Err(error) => {
                *self = Self::default();
                Err(error.to_string())
            }
        };
        let decoded = decoded.map_or_else(Decoded::Invalid, Decoded::Activity);
        DecodedActivity { raw: RawEntry { entry, sender: shared }, decoded }
    }

    fn sender(&mut self) -> Result<&Sender, String> {
        if let Some(ref sender) = self.sender {
            return Ok(sender);
        }
        let entry = self.entry.clone().ok_or("its sender stands in no entry before it that can be read")?;
        let record = SenderRecord::decode(entry).map_err(|error| error.to_string())?;
        let bytes = Bytes::from(record.encode_to_vec());
        Ok(self.sender.insert(Sender { record, bytes }))
    }
}

impl Sender {
    fn complete(&self, record: ActivityRecord) -> Result<ActivityRecord, String> {
        let keys = [&record.session_id, &record.user_id].into_iter().flatten();
        if keys.chain([&record.ip_address, &record.user_agent]).any(|own| !own.is_empty()) {
            return Err("it has a sender of its own and that of the entry before it".to_owned());
        }
        let SenderRecord { session_id, user_id, ip_address, user_agent } = self.record.clone();
        Ok(ActivityRecord { session_id, user_id, ip_address, user_agent, ..record })
    }
}

fn activity(record: ActivityRecord) -> Result<Activity, String> {
    let received_at = record.date.checked_add(record.received_after).and_then(EventDate::from_micros);
    let ip_address = match record.ip_address.len() {
        0 => None,
        4 | 16 => Some(ClientAddress::new(ip_address(&record.ip_address))),
        length => return Err(format!("ip_address has {length} bytes")),
    };
    Ok(Activity {
        id: EventId(Uuid::from_u64_pair(record.id_high, record.id_low)),
        date: EventDate::from_micros(record.date).ok_or("date is out of range")?,
        received_at: received_at.ok_or("received_at is out of range")?,
        session_id: optional(record.session_id, "session_id", SessionId::new)?,
        user_id: optional(record.user_id, "user_id", UserId::new)?,
        ip_address,
        path: PagePath::new(text(record.path, "path")?).map_err(|error| format!("path {error}"))?,
        referer: Referer::new(text(record.referer, "referer")?, REFERER_CHARACTERS_MAX)
            .map_err(|error| format!("referer {error}"))?,
        user_agent: UserAgent::new(text(record.user_agent, "user_agent")?),
    })
}

fn ip_address(octets: &[u8]) -> IpAddr {
    match <[u8; 4]>::try_from(octets) {
        Ok(octets) => IpAddr::from(octets),
        // 16 bytes: the caller has looked at the length.
        Err(_) => {
            let mut wide = [0; 16];
            wide.copy_from_slice(octets);
            IpAddr::from(wide)
        }
    }
}

fn optional<T>(
    bytes: Option<Bytes>,
    field: &str,
    parse: impl FnOnce(ByteString) -> Result<T, crate::event::InvalidText>,
) -> Result<Option<T>, String> {
    let Some(bytes) = bytes else { return Ok(None) };
    parse(text(bytes, field)?).map(Some).map_err(|error| format!("{field} {error}"))
}

fn text(bytes: Bytes, field: &str) -> Result<ByteString, String> {
    ByteString::try_from(bytes).map_err(|error| format!("{field} is not UTF-8: {error}"))
}
