//! Proofs to take away (C2SP tlog-proof): a text that shows, to anybody who holds the log's vkey and the
//! record, that the record is in the log. No node, no network.

use core::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::Checkpoint;
use super::note::{MAX_NOTE, NoteError, decimal, is_base64};
use super::signed::SignedHead;
use crate::key::{Scheme, Vkey, decode_base64};
use crate::log::{Hash, ProofError, verify_inclusion};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The longest proof that is read, in bytes: a note, and as much again for the extra data.
pub const MAX_TLOG_PROOF: usize = 2 * MAX_NOTE;

/// The most hashes of an inclusion proof, in a tree of 2^62 leaves.
const MAX_HASHES: usize = 62;

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlogProofError {
    /// Longer than [`MAX_TLOG_PROOF`].
    TooLong,
    /// The first line is not `c2sp.org/tlog-proof@v1`, or no blank line ends the proof's part.
    Header,
    /// The extra data are empty, or not canonical base64.
    Extra,
    /// The index is missing, or not decimal without sign and leading zeros.
    Index,
    /// A line is not the canonical base64 of a hash, or there are more than 62.
    Hash,
    /// The checkpoint is refused.
    Checkpoint(NoteError),
    /// The record is not at that index of the checkpoint's tree, as far as this proof shows.
    Inclusion(ProofError),
}

impl fmt::Display for TlogProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the proof is too long",
            Self::Header => "not a proof in the format c2sp.org/tlog-proof@v1",
            Self::Extra => "the proof's extra data are malformed",
            Self::Index => "the proof's index is malformed",
            Self::Hash => "a hash of the proof is malformed",
            Self::Checkpoint(error) => return write!(f, "the proof's checkpoint is refused: {error}"),
            Self::Inclusion(_) => "the proof does not lead from the record to the checkpoint's root",
        })
    }
}

impl core::error::Error for TlogProofError {}

impl From<NoteError> for TlogProofError {
    fn from(error: NoteError) -> Self {
        Self::Checkpoint(error)
    }
}

/// Writes a proof: the `index` of a record, its inclusion proof, and a checkpoint (a
/// [`SignedHead::to_note`], or any note with more signatures) of the tree that `proof` is for. `extra` is
/// whatever the reader is to have beside it, empty for nothing. Nothing is checked.
///
/// ```
/// use verisoo::head::{TlogProof, tlog_proof};
/// use verisoo::log::leaf_hash;
/// use verisoo::{Ed25519, Head, Identity, SignedHead};
///
/// // A log of one record: its root is the leaf, and the inclusion proof is empty.
/// let identity = Identity::<Ed25519>::from_seed("example.com/log", &[7; 32])?;
/// let leaf = leaf_hash(b"a record");
/// let signed = SignedHead::sign(&identity, Head { size: 1, root: leaf });
/// let text = tlog_proof(0, &[], signed.to_note(identity.vkey()), b"").to_string();
///
/// assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nexample.com/log\n1\n"));
/// assert_eq!(TlogProof::parse(text.as_bytes())?.index(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn tlog_proof<'a>(
    index: u64,
    proof: &'a [[u8; Hash::LEN]],
    checkpoint: impl fmt::Display + 'a,
    extra: &'a [u8],
) -> impl fmt::Display + 'a {
    ProofText { index, proof, checkpoint, extra }
}

struct ProofText<'a, C> {
    index: u64,
    proof: &'a [[u8; Hash::LEN]],
    checkpoint: C,
    extra: &'a [u8],
}

impl<C: fmt::Display> fmt::Display for ProofText<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", Base64Display::new(self.extra, &STANDARD))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in self.proof {
            writeln!(f, "{}", Base64Display::new(hash, &STANDARD))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// A proof (C2SP tlog-proof) that has been read but not verified: nothing in it is to be believed before
/// [`TlogProof::verify`].
///
/// ```
/// use verisoo::head::{TlogProof, TlogProofError, tlog_proof};
/// use verisoo::log::{leaf_hash, prove_inclusion};
/// use verisoo::store::{MemoryStore, Store};
/// use verisoo::{Config, Identity, Instant, Node};
///
/// // A node proves that the second of its three records is in its log…
/// let identity = Identity::from_seed("example.com/log", &[7; 32])?;
/// let mut store = MemoryStore::new();
/// let mut node: Node = Node::new(identity, Config::default(), [9; 32], Instant::ZERO);
/// for record in ["one", "two", "three"] {
///     node.append(&mut store, record.as_bytes())?;
/// }
/// node.publish(&mut store)?;
/// let (log, vkey) = (node.id(), *node.vkey());
/// let signed = node.checkpoint(&mut store, &log)?.unwrap();
/// let mut hashes = Vec::new();
/// let read = |position| store.hash(&log, position);
/// prove_inclusion(1, signed.head.size, read, |hash| hashes.push(*hash.as_bytes()))?;
/// let text = tlog_proof(1, &hashes, signed.to_note(&vkey), b"").to_string();
///
/// // …to somebody who has the record, this text, and the log's key.
/// let proof = TlogProof::parse(text.as_bytes())?;
/// assert_eq!(proof.verify(&vkey, &leaf_hash(b"two"))?.head.size, 3);
/// let refused = proof.verify(&vkey, &leaf_hash(b"too"));
/// assert!(matches!(refused, Err(TlogProofError::Inclusion(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof<'a> {
    extra: Option<&'a str>,
    index: u64,
    // Checked: base64 of 32 bytes a line, no newline after the last.
    hashes: &'a str,
    checkpoint: Checkpoint<'a>,
}

impl<'a> TlogProof<'a> {
    /// Reads a proof, copying nothing. Anything that departs from the one way of writing it is refused.
    ///
    /// Errors: any [`TlogProofError`] but [`Inclusion`](TlogProofError::Inclusion); of its checkpoint, those of
    /// [`Checkpoint::parse`] ([`NoteError::Encoding`] also where it is the proof's part that is not UTF-8). Whether
    /// there are as many hashes as index and size ask for is seen by [`verify`](Self::verify).
    pub fn parse(text: &'a [u8]) -> Result<Self, TlogProofError> {
        if text.len() > MAX_TLOG_PROOF {
            return Err(TlogProofError::TooLong);
        }
        let text = core::str::from_utf8(text).map_err(|_| NoteError::Encoding)?;
        let (proof, note) = text.split_once("\n\n").ok_or(TlogProofError::Header)?;

        let (header, rest) = next_line(proof);
        if header != HEADER {
            return Err(TlogProofError::Header);
        }
        let (line, after) = next_line(rest);
        let extra = line.strip_prefix("extra ");
        if extra.is_some_and(|extra| extra.is_empty() || !is_base64(extra)) {
            return Err(TlogProofError::Extra);
        }
        let (index, hashes) = next_line(if extra.is_some() { after } else { rest });
        let index = index.strip_prefix("index ").and_then(decimal).ok_or(TlogProofError::Index)?;
        for (count, line) in lines(hashes).enumerate() {
            if count >= MAX_HASHES || decode_base64::<{ Hash::LEN }>(line).is_none() {
                return Err(TlogProofError::Hash);
            }
        }
        Ok(Self { extra, index, hashes, checkpoint: Checkpoint::parse(note.as_bytes())? })
    }

    /// The index of the record that is claimed to be in the log, counted from 0. Any `u64`, until it is
    /// verified.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, from the leaf's sibling up: at most 62 hashes.
    pub fn hashes(&self) -> impl Iterator<Item = Hash> + use<'a> {
        lines(self.hashes).filter_map(decode_base64).map(Hash::from_bytes)
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint<'a> {
        &self.checkpoint
    }

    /// The extra data in base64, if there are any. Nothing vouches for them.
    pub fn extra(&self) -> Option<&'a str> {
        self.extra
    }

    /// Decodes the extra data into `buf`: their length, 0 if there are none, or `None` where they do not
    /// fit.
    pub fn decode_extra(&self, buf: &mut [u8]) -> Option<usize> {
        STANDARD.decode_slice(self.extra.unwrap_or_default(), buf).ok()
    }

    /// Checks that the record with the leaf hash `leaf` is in the log of `vkey`: the checkpoint is that
    /// log's (see [`Checkpoint::verify`]), and the inclusion proof leads from the leaf to its root. The
    /// leaf hash is [`leaf_hash`](crate::log::leaf_hash) of the record one holds, never of something that
    /// came with the proof. The signed head is the checkpoint's.
    ///
    /// Errors: [`TlogProofError::Checkpoint`], [`TlogProofError::Inclusion`].
    pub fn verify<S: Scheme>(&self, vkey: &Vkey<S>, leaf: &Hash) -> Result<SignedHead, TlogProofError> {
        let signed = self.checkpoint.verify(vkey)?;
        let mut hashes = [[0; Hash::LEN]; MAX_HASHES];
        let mut len = 0usize;
        for (slot, hash) in hashes.iter_mut().zip(self.hashes()) {
            *slot = *hash.as_bytes();
            len = len.saturating_add(1);
        }
        let proof = hashes.get(..len).unwrap_or_default();
        verify_inclusion(self.index, signed.head.size, leaf, &signed.head.root, proof)
            .map_err(TlogProofError::Inclusion)?;
        Ok(signed)
    }
}

impl fmt::Display for TlogProof<'_> {
    /// The proof as it was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = self.extra {
            writeln!(f, "extra {extra}")?;
        }
        writeln!(f, "index {}", self.index)?;
        for line in lines(self.hashes) {
            writeln!(f, "{line}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The first line, and what follows its newline.
fn next_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// The lines of a text without a newline at its end; none where it is empty.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !line.is_empty())
}
