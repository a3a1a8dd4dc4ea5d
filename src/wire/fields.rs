//! serde for fields of messages whose types do not say how they travel: public keys, and numbers that have a bound.

/// For `#[serde(with = "…")]` on a public key.
pub(super) mod key {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::codec::Bytes;

    pub(in super::super) fn serialize<S: Serializer>(key: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(*key).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        Bytes::deserialize(deserializer).map(|Bytes(bytes)| bytes)
    }
}

/// A size or an index: beyond 2^62 it is refused at decode, before any arithmetic sees it.
pub(super) mod size {
    use serde::de::{Error as _, Unexpected};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::log::MAX_SIZE;

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
