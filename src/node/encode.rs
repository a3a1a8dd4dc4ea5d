//! The wire bytes of commands, written when they are sent: from the state as it is then.

use super::evidence::prove_to_head;
use super::logs::root_of;
use super::{Ask, Command, Node};
use crate::codec::{Writer, size_of_value};
use crate::error::Error;
use crate::log::{MAX_PROOF, verify_consistency};
use crate::store::{Store, StoreError};
use crate::tables::Tables;
use crate::wire::{
    BYTES_PER_RECORD, Batch, Frame, Message, Nonce, Proof, Push, Request, RequestId, Response, StatusRequest, VERSION,
};
use crate::{Hash, LogId, Records};

/// The message that a batch travels in.
#[derive(Clone, Copy)]
pub(super) enum Envelope {
    Answer { id: RequestId },
    Push { id: RequestId, from: LogId, nonce: Nonce },
}

impl Envelope {
    fn frame(self, batch: Batch<'_>) -> Frame<'_> {
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
    Store(StoreError),
}

impl<T: Tables> Node<T> {
    /// Writes the frame of a command to the front of `buf`, which should have room for
    /// [`Config::max_message`](crate::Config) bytes. `None` for a notice, and for a request that has been
    /// overtaken meanwhile: then there is nothing to send.
    ///
    /// Errors: [`Error::BufferTooSmall`], [`Error::Store`]; the request then stays outstanding until its
    /// deadline.
    #[inline(never)]
    pub fn encode<'b>(
        &mut self,
        store: &mut dyn Store,
        command: &Command,
        buf: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, Error> {
        let Some((peer, id)) = command.request() else { return Ok(None) };
        let Some((_, asked)) = self.outstanding(peer, id) else { return Ok(None) };
        let Some(known) = self.peer_ref(peer) else { return Ok(None) };
        let (limit, takes) = (known.answer_limit(&self.config), known.max_message.min(self.config.max_message));
        let request = match asked {
            Ask::Status => self.status_request(peer, id, limit),
            Ask::Proof { log, size } => Request::Proof { log, size, limit },
            Ask::Records { log, start, count } => Request::Records { log, start, count, limit },
            Ask::Key { log } => Request::Key { log },
            Ask::Fork { log } => Request::Fork { log },
            Ask::Push { log, start } => {
                let takes = usize::try_from(takes).unwrap_or(usize::MAX).min(buf.len());
                let written = self.encode_push(store, id, &log, start, buf.get_mut(..takes).unwrap_or_default());
                if let Err(Error::Store(error @ (StoreError::Damaged | StoreError::Mismatch))) = written {
                    // There is nothing to send, and the peer is not to be held to an answer.
                    self.notes.store = Some(error);
                    self.drop_requests(|request| request.id == id);
                    self.cache.idle_until = None;
                    return Ok(None);
                }
                return Ok(buf.get(..written?));
            }
            Ask::PushFork { log } => {
                self.settle(store)?;
                let envelope = Frame { id, message: Message::Request(Request::PushFork { log, proof: &[] }) };
                let Some(len) = put_fork(store, &log, &envelope, buf)? else { return Ok(None) };
                return buf.get(..len).map(Some).ok_or(Error::BufferTooSmall);
            }
        };
        let frame = Frame { id, message: Message::Request(request) };
        frame.encode(buf).map(Some).ok_or(Error::BufferTooSmall)
    }

    #[inline(never)]
    fn status_request(&mut self, peer: crate::PeerId, id: RequestId, limit: u32) -> Request<'static> {
        let digest = self.digest();
        let is_pending = self.views.iter().any(|view| view.peer == peer);
        let known = self.peer_ref(peer);
        // What was found then is dealt with, and nothing changed here since: if nothing did there either,
        // there is nothing to compare.
        let compared = known.and_then(|known| known.compared).filter(|compared| compared.ours == digest && !is_pending);
        let after = known.and_then(|known| known.listing.walk()).and_then(|walk| walk.after);
        Request::Status(StatusRequest {
            asker: self.own,
            nonce: self.nonce(id),
            digest,
            compared: compared.map(|compared| compared.theirs),
            after,
            limit,
        })
    }

    #[inline(never)]
    fn encode_push(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        start: u64,
        buf: &mut [u8],
    ) -> Result<usize, Error> {
        if !cfg!(verisoo_bug = "pushed-before-durable") {
            self.settle(store)?;
        }
        let (from, nonce) = (self.own, self.nonce(id));
        let envelope = Envelope::Push { id, from, nonce };
        match self.put_batch(store, log, start, u64::MAX, buf, envelope) {
            Ok(len) => Ok(len),
            // A head can be offered without the records that do not fit, or that are not held any more.
            Err(BatchError::NotHeld | BatchError::TooLong | BatchError::Store(StoreError::Dropped { .. })) => {
                let head = store.log(log)?.and_then(|stored| stored.state.complete).ok_or(Error::UnknownLog)?;
                let batch = Batch { log: *log, start: head.head.size, head, proof: Proof::default(), records: &[] };
                envelope.frame(batch).encode(buf).map(<[u8]>::len).ok_or(Error::BufferTooSmall)
            }
            Err(BatchError::NoRoom) => Err(Error::BufferTooSmall),
            Err(BatchError::Store(error)) => Err(error.into()),
        }
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
    log: &LogId,
    start: u64,
    count: u64,
    buf: &mut [u8],
    envelope: Envelope,
) -> Result<usize, BatchError> {
    let state = store.log(log).map_err(BatchError::Store)?.ok_or(BatchError::NotHeld)?.state;
    let held = if state.covering.is_some() { state.have } else { state.complete.map_or(0, |head| head.head.size) };
    let head = state.covering.or(state.complete).filter(|_| start < held).ok_or(BatchError::NotHeld)?;
    let most = u64::try_from(buf.len()).unwrap_or(u64::MAX) / u64::from(BYTES_PER_RECORD);
    let end = held.min(start.saturating_add(count.min(most.max(1))));

    let empty = envelope.frame(Batch { log: *log, start, head, proof: Proof::default(), records: &[] });
    // The longest proof to a head of that size, and the length prefixes of proof and records.
    let levels = usize::try_from(u64::BITS - head.head.size.leading_zeros()).unwrap_or(MAX_PROOF) + 1;
    let reserve = 1 + size_of_value(&empty).ok_or(BatchError::NoRoom)? + levels * Hash::LEN + 2 + Writer::LENGTH_PREFIX;
    let room = buf.get_mut(reserve..).ok_or(BatchError::NoRoom)?;
    let read = store.records(log, start, end, room).map_err(BatchError::Store)?;
    if read.count == 0 {
        return Err(BatchError::TooLong);
    }
    // A flipped bit in a length would make other records of them, or more. (The bytes were copied a moment
    // ago: walking over them costs next to nothing.)
    let framed = Records::new(room.get(..read.len).unwrap_or_default());
    if framed.skip(read.count).ok() != Some(Records::default()) {
        return Err(BatchError::Store(StoreError::Damaged));
    }

    let end = start + read.count;
    let mut hashes = [[0; Hash::LEN]; MAX_PROOF];
    let proven = prove_to_head(store, log, &state, end, &mut hashes).map_err(BatchError::Store)?;
    let (head, len) = proven.ok_or(BatchError::NotHeld)?;
    let proof = hashes.get(..len).unwrap_or_default();
    let root = root_of(store, log, end).map_err(BatchError::Store)?;
    if verify_consistency(end, &root, head.head.size, &head.head.root, proof).is_err() {
        // What a damaged store says is not sent.
        return Err(BatchError::Store(StoreError::Damaged));
    }
    let proof = Proof::new(proof).ok_or(BatchError::NoRoom)?;
    let front = envelope.frame(Batch { log: *log, start, head, proof, records: &[] });
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
