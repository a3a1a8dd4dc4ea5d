//! The id of a key, which is that of its log and of the node that writes it: a hash, so that it says which key is
//! meant and nothing about whom to believe. Its first four bytes are the key id of C2SP signed-note.

use core::cmp::Ordering;
use core::fmt;

use crate::log::Hash;

/// The id of a log, of the node that writes it, and of its key: `SHA-256(name ‖ 0A ‖ algorithm ‖ key)`.
///
/// `Display` shows all 64 hex digits, `Debug` and [`LogId::shorten`] the first 16.
///
/// ```
/// use verisoo::{LogId, Vkey};
///
/// let vkey = Vkey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")?;
/// let id = vkey.id();
/// // The vkey's key id is where it begins.
/// assert!(id.to_string().starts_with("c74f20a3"));
/// assert_eq!(id.shorten().to_string(), id.to_string()[..16]);
///
/// assert_eq!(LogId::from_hex(&id.to_string()), Some(id));
/// assert_eq!(LogId::from_hex(&id.to_string().to_uppercase()), None);
/// assert_eq!(LogId::from_hex("c74f20a3"), None);
/// # Ok::<(), verisoo::key::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub(super) Hash);

impl Ord for LogId {
    /// The order of the bytes.
    fn cmp(&self, other: &Self) -> Ordering {
        // Ids are hashes: their first bytes decide, without a call, wherever they are not equal.
        self.front().cmp(&other.front()).then_with(|| self.as_bytes().cmp(other.as_bytes()))
    }
}

impl PartialOrd for LogId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl LogId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash::from_bytes(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Its first eight bytes, as a number in whose order they are.
    fn front(&self) -> u64 {
        self.as_bytes().first_chunk().map_or(0, |front| u64::from_be_bytes(*front))
    }

    /// Reads 64 lower-case hex digits; anything else is `None`.
    pub fn from_hex(text: &str) -> Option<Self> {
        Hash::from_hex(text).map(Self)
    }

    /// The first 16 of its 64 digits, for people to read. Too short to be trusted as an id: that many
    /// digits can be made to match.
    ///
    /// ```
    /// use verisoo::LogId;
    ///
    /// assert_eq!(LogId::from_bytes([0xab; 32]).shorten().to_string(), "abababababababab");
    /// ```
    pub fn shorten(&self) -> impl fmt::Display + '_ {
        Shortened(self)
    }
}

struct Shortened<'a>(&'a LogId);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.0, f)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.shorten(), f)
    }
}
