//! Heads as they travel: the size as a varint, the 32 bytes of the root, and, where they are signed, the 64 of
//! the signature. What no log can have is refused when it is read, before any arithmetic sees it.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::signed::{Head, SignedHead};
use crate::codec::{Read, Reader};
use crate::key::Signature;
use crate::log::{Hash, MAX_SIZE};

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.size, self.root).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Head {
    /// A size beyond 2^62 is refused here, before any arithmetic sees it, and so is an empty log whose
    /// root is not that of the empty tree.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (size, root) = <(u64, Hash)>::deserialize(deserializer)?;
        if size > MAX_SIZE || (size == 0 && root != Hash::EMPTY_ROOT) {
            return Err(D::Error::invalid_value(Unexpected::Unsigned(size), &"a tree head"));
        }
        Ok(Self { size, root })
    }
}

impl Serialize for SignedHead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.head, self.signature).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (head, signature) = Deserialize::deserialize(deserializer)?;
        Ok(Self { head, signature })
    }
}

impl<'a> Read<'a> for Head {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let head = Self { size: reader.size()?, root: Hash::read(reader)? };
        head.is_well_formed().then_some(head)
    }
}

impl<'a> Read<'a> for SignedHead {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { head: Head::read(reader)?, signature: reader.array().map(Signature::from_bytes)? })
    }
}
