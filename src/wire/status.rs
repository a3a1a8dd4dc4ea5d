//! Signed answers: a node's status and its word on a push.
//!
//! Both are signed by the answerer over `FF ‖ context ‖ version ‖ answerer ‖ asker ‖ nonce ‖
//! SHA-256(body)`. No note begins with FF, so neither can be mistaken for a checkpoint; the nonce is the
//! asker's, so neither can be replayed; and both say who speaks to whom, whatever the transport.

use serde::{Deserialize, Serialize};

use super::decode::{DecodeError, decode, decode_prefix};
use super::fields;
use super::request::Nonce;
use super::version::VERSION;
use crate::codec::write_value;
use crate::head::{Head, SignedHead};
use crate::key::{LogId, Scheme, Signature, Vkey};
use crate::log::Hash;

/// The body of a signed answer and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<'a> {
    /// The answerer's signature.
    pub signature: Signature,
    /// What is signed: a [`StatusBody`] or a [`PushWord`].
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// Whether `vkey` signed this body, for this context, in answer to a request of `asker` with this nonce.
    /// What the body says has not been looked at then.
    #[must_use]
    pub fn verify<S: Scheme>(&self, context: SignedContext, vkey: &Vkey<S>, asker: &LogId, nonce: &Nonce) -> bool {
        vkey.verify(&signed_text(context, &vkey.id(), asker, nonce, self.body), &self.signature)
    }
}

/// What a signature is for; a signature for one is none for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignedContext {
    /// The body is a [`StatusBody`].
    Status,
    /// The body is a [`PushWord`].
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

/// What a node has: the body of a status. Reading it verifies nothing: [`Signed::verify`] does.
///
/// ```
/// use verisoo::store::MemoryStore;
/// use verisoo::wire::{
///     Frame, MIN_MESSAGE, Message, Nonce, Request, RequestId, Response, SignedContext, StatusBody, StatusRequest,
/// };
/// use verisoo::{Config, Hash, Identity, Instant, LogId, Node};
///
/// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
/// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
/// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
/// # let mut buf = [0; 4_608];
/// node.append(&mut store, b"a record")?;
/// let head = node.publish(&mut store)?;
///
/// // Somebody without any logs asks for all.
/// let asked = StatusRequest {
///     asker: LogId::from_bytes([7; 32]),
///     nonce: Nonce([9; 16]),
///     digest: Hash::EMPTY_ROOT,
///     compared: None,
///     after: None,
///     limit: MIN_MESSAGE,
/// };
/// let bytes = node.respond(now, &mut store, RequestId::new(1), &Request::Status(asked), &mut buf).unwrap();
/// let Message::Response(Response::Status(signed)) = Frame::decode(bytes)?.message else { panic!("refused") };
/// assert!(signed.verify(SignedContext::Status, node.vkey(), &asked.asker, &asked.nonce));
/// assert!(!signed.verify(SignedContext::Status, node.vkey(), &asked.asker, &Nonce([8; 16])), "an old answer");
/// let status = StatusBody::decode(signed.body)?;
/// assert_eq!((status.listed, status.more, status.own), (true, false, None));
/// let entry = status.entries.iter().next().unwrap()?;
/// assert_eq!((entry.log, entry.complete), (node.id(), head));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    #[serde(with = "fields::size")]
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
    #[serde(with = "fields::size")]
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
        let len = write_value(&(log, complete, have, covering, unproven, forked), &mut buf);
        Hash::of(&[&[0x00], len.and_then(|len| buf.get(..len)).unwrap_or_default()])
    }
}

/// Entries of a status, decoded one by one; [`StatusBody`] has an example.
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
            let entry = decode_prefix::<Entry>(rest);
            rest = entry.map_or(&[], |(_, behind)| behind);
            Some(entry.map(|(entry, _)| entry))
        })
    }
}

impl<'a> StatusBody<'a> {
    /// Reads a status body; every entry must be canonical and they must be in order of log id, none twice.
    ///
    /// Errors: [`DecodeError::Malformed`], [`DecodeError::NotCanonical`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let body: Self = decode(bytes)?;
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
///
/// ```
/// use verisoo::store::MemoryStore;
/// use verisoo::wire::{Batch, Frame, Message, Nonce, Proof, Push, PushWord, Request, RequestId, Response};
/// use verisoo::{Config, Identity, Instant, Node};
///
/// # let now = Instant::ZERO;
/// # let node = |name, seed| {
/// #     let identity = Identity::from_seed(name, &[seed; 32])?;
/// #     Ok::<(Node, MemoryStore), Box<dyn std::error::Error>>((
/// #         Node::new(identity, Config::default(), [9; 32], now),
/// #         MemoryStore::new(),
/// #     ))
/// # };
/// let ((mut anna, mut annas), (mut bob, mut bobs)) = (node("anna.example", 1)?, node("bob.example", 2)?);
/// bob.follow(&mut bobs, anna.vkey())?;
/// let log = anna.id();
/// anna.append(&mut annas, b"a record")?;
/// anna.publish(&mut annas)?;
/// let head = anna.checkpoint(&mut annas, &log)?.unwrap();
///
/// // A push, made by hand: the head, and all the records that lead to it.
/// let batch = Batch { log, start: 0, head, proof: Proof::default(), records: b"\x08\x00a record" };
/// let push = Request::Push(Push { from: log, nonce: Nonce([7; 16]), batch });
/// let mut buf = [0; 4_608];
/// let bytes = bob.respond(now, &mut bobs, RequestId::new(1), &push, &mut buf).unwrap();
/// let Message::Response(Response::Pushed(signed)) = Frame::decode(bytes)?.message else { panic!("refused") };
/// assert_eq!(PushWord::decode(signed.body)?, PushWord { log, complete: head.head, have: 1 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PushWord {
    /// The log.
    pub log: LogId,
    /// The complete head; [`Head::EMPTY`] where there is none.
    pub complete: Head,
    /// Records held.
    #[serde(with = "fields::size")]
    pub have: u64,
}

impl PushWord {
    /// Reads a push word. That it was signed is not checked here.
    ///
    /// Errors: [`DecodeError::Malformed`], [`DecodeError::NotCanonical`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}
