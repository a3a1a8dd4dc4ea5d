//! What is wrong with a name, a key or a vkey string: one list for all of them, since whoever reads one from a
//! configuration has the same to say to its author.

use core::fmt;

/// Why a name, a key or a vkey string is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, longer than 63 bytes, or holds white space, a control character or `+`.
    Name,
    /// Not the shape of a vkey string: `name+hex8+base64`, the base64 padded and of 33 bytes.
    Malformed,
    /// Not a key of the expected algorithm.
    Algorithm,
    /// The key id is not that of name and key.
    KeyId,
    /// The key is not the canonical encoding of a point, or the point is of small order.
    Key,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a key name is 1 to 63 bytes without white space, control characters or '+'",
            Self::Malformed => "not a vkey string (name+key id+key)",
            Self::Algorithm => "a key of another algorithm",
            Self::KeyId => "the key id is not that of this name and key",
            Self::Key => "the public key is not valid",
        })
    }
}

impl core::error::Error for KeyError {}
