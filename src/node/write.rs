//! Frames that are written in place: what both halves of a conversation send. Records and fork proofs are read from the
//! store to where they travel, without a copy, and what stands before them is written when it is known where they end.
//! A batch is checked as its receiver will check it: a store that rots must not make this node say what is false.

use super::value::Node;
use crate::codec::{Reader, Writer, size_of_value};
use crate::error::Error;
use crate::judge::{Shelf, Trouble};
use crate::key::{LogId, Signature};
use crate::log::{Hash, MAX_PROOF};
use crate::record::Records;
use crate::state::Tables;
use crate::store::{Store, StoreError};
use crate::wire::{
    BYTES_PER_RECORD, Batch, Frame, Message, Nonce, Proof, Push, Refusal, Request, RequestId, Response, SignedContext,
    VERSION, signed_text,
};

/// The message that a batch travels in.
#[derive(Clone, Copy)]
pub(super) enum Envelope {
    Answer { id: RequestId },
    Push { id: RequestId, from: LogId, nonce: Nonce },
}

impl Envelope {
    pub(super) fn frame(self, batch: Batch<'_>) -> Frame<'_> {
        let (id, message) = match self {
            Self::Answer { id } => (id, Message::Response(Response::Records(batch))),
            Self::Push { id, from, nonce } => (id, Message::Request(Request::Push(Push { from, nonce, batch }))),
        };
        Frame { id, message }
    }
}

/// Why a batch cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchError {
    /// No record from there on is held under a signed head.
    NotHeld,
    /// The first record does not fit.
    TooLong,
    /// The buffer is too small for any batch.
    NoRoom,
    /// The store failed.
    Store(Trouble),
}

/// A signature's place while what it signs is still being written.
pub(super) const NO_SIGNATURE: Signature = Signature::from_bytes([0; 64]);

impl<T: Tables> Node<T> {
    pub(super) fn within<'b>(&self, limit: u32, buf: &'b mut [u8]) -> &'b mut [u8] {
        let limit = usize::try_from(limit.min(self.config.max_message)).unwrap_or(usize::MAX).min(buf.len());
        buf.get_mut(..limit).unwrap_or_default()
    }

    /// A failure of the store as a refusal, and as a notice unless it is only not ready.
    pub(super) fn refusal(&mut self, trouble: Trouble) -> Refusal {
        let error = self.noted(trouble);
        if !matches!(error, StoreError::NotReady | StoreError::Dropped { .. }) {
            self.disk.report(error);
            self.cache.idle_until = None;
        }
        refusal_of(error)
    }

    /// A log that is followed and not damaged.
    pub(super) fn served(&self, log: &LogId) -> Result<u32, Refusal> {
        let slot = self.logs.slot(log).ok_or(Refusal::Unknown)?;
        // (Not busy: asking again would bring nothing, and other logs are served.)
        let is_damaged = self.logs.get(slot).is_some_and(|replica| replica.is_damaged);
        if is_damaged { Err(Refusal::NotHeld) } else { Ok(slot) }
    }

    /// Fills in the signature over the body that ends the message.
    #[inline(never)]
    pub(super) fn sign(
        &self,
        writer: Writer<'_>,
        signature_at: usize,
        context: SignedContext,
        asker: &LogId,
        nonce: &Nonce,
    ) -> Result<usize, Refusal> {
        let message = writer.finish_mut();
        let (front, behind) = message.split_at_mut_checked(signature_at + Signature::LEN).ok_or(Refusal::Busy)?;
        let body = Reader::new(behind).bytes().ok_or(Refusal::Busy)?;
        let signature = self.writing.identity().sign(&signed_text(context, &self.writing.id(), asker, nonce, body));
        let slot = front.get_mut(signature_at..).ok_or(Refusal::Busy)?;
        slot.copy_from_slice(signature.as_bytes());
        Ok(message.len())
    }
}

/// Writes a message that ends in the fork proof of a log, which the store reads into its place; `None` where
/// there is none.
pub(super) fn put_fork(
    store: &mut dyn Store,
    log: &LogId,
    envelope: &Frame<'_>,
    buf: &mut [u8],
) -> Result<Option<usize>, Error> {
    let mut writer = open(buf, envelope).ok_or(Error::BufferTooSmall)?;
    let mut is_held = false;
    let written = writer.put_bytes_with(|buf| {
        // The longest fits every buffer that holds the smallest `max_message`.
        let len = store.fork(log, buf)?;
        is_held = len.is_some();
        Ok::<_, StoreError>(len.unwrap_or(0))
    });
    written?.ok_or(Error::BufferTooSmall)?;
    Ok(is_held.then(|| writer.len()))
}

/// Writes a message that ends in the batch from `start`: as many records as fit `buf`, at most `count`,
/// with the head they lead to and the proof. The records are read into their place, and what stands
/// before them is written when it is known where they end.
#[inline(never)]
pub(super) fn read_batch(
    store: &mut dyn Store,
    slot: u32,
    log: &LogId,
    start: u64,
    count: u64,
    buf: &mut [u8],
    envelope: Envelope,
) -> Result<usize, BatchError> {
    let mut shelf = Shelf::open(store, slot, *log).map_err(BatchError::Store)?.ok_or(BatchError::NotHeld)?;
    let state = *shelf.state();
    let held = if state.covering.is_some() { state.have } else { state.complete.map_or(0, |head| head.head.size) };
    let head = state.covering.or(state.complete).filter(|_| start < held).ok_or(BatchError::NotHeld)?;
    let most = u64::try_from(buf.len()).unwrap_or(u64::MAX) / u64::from(BYTES_PER_RECORD);
    let end = held.min(start.saturating_add(count.min(most.max(1))));

    let empty = envelope.frame(Batch { log: *log, start, head, proof: Proof::default(), records: &[] });
    // The longest proof to a head of that size, and the length prefixes of proof and records.
    let levels = usize::try_from(u64::BITS - head.head.size.leading_zeros()).unwrap_or(MAX_PROOF) + 1;
    let reserve = 1 + size_of_value(&empty).ok_or(BatchError::NoRoom)? + levels * Hash::LEN + 2 + Writer::LENGTH_PREFIX;
    let room = buf.get_mut(reserve..).ok_or(BatchError::NoRoom)?;
    let read = shelf.store.records(log, start, end, room).map_err(|error| BatchError::Store(shelf.trouble(error)))?;
    if read.count == 0 {
        return Err(BatchError::TooLong);
    }
    // A flipped bit in a length would make other records of them, or more. (The bytes were copied a moment
    // ago: walking over them costs next to nothing.)
    let framed = Records::new(room.get(..read.len).unwrap_or_default());
    if framed.skip(read.count).ok() != Some(Records::default()) {
        return Err(BatchError::Store(shelf.trouble(StoreError::Damaged)));
    }

    let mut hashes = [[0; Hash::LEN]; MAX_PROOF];
    let proven = shelf.prove(start + read.count, &mut hashes).map_err(BatchError::Store)?.ok_or(BatchError::NotHeld)?;
    let proof = Proof::new(hashes.get(..proven.len).unwrap_or_default()).ok_or(BatchError::NoRoom)?;
    let front = envelope.frame(Batch { log: *log, start, head: proven.head, proof, records: &[] });
    let mut writer = open(buf, &front).ok_or(BatchError::NoRoom)?;
    writer.put_bytes_from(reserve, read.len).ok_or(BatchError::NoRoom)?;
    Ok(writer.finish().len())
}

/// Begins a message whose last field, a byte string, is written in place.
#[inline(never)]
pub(super) fn open<'b>(buf: &'b mut [u8], frame: &Frame<'_>) -> Option<Writer<'b>> {
    let mut writer = Writer::new(buf);
    writer.put(&VERSION)?;
    writer.put(frame)?;
    writer.reopen()?;
    Some(writer)
}

pub(super) fn frame(id: RequestId, response: Response<'_>) -> Frame<'_> {
    Frame { id, message: Message::Response(response) }
}

pub(super) fn encode(id: RequestId, response: Response<'_>, buf: &mut [u8]) -> Result<usize, Refusal> {
    frame(id, response).encode(buf).map(<[u8]>::len).ok_or(Refusal::Busy)
}

pub(super) fn refusal_of(error: StoreError) -> Refusal {
    match error {
        StoreError::Dropped { first } => Refusal::Dropped { first },
        StoreError::UnknownLog | StoreError::Damaged | StoreError::Mismatch => Refusal::NotHeld,
        _ => Refusal::Busy,
    }
}
