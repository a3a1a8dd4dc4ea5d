//! Reading what somebody sent, and saying what is wrong with it. Of what is read here, only the form is known to be
//! right.

use core::fmt;

use crate::codec::{Read, Reader};

/// Bytes are not a frame of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is no byte at all, or the first is not [`VERSION`](super::VERSION).
    Version,
    /// Not a message, or one with a value out of range: a size beyond 2^62, a proof of more than 63 hashes.
    Malformed,
    /// A message, but not in its one canonical encoding, or with bytes behind it.
    NotCanonical,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "not a frame of this version",
            Self::Malformed => "malformed message",
            Self::NotCanonical => "message is not canonically encoded",
        })
    }
}

impl core::error::Error for DecodeError {}

/// Reads the one value that `bytes` is the canonical encoding of.
pub(super) fn decode<'a, T: Read<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

/// Reads one canonically encoded value from the front of `bytes`; the value and what follows.
pub(super) fn decode_prefix<'a, T: Read<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader).ok_or(DecodeError::Malformed)?;
    if reader.is_padded() { Err(DecodeError::NotCanonical) } else { Ok((value, reader.rest())) }
}
