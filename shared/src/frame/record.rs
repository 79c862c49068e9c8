//! The protocol buffers inside a frame. A tag is never given a second meaning.

use bytes::Bytes;

/// Entries of frames of this version say themselves who has sent them; those of later ones may have
/// [`ActivityRecord::same_sender`].
pub(super) const OWN_SENDER_VERSION: u8 = 1;
/// `same_sender: true`, encoded.
pub(super) const SAME_SENDER: [u8; 2] = [tag::SAME_SENDER << 3, 1];
/// Behind a record, where the last of several values counts, it makes one that says itself who has sent it.
pub(super) const OWN_SENDER: [u8; 2] = [tag::SAME_SENDER << 3, 0];

/// Envelope of a frame.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FrameRecord {
    #[prost(fixed64, tag = "1")]
    pub(super) id_high: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) id_low: u64,
    /// Number of activities in the body.
    #[prost(uint32, tag = "3")]
    pub(super) count: u32,
    /// 0: the body as it is; 1: zstd.
    #[prost(uint32, tag = "4")]
    pub(super) compression: u32,
    /// Size of the body before compression.
    #[prost(uint64, tag = "5")]
    pub(super) body_bytes: u64,
    /// A `BodyRecord`.
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) body: Bytes,
}

/// The activities, each still encoded, so that one that cannot be read does not spoil the others.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BodyRecord {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) activities: Vec<Bytes>,
}

/// Tags for the encoder, which writes bodies in their place and entries field by field.
pub(super) mod tag {
    pub(in super::super) const BODY: u32 = 6;
    pub(in super::super) const BODY_ACTIVITY: u32 = 1;
    pub(in super::super) const ID_HIGH: u32 = 1;
    pub(in super::super) const ID_LOW: u32 = 2;
    pub(in super::super) const DATE: u32 = 3;
    pub(in super::super) const RECEIVED_AFTER: u32 = 4;
    pub(in super::super) const SESSION_ID: u32 = 5;
    pub(in super::super) const USER_ID: u32 = 6;
    pub(in super::super) const IP_ADDRESS: u32 = 7;
    pub(in super::super) const PATH: u32 = 8;
    pub(in super::super) const REFERER: u32 = 9;
    pub(in super::super) const USER_AGENT: u32 = 10;
    pub(in super::super) const SAME_SENDER: u8 = 11;
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ActivityRecord {
    #[prost(fixed64, tag = "1")]
    pub(super) id_high: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) id_low: u64,
    /// Microseconds since 1970.
    #[prost(sint64, tag = "3")]
    pub(super) date: i64,
    /// Microseconds from `date` to `received_at`: a short number where two long ones are alike.
    #[prost(sint64, tag = "4")]
    pub(super) received_after: i64,
    // The texts are `string`s of protocol buffers; as bytes they share the frame's memory.
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(super) session_id: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(super) user_id: Option<Bytes>,
    /// 4 or 16 bytes, or none.
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) ip_address: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    pub(super) path: Bytes,
    #[prost(bytes = "bytes", tag = "9")]
    pub(super) referer: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    pub(super) user_agent: Bytes,
    /// Session, user, address and user agent are those of the entry before, and stand only there.
    #[prost(bool, tag = "11")]
    pub(super) same_sender: bool,
}

/// The fields of an [`ActivityRecord`] that later entries can share.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SenderRecord {
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(super) session_id: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(super) user_id: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) ip_address: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    pub(super) user_agent: Bytes,
}
