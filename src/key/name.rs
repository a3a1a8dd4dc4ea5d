//! The names of keys, by the rule of C2SP signed-note: what is not allowed in a name is what would let it pass for
//! another part of a note or of a vkey string.

use core::fmt;
use core::str::FromStr;

use super::error::KeyError;

/// A key name: 1 to [`Name::MAX_LEN`] bytes of UTF-8 without white space, control characters or `+`
/// (C2SP signed-note, which knows no longest name; a name without an end would have no place in a node
/// of bounded memory).
///
/// ```
/// use verisoo::{Name, key::KeyError};
///
/// assert_eq!(Name::new("example.com/log")?.as_str(), "example.com/log");
/// assert_eq!(Name::new("two words"), Err(KeyError::Name));
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    // Zeros behind the name, and its length last: so the derived order is that of the strings.
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 63;

    /// Checks and copies a name; [`KeyError::Name`] where it is not one.
    pub fn new(name: &str) -> Result<Self, KeyError> {
        if name.is_empty() || !is_note_name(name) || name.chars().any(char::is_control) {
            return Err(KeyError::Name);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes.get_mut(..name.len()).ok_or(KeyError::Name)?.copy_from_slice(name.as_bytes());
        Ok(Self { bytes, len: u8::try_from(name.len()).map_err(|_| KeyError::Name)? })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for Name {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        Self::new(name)
    }
}

/// The rule of signed-note for key names, ours and those of other signers.
pub(crate) fn is_note_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|char: char| char.is_whitespace() || char == '+')
}
