//! Signed answers: a node's status and its word on a push.
//!
//! Both are signed by the answerer over `FF ‖ context ‖ version ‖ answerer ‖ asker ‖ nonce ‖
//! SHA-256(body)`. No note begins with FF, so neither can be mistaken for a checkpoint; the nonce is the
//! asker's, so neither can be replayed; and both say who speaks to whom, whatever the transport.

use serde::{Deserialize, Serialize};

use super::{DecodeError, Nonce, VERSION, codec, read};
use crate::{Hash, Head, LogId, Signature, SignedHead};

/// The body of a signed answer and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<'a> {
    /// The answerer's signature.
    pub signature: Signature,
    /// What is signed: a [`StatusBody`] or a [`PushWord`].
    pub body: &'a [u8],
}

/// What a signature is for; a signature for one is none for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignedContext {
    Status,
    Push,
}

/// Bytes of [`signed_text`].
const SIGNED_TEXT: usize = 1 + 14 + 1 + 32 + 32 + 16 + 32;

/// The bytes that are signed.
pub(crate) fn signed_text(
    context: SignedContext,
    answerer: &LogId,
    asker: &LogId,
    nonce: &Nonce,
    body: &[u8],
) -> [u8; SIGNED_TEXT] {
    let context: &[u8; 14] = match context {
        SignedContext::Status => b"verisoo/status",
        SignedContext::Push => b"verisoo/pushed",
    };
    let digest = Hash::of(&[body]);
    let mut text = [0; SIGNED_TEXT];
    let mut rest = &mut text[..];
    let parts: [&[u8]; 7] =
        [&[0xFF], context, &[VERSION], answerer.as_bytes(), asker.as_bytes(), &nonce.0, digest.as_bytes()];
    for part in parts {
        let (front, behind) = rest.split_at_mut(part.len());
        front.copy_from_slice(part);
        rest = behind;
    }
    text
}

/// What a node has: the body of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusBody<'a> {
    /// Digest over all logs the answerer follows.
    pub digest: Hash,
    /// The largest frame the answerer takes, in bytes.
    pub max_message: u32,
    /// The answerer is taking its own log back and does not write.
    pub recovering: bool,
    /// What the answerer knows of the asker's own log; `None` where it does not follow it.
    pub own: Option<OwnLog>,
    /// Whether entries are listed at all: not where the digests say that there is no need.
    pub listed: bool,
    /// Whether there are more entries after the last one here.
    pub more: bool,
    /// Entries in order of log id.
    #[serde(borrow)]
    pub entries: Entries<'a>,
}

/// What a node knows of a log, told to the log's writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnLog {
    /// Records held.
    #[serde(with = "codec::size")]
    pub have: u64,
    /// The largest head known that the log's key signed.
    pub head: Option<SignedHead>,
}

/// What a node has of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The log.
    pub log: LogId,
    /// The complete head; [`Head::EMPTY`] where there is none.
    pub complete: Head,
    /// Records held, which may be more than the complete head's.
    #[serde(with = "codec::size")]
    pub have: u64,
    /// The head that covers the records beyond the complete head.
    pub covering: Option<Head>,
    /// A head seen that is not proven yet.
    pub unproven: Option<SignedHead>,
    /// A fork proof of this log is held.
    pub forked: bool,
}

impl Entry {
    /// The leaf that stands for a log in the digest over all logs: `H(00 ‖ …)` over what an entry says,
    /// where the unproven head counts without its signature (two signatures of one head are one head).
    pub(crate) fn digest_leaf(
        log: &LogId,
        complete: &Head,
        have: u64,
        covering: Option<&Head>,
        unproven: Option<&Head>,
        forked: bool,
    ) -> Hash {
        let mut buf = [0; 256];
        let len = codec::write_value(&(log, complete, have, covering, unproven, forked), &mut buf);
        Hash::of(&[&[0x00], len.and_then(|len| buf.get(..len)).unwrap_or_default()])
    }
}

/// Entries of a status, decoded one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entries<'a> {
    #[serde(borrow)]
    bytes: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Entries encoded one after the other.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The entries in order; after an error there is nothing more.
    pub fn iter(&self) -> impl Iterator<Item = Result<Entry, DecodeError>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let entry = read::decode_prefix::<Entry>(rest);
            rest = entry.map_or(&[], |(_, behind)| behind);
            Some(entry.map(|(entry, _)| entry))
        })
    }
}

impl<'a> StatusBody<'a> {
    /// Reads a status body; every entry must be canonical and they must be in order of log id.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let body: Self = read::decode(bytes)?;
        let mut last = None;
        for entry in body.entries.iter() {
            let log = entry?.log;
            if last.is_some_and(|last| last >= log) {
                return Err(DecodeError::Malformed);
            }
            last = Some(log);
        }
        Ok(body)
    }
}

/// A node's word on a push: what it has of that log now. Signed, since only a peer's own word moves
/// another's view of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PushWord {
    /// The log.
    pub log: LogId,
    /// The complete head; [`Head::EMPTY`] where there is none.
    pub complete: Head,
    /// Records held.
    #[serde(with = "codec::size")]
    pub have: u64,
}

impl PushWord {
    /// Reads a push word.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read::decode(bytes)
    }
}
