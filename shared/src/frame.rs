//! A frame: one queue message that carries many activities.
//!
//! Its bytes:
//!
//! ```text
//! "DJF"  version (1 byte)  CRC-32C of the rest (4 bytes, little endian)  envelope
//! ```
//!
//! The envelope and the activities are protocol buffers ([`record`]): fields
//! are tagged and a reader skips those it does not know, so a field can be
//! added without a new version. The version changes only when an old reader
//! would misread the bytes; it then leaves the frame in the queue. In version 2
//! an entry can share its sender with the one before it, as those of a batch
//! do; a frame without such entries is still written as version 1. The golden
//! files in `shared/golden` hold the bytes still (`frame::tests::golden_*`).

mod decode;
mod encode;
mod record;

use bytes::Bytes;
use uuid::Uuid;

pub use decode::{
    Decoded, DecodedActivity, DecodedFrame, FrameError, RawEntry, decode, decode_activity, read,
};
pub use encode::{Compression, EncodedActivity, EncodedSender, FrameBuilder, Occurrence};

/// The newest version that this build reads and writes.
pub const VERSION: u8 = 2;
/// A frame is closed before it grows beyond this, header included.
pub const FRAME_BYTES_MAX: usize = 512 * 1024;
/// A reader refuses to inflate a body beyond this.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

const MAGIC: &[u8; 3] = b"DJF";
const HEADER_BYTES: usize = 8;

/// Id of a frame: a UUIDv7 made before the first publish and never reused for other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(pub Uuid);

impl FrameId {
    #[must_use]
    pub fn generate() -> Self {
        Self(crate::chance::time_ordered_id())
    }
}

impl std::fmt::Display for FrameId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A finished frame; its bytes never change, however often it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub id: FrameId,
    /// How many activities it carries.
    pub count: u32,
    pub bytes: Bytes,
}

#[cfg(test)]
mod tests;
