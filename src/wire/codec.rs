//! Writing postcard's encoding, serde for the crate's own types, and a writer that lets a
//! store put a message's last field in place.

use core::fmt;
use postcard::ser_flavors::Flavor;

use serde::de::{Error as _, SeqAccess, Unexpected, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Proof;
use crate::log::MAX_SIZE;
use crate::{Hash, Head, LogId, Signature, SignedHead};

/// Bytes in the encoding of `value`.
pub(crate) fn size_of_value<T: Serialize>(value: &T) -> Option<usize> {
    postcard::serialize_with_flavor(value, Sink { buf: None, len: 0 }).ok()
}

/// Writes the encoding of `value` to the front of `buf`; its length, or `None` where it does not fit.
pub(crate) fn write_value<T: Serialize>(value: &T, buf: &mut [u8]) -> Option<usize> {
    postcard::serialize_with_flavor(value, Sink { buf: Some(buf), len: 0 }).ok()
}

/// Where encodings go: into a buffer, or, to be counted, nowhere. One flavor for both, so that there is one
/// copy of the code for each message and not two.
struct Sink<'b> {
    buf: Option<&'b mut [u8]>,
    len: usize,
}

impl Flavor for Sink<'_> {
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if let Some(buf) = &mut self.buf {
            *buf.get_mut(self.len).ok_or(postcard::Error::SerializeBufferFull)? = byte;
        }
        self.len = self.len.checked_add(1).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let end = self.len.checked_add(bytes.len()).ok_or(postcard::Error::SerializeBufferFull)?;
        if let Some(buf) = &mut self.buf {
            let room = buf.get_mut(self.len..end).ok_or(postcard::Error::SerializeBufferFull)?;
            room.copy_from_slice(bytes);
        }
        self.len = end;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.len)
    }
}

/// Writes values one after the other into a buffer.
pub(crate) struct Writer<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    /// Bytes of the longest length prefix: a varint below 2^28.
    pub(crate) const LENGTH_PREFIX: usize = 4;

    pub(crate) fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends a value; `None`, and nothing is appended, where it does not fit.
    pub(crate) fn put<T: Serialize>(&mut self, value: &T) -> Option<()> {
        let written = write_value(value, self.buf.get_mut(self.len..)?)?;
        self.len = self.len.checked_add(written)?;
        Some(())
    }

    /// Takes back the last byte: the length of the empty byte string that ends the value just written, so
    /// that the string can be written in place.
    pub(crate) fn reopen(&mut self) -> Option<()> {
        self.len = self.len.checked_sub(1)?;
        Some(())
    }

    /// Overwrites a byte written before.
    pub(crate) fn set(&mut self, at: usize, byte: u8) {
        if let Some(slot) = self.buf.get_mut(..self.len).and_then(|written| written.get_mut(at)) {
            *slot = byte;
        }
    }

    /// Appends a byte string that `fill` writes in place: it is given what is left of the buffer and
    /// returns how much of it it used.
    pub(crate) fn put_bytes_with<E>(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Option<()>, E> {
        let Some(from) = self.len.checked_add(Self::LENGTH_PREFIX) else { return Ok(None) };
        let Some(room) = self.buf.get_mut(from..) else { return Ok(None) };
        let len = fill(room)?;
        Ok(self.put_bytes_from(from, len))
    }

    /// Appends a byte string that lies further on in the buffer already, `len` bytes at `from`.
    pub(crate) fn put_bytes_from(&mut self, from: usize, len: usize) -> Option<()> {
        let mut prefix = [0; Self::LENGTH_PREFIX];
        let len_of_prefix = write_value(&u32::try_from(len).ok()?, &mut prefix)?;
        let prefix = prefix.get(..len_of_prefix)?;
        let start = self.len.checked_add(prefix.len())?;
        let end = from.checked_add(len)?;
        if start > from || end > self.buf.len() {
            return None;
        }
        self.buf.copy_within(from..end, start);
        self.buf.get_mut(self.len..start)?.copy_from_slice(prefix);
        self.len = start.checked_add(len)?;
        Some(())
    }

    pub(crate) fn finish(self) -> &'b [u8] {
        self.finish_mut()
    }

    pub(crate) fn finish_mut(self) -> &'b mut [u8] {
        let Self { buf, len } = self;
        buf.get_mut(..len).unwrap_or_default()
    }
}

/// Bytes of a known number, without their length; serde itself knows arrays of at most 32, and unrolls them.
struct Bytes<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<const N: usize>;

        impl<'de, const N: usize> Visitor<'de> for Visit<N> {
            type Value = [u8; N];

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes of a known number")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
                let mut bytes = [0; N];
                for byte in &mut bytes {
                    *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(N, &self))?;
                }
                Ok(bytes)
            }
        }

        deserializer.deserialize_tuple(N, Visit).map(Self)
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(N)?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(*self.as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bytes::deserialize(deserializer).map(|Bytes(bytes)| Self::from_bytes(bytes))
    }
}

impl Serialize for LogId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(*self.as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LogId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bytes::deserialize(deserializer).map(|Bytes(bytes)| Self::from_bytes(bytes))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(*self.as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bytes::deserialize(deserializer).map(|Bytes(bytes)| Self::from_bytes(bytes))
    }
}

/// For `#[serde(with = "…")]` on a public key.
pub(super) mod key {
    use super::{Bytes, Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(key: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(*key).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        Bytes::deserialize(deserializer).map(|Bytes(bytes)| bytes)
    }
}

/// A size or an index: beyond 2^62 it is refused at decode, before any arithmetic sees it.
pub(super) mod size {
    use super::{Deserialize, Deserializer, MAX_SIZE, Serialize, Serializer, Unexpected};
    use serde::de::Error as _;

    // serde's `with` gives a reference.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
    pub(crate) fn serialize<S: Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        size.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let size = u64::deserialize(deserializer)?;
        if size > MAX_SIZE {
            return Err(D::Error::invalid_value(Unexpected::Unsigned(size), &"at most 2^62"));
        }
        Ok(size)
    }
}

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

impl Serialize for Proof<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.hashes().as_flattened())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Proof<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        match bytes.as_chunks() {
            (hashes, []) => Self::new(hashes),
            _ => None,
        }
        .ok_or_else(|| D::Error::invalid_length(bytes.len(), &"at most 63 hashes of 32 bytes"))
    }
}
