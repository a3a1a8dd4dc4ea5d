//! Fork proofs: what shows, to anybody who has a log's key and nothing else, that its writer has signed
//! two histories.
//!
//! The encoding is [postcard](https://postcard.jamesmunns.com/wire-format): the heads (each the size as a
//! varint, 32 bytes of root, 64 bytes of signature), the common size as a varint, the two roots, and the
//! two proofs (each the number of its bytes as a varint, then the hashes). A proof has one encoding, so
//! that it can be compared and counted by its bytes.

use core::fmt;

use serde::Serialize;

use super::signed::{Head, HeadError, SignedHead};
use crate::codec::{Reader, write_value};
use crate::key::{Scheme, Signature, Vkey};
use crate::log::{Hash, MAX_PROOF, MAX_SIZE, ProofError, verify_consistency};

/// Two heads signed by one log's key that cannot both be true, and what shows it.
///
/// Plain data: nothing is checked until [`verify`](Self::verify) is asked.
///
/// ```
/// use verisoo::head::{ForkError, ForkProof};
/// use verisoo::log::{leaf_hash, node_hash};
/// use verisoo::{Ed25519, Head, Identity, SignedHead};
///
/// // One writer signs two histories of two records that part at the second.
/// let writer = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
/// let roots = [b"pay bob", b"pay eve"].map(|second| node_hash(&leaf_hash(b"opened"), &leaf_hash(second)));
/// let heads = roots.map(|root| SignedHead::sign(&writer, Head { size: 2, root }));
/// let proof = ForkProof { heads, size: 2, roots, proofs: [&[], &[]] };
/// assert_eq!(proof.verify(writer.vkey()), Ok(()));
///
/// // It travels as bytes, and convinces whoever has the log's key.
/// let mut buf = [0; ForkProof::MAX_LEN];
/// let len = proof.encode(&mut buf).unwrap();
/// let received = ForkProof::decode(&buf[..len])?;
/// assert_eq!(received.verify(writer.vkey()), Ok(()));
///
/// // The same head twice proves nothing, and nothing is proven against another's log.
/// let harmless = ForkProof { heads: [heads[0]; 2], roots: [roots[0]; 2], ..proof };
/// assert_eq!(harmless.verify(writer.vkey()), Err(ForkError::SameRoot));
/// let other = Identity::<Ed25519>::from_seed("example.com/log", &[8; 32])?;
/// assert_eq!(proof.verify(other.vkey()), Err(ForkError::Signature));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ForkProof<'a> {
    /// The two heads.
    pub heads: [SignedHead; 2],
    /// A size both reach: 1 ≤ size ≤ both heads' sizes.
    pub size: u64,
    /// The two roots at `size`, each that of the head in the same place.
    pub roots: [Hash; 2],
    /// The consistency proof from each root to its head; empty where `size` is that head's size.
    pub proofs: [&'a [[u8; Hash::LEN]]; 2],
}

/// Why a fork proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForkError {
    /// The encoding, or a head, is malformed.
    Malformed,
    /// The size is 0 or beyond one of the heads.
    OutOfRange,
    /// The two roots are equal.
    SameRoot,
    /// A head is not signed by the log's key.
    Signature,
    /// A root does not lead to its head.
    Proof(ProofError),
}

impl fmt::Display for ForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the fork proof is malformed"),
            Self::OutOfRange => f.write_str("the size is 0 or beyond one of the heads"),
            Self::SameRoot => f.write_str("the two roots are equal"),
            Self::Signature => f.write_str("a head is not signed by the log's key"),
            Self::Proof(error) => write!(f, "a root does not lead to its head: {error}"),
        }
    }
}

impl core::error::Error for ForkError {}

impl<'a> ForkProof<'a> {
    /// The longest encoding, 4,319 bytes: two heads of about 2^62 leaves with 63 hashes each.
    pub const MAX_LEN: usize = 2 * MAX_HEAD + MAX_VARINT + 2 * Hash::LEN + 2 * MAX_PROOF_FIELD;

    /// Checks the proof with nothing but the log's key: at one size there are two different roots, each
    /// leads to its head, and both heads are signed.
    ///
    /// The cheap checks come first, so that made-up proofs cost no signature checks.
    ///
    /// Errors: [`ForkError::OutOfRange`], [`ForkError::SameRoot`], [`ForkError::Proof`],
    /// [`ForkError::Malformed`], [`ForkError::Signature`], the first of them that is the case.
    pub fn verify<S: Scheme>(&self, vkey: &Vkey<S>) -> Result<(), ForkError> {
        if self.size == 0 || self.heads.iter().any(|signed| self.size > signed.head.size) {
            return Err(ForkError::OutOfRange);
        }
        let [left, right] = &self.roots;
        if left == right {
            return Err(ForkError::SameRoot);
        }
        for ((SignedHead { head, .. }, root), proof) in self.heads.iter().zip(&self.roots).zip(self.proofs) {
            verify_consistency(self.size, root, head.size, &head.root, proof).map_err(ForkError::Proof)?;
        }
        self.heads.iter().try_for_each(|head| head.verify(vkey)).map_err(|error| match error {
            HeadError::Malformed => ForkError::Malformed,
            HeadError::Signature => ForkError::Signature,
        })
    }

    /// Writes the encoding; returns its length, at most [`MAX_LEN`](Self::MAX_LEN). `None` where `buf` is
    /// too short, or where [`decode`](Self::decode) would refuse it: a size beyond 2^62, a proof of more
    /// than 63 hashes. What `buf` holds then is of no meaning.
    pub fn encode(&self, buf: &mut [u8]) -> Option<usize> {
        let wire = Wire::from(self);
        wire.is_within_limits().then_some(())?;
        write_value(&wire, buf)
    }

    /// Reads what [`encode`](Self::encode) wrote; anything else, also another encoding of the same proof
    /// or bytes after it, is [`ForkError::Malformed`]. The proofs are borrowed. Nothing is verified.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ForkError> {
        let mut reader = Reader::new(bytes);
        let proof = Self::read(&mut reader).ok_or(ForkError::Malformed)?;
        if reader.is_canonical_end() { Ok(proof) } else { Err(ForkError::Malformed) }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        // Whatever a head says: what no log can have is refused when it is verified.
        let mut head = || {
            let (size, root) = (reader.size()?, Hash::from_bytes(reader.array()?));
            Some(SignedHead { head: Head { size, root }, signature: Signature::from_bytes(reader.array()?) })
        };
        let heads = [head()?, head()?];
        let size = reader.size()?;
        let roots = [reader.array()?, reader.array()?].map(Hash::from_bytes);
        let mut proof = || match reader.bytes()?.as_chunks() {
            (hashes, []) if hashes.len() <= MAX_PROOF => Some(hashes),
            _ => None,
        };
        Some(Self { heads, size, roots, proofs: [proof()?, proof()?] })
    }
}

/// Bytes of a varint up to 2^62: 63 bits, 7 a byte.
const MAX_VARINT: usize = 9;
/// Bytes of a head: size, root, signature.
const MAX_HEAD: usize = MAX_VARINT + Hash::LEN + 64;
/// Bytes of a proof: their number as a varint (below 2^14: two bytes), and the hashes.
const MAX_PROOF_FIELD: usize = 2 + MAX_PROOF * Hash::LEN;

/// A fork proof as it travels.
#[derive(Serialize)]
struct Wire<'a> {
    heads: [WireHead; 2],
    size: u64,
    roots: [Hash; 2],
    proofs: [&'a [u8]; 2],
}

/// A signed head as it travels, whatever it says: what no log can have is refused when it is verified.
#[derive(Serialize)]
struct WireHead {
    size: u64,
    root: Hash,
    signature: Signature,
}

impl Wire<'_> {
    fn is_within_limits(&self) -> bool {
        let mut sizes = self.heads.iter().map(|head| head.size).chain([self.size]);
        let mut lens = self.proofs.iter().map(|proof| proof.len());
        sizes.all(|size| size <= MAX_SIZE) && lens.all(|len| len <= MAX_PROOF * Hash::LEN)
    }
}

impl<'a> From<&ForkProof<'a>> for Wire<'a> {
    fn from(proof: &ForkProof<'a>) -> Self {
        Self {
            heads: proof.heads.each_ref().map(WireHead::from),
            size: proof.size,
            roots: proof.roots,
            proofs: proof.proofs.map(<[_]>::as_flattened),
        }
    }
}

impl From<&SignedHead> for WireHead {
    fn from(SignedHead { head, signature }: &SignedHead) -> Self {
        Self { size: head.size, root: head.root, signature: *signature }
    }
}
