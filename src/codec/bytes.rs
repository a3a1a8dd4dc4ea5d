//! Bytes whose number is known, and what is nothing else: hashes, log ids, signatures, keys. They are encoded
//! without a length.

use core::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::read::{Read, Reader};
use crate::key::{LogId, Signature};
use crate::log::Hash;

/// Bytes of a known number, without their length; serde itself knows arrays of at most 32, and unrolls them.
pub(crate) struct Bytes<const N: usize>(pub(crate) [u8; N]);

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

impl<'a> Read<'a> for Hash {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.array().map(Self::from_bytes)
    }
}

impl<'a> Read<'a> for LogId {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.array().map(Self::from_bytes)
    }
}
