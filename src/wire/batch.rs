//! Records and proofs as they travel. Whether they come as an answer or as a push, they are the same to whoever
//! judges them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fields;
use crate::head::SignedHead;
use crate::key::LogId;
use crate::log::{Hash, MAX_PROOF};

/// Records with the signed head they lead to: a *batch*. Can be judged by anybody who holds the first
/// `start` records' hashes, whatever was asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch<'a> {
    /// The log.
    pub log: LogId,
    /// Index of the first record.
    #[serde(with = "fields::size")]
    pub start: u64,
    /// A signed head at or beyond the end of the records.
    pub head: SignedHead,
    /// The consistency proof from the end of the records to the head; empty where they end there, or
    /// where there are no records at all.
    #[serde(borrow)]
    pub proof: Proof<'a>,
    /// The records, framed. Last, so that a store can write them in place.
    pub records: &'a [u8],
}

/// Hashes of a proof, as they travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proof<'a>(&'a [[u8; Hash::LEN]]);

impl<'a> Proof<'a> {
    /// The proof with these hashes; `None` where there are more than [`MAX_PROOF`].
    pub fn new(hashes: &'a [[u8; Hash::LEN]]) -> Option<Self> {
        (hashes.len() <= MAX_PROOF).then_some(Self(hashes))
    }

    /// The hashes.
    pub const fn hashes(&self) -> &'a [[u8; Hash::LEN]] {
        self.0
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
