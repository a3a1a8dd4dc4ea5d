//! One log as the store holds it, and as it is being judged. Whatever is built from it to be given out, or to be built
//! upon, is checked first: a store that rots must not make this node say what is false. Proofs are those of RFC 9162
//! section 2.1.4.
//!
//! A store that fails is a [`Trouble`], which cannot be turned into an error without saying which log is damaged.

use crate::head::{Head, SignedHead};
use crate::key::{LogId, Scheme, Vkey};
use crate::log::{
    Hash, MAX_PROOF, Position, ProveError, extend_consistency, prove_consistency, root_at, verify_consistency,
};
use crate::store::{Commit, LogState, Store, StoreError, StoredLog};

/// The slot of no log.
const NOWHERE: u32 = u32::MAX;

/// The store failed. At which log is kept, so that damage is noted of it: that is for whoever ends the call, and
/// there is no other way to get at the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Trouble {
    slot: u32,
    error: StoreError,
}

impl Trouble {
    pub(crate) fn at(slot: u32, error: StoreError) -> Self {
        Self { slot, error }
    }

    /// At no log.
    pub(crate) fn anywhere(error: StoreError) -> Self {
        Self { slot: NOWHERE, error }
    }

    pub(crate) fn is_not_ready(&self) -> bool {
        self.error == StoreError::NotReady
    }

    /// What was asked for is older than what is still held.
    pub(crate) fn is_dropped(&self) -> bool {
        matches!(self.error, StoreError::Dropped { .. })
    }

    /// What is held does not fit what it was.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self.error, StoreError::Damaged | StoreError::Mismatch)
    }

    /// The error, and the log that is damaged by it.
    pub(crate) fn into_parts(self) -> (StoreError, Option<u32>) {
        (self.error, (self.is_damage() && self.slot != NOWHERE).then_some(self.slot))
    }
}

pub(crate) struct Shelf<'a> {
    pub(crate) store: &'a mut dyn Store,
    pub(crate) slot: u32,
    pub(crate) log: LogId,
    pub(crate) stored: StoredLog,
}

/// A signed head that a size leads to, with the root there. The proof's hashes are where the caller wanted them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proven {
    pub(crate) head: SignedHead,
    pub(crate) root: Hash,
    /// How many hashes.
    pub(crate) len: usize,
}

impl<'a> Shelf<'a> {
    /// `None` where the store does not hold the log.
    pub(crate) fn open(store: &'a mut dyn Store, slot: u32, log: LogId) -> Result<Option<Self>, Trouble> {
        let stored = store.log(&log).map_err(|error| Trouble::at(slot, error))?;
        Ok(stored.map(|stored| Self { store, slot, log, stored }))
    }

    /// The same for a log that must be there, whose key must be the one that its id commits to.
    pub(crate) fn open_checked<S: Scheme>(store: &'a mut dyn Store, slot: u32, log: LogId) -> Result<Self, Trouble> {
        let error = match store.log(&log) {
            Ok(Some(stored)) if Vkey::<S>::trusted(stored.name, stored.key).id() == log => {
                return Ok(Self { store, slot, log, stored });
            }
            Ok(Some(_)) => StoreError::Damaged,
            Ok(None) => StoreError::UnknownLog,
            Err(error) => error,
        };
        Err(Trouble::at(slot, error))
    }

    pub(crate) fn vkey<S: Scheme>(&self) -> Vkey<S> {
        Vkey::trusted(self.stored.name, self.stored.key)
    }

    pub(crate) fn state(&self) -> &LogState {
        &self.stored.state
    }

    pub(crate) fn trouble(&self, error: StoreError) -> Trouble {
        Trouble::at(self.slot, error)
    }

    /// Takes the state from the store once more: what was done meanwhile may have changed it.
    pub(crate) fn reread(&mut self) -> Result<(), Trouble> {
        let stored = self.store.log(&self.log).and_then(|stored| stored.ok_or(StoreError::UnknownLog));
        self.stored = stored.map_err(|error| self.trouble(error))?;
        Ok(())
    }

    /// The root of the first `size` records.
    pub(crate) fn root_at(&mut self, size: u64) -> Result<Hash, Trouble> {
        root_of(self.store, &self.log, size).map_err(|error| self.trouble(error))
    }

    /// The signed head that `size` leads to (the complete head where it is large enough, the covering head
    /// beyond it), with our root there; the proof between them is written to `hashes`, and it is true. `None`
    /// where no signed head is known to cover so much.
    pub(crate) fn prove(&mut self, size: u64, hashes: &mut [[u8; Hash::LEN]]) -> Result<Option<Proven>, Trouble> {
        let Some(proven) = self.path(size, hashes)? else { return Ok(None) };
        let (head, proof) = (proven.head.head, hashes.get(..proven.len).unwrap_or_default());
        match verify_consistency(size, &proven.root, head.size, &head.root, proof) {
            Ok(()) => Ok(Some(proven)),
            // What a damaged store says is not given out.
            Err(_) => Err(self.trouble(StoreError::Damaged)),
        }
    }

    /// The same, unchecked: for what is checked as a part of something else.
    pub(super) fn path(&mut self, size: u64, hashes: &mut [[u8; Hash::LEN]]) -> Result<Option<Proven>, Trouble> {
        let (store, log, state) = (&mut *self.store, &self.log, &self.stored.state);
        match prove_to_head(store, log, state, size, hashes) {
            Ok(Some((head, len))) => Ok(Some(Proven { head, root: self.root_at(size)?, len })),
            Ok(None) => Ok(None),
            Err(error) => Err(self.trouble(error)),
        }
    }

    /// The proof that is kept for the covering head of `state`, to be kept on: how many hashes. What was read
    /// falsely once must not be written back, to be false for good.
    pub(crate) fn kept_proof(&mut self, state: &LogState, kept: &mut [[u8; Hash::LEN]]) -> Result<usize, Trouble> {
        let Some(Head { size, root }) = state.covering.map(|covering| covering.head) else { return Ok(0) };
        let len = self.store.proof(&self.log, kept).map_err(|error| self.trouble(error))?;
        if state.have > 0 {
            let held = self.root_at(state.have)?;
            let proof = kept.get(..len).unwrap_or_default();
            verify_consistency(state.have, &held, size, &root, proof).map_err(|_| self.trouble(StoreError::Damaged))?;
        }
        Ok(len)
    }

    /// Whether the log, as the store has it, leads from one head to another.
    #[inline(never)]
    pub(crate) fn leads(&mut self, before: &Head, head: &Head) -> Result<bool, Trouble> {
        let mut hashes = [[0; Hash::LEN]; MAX_PROOF];
        let mut proof = Emitted { hashes: &mut hashes, len: 0 };
        let read = reader(self.store, &self.log);
        let proven = prove_consistency(before.size, head.size, read, |hash| proof.push(hash));
        let len = proof.len;
        proven.map_err(|error| self.trouble(read_error(error)))?;
        let proof = hashes.get(..len).unwrap_or_default();
        Ok(verify_consistency(before.size, &before.root, head.size, &head.root, proof).is_ok())
    }

    pub(crate) fn commit(&mut self, commit: &Commit<'_>) -> Result<(), Trouble> {
        self.store.commit(&self.log, commit).map_err(|error| self.trouble(error))
    }
}

/// Hashes of a proof, written one after the other; those for which there is no room are only counted.
struct Emitted<'a> {
    hashes: &'a mut [[u8; Hash::LEN]],
    len: usize,
}

impl Emitted<'_> {
    fn push(&mut self, hash: Hash) {
        if let Some(slot) = self.hashes.get_mut(self.len) {
            *slot = *hash.as_bytes();
        }
        self.len += 1;
    }
}

/// The signed head that `size` leads to, and the length of the proof.
#[inline(never)]
fn prove_to_head(
    store: &mut dyn Store,
    log: &LogId,
    state: &LogState,
    size: u64,
    hashes: &mut [[u8; Hash::LEN]],
) -> Result<Option<(SignedHead, usize)>, StoreError> {
    let room = hashes.len();
    let mut proof = Emitted { hashes, len: 0 };
    let emit = |hash: Hash| proof.push(hash);
    let head = if let Some(head) = state.complete.filter(|complete| complete.head.size >= size) {
        prove_consistency(size, head.head.size, reader(store, log), emit).map_err(read_error)?;
        head
    } else {
        let Some(head) = state.covering.filter(|_| size <= state.have) else { return Ok(None) };
        let mut kept = [[0; Hash::LEN]; MAX_PROOF];
        let len = store.proof(log, &mut kept)?;
        let kept = kept.get(..len).unwrap_or_default();
        extend_consistency(size, state.have, head.head.size, kept, reader(store, log), emit).map_err(read_error)?;
        head
    };
    // Not for the longest proof, where a table of fixed capacity is the room.
    if proof.len <= room { Ok(Some((head, proof.len))) } else { Err(StoreError::Full) }
}

/// The root of the first `size` records of a log, of which nothing else is read.
#[inline(never)]
pub(crate) fn root_of(store: &mut dyn Store, log: &LogId, size: u64) -> Result<Hash, StoreError> {
    root_at(size, reader(store, log)).map_err(read_error)
}

/// Reads a log's hashes: one type, so that the code of what reads through it is there once.
fn reader(store: &mut dyn Store, log: &LogId) -> impl FnMut(Position) -> Result<Hash, StoreError> {
    |position| store.hash(log, position)
}

/// A proof cannot be built: the store's failure, or, if the sizes did not fit, its content.
pub(crate) fn read_error(error: ProveError<StoreError>) -> StoreError {
    match error {
        ProveError::Read(error) => error,
        ProveError::OutOfRange | ProveError::WrongLength => StoreError::Damaged,
    }
}
