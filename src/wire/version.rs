//! What holds of all messages of this version: its number, and how large a message can be. The buffers of a
//! device are of that size.

/// The version of the wire format, and the first byte of each frame.
pub const VERSION: u8 = 1;

/// The smallest `max_message` a node may have, in bytes: every message but one with a long record fits,
/// the largest fork proof included.
pub const MIN_MESSAGE: u32 = 4_608;

/// The largest `max_message` a node may have, in bytes.
pub const MAX_MESSAGE: u32 = 16 << 20;

/// A batch holds at most one record for each so many bytes of the largest message allowed, so that the
/// work a message can cause is bounded by its size.
pub const BYTES_PER_RECORD: u32 = 64;
