//! The protocol buffers inside a frame. A tag is never given a second meaning.

use bytes::Bytes;

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

/// Tag of `BodyRecord::activities`: the encoder writes entries one at a time.
pub(super) const BODY_ACTIVITY_TAG: u32 = 1;

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
    #[prost(string, optional, tag = "5")]
    pub(super) session_id: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub(super) user_id: Option<String>,
    /// 4 or 16 bytes, or none.
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) ip_address: Bytes,
    #[prost(string, tag = "8")]
    pub(super) path: String,
    #[prost(string, tag = "9")]
    pub(super) referer: String,
    #[prost(string, tag = "10")]
    pub(super) user_agent: String,
}
