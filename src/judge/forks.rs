//! Two histories: the proof that a log's writer signed both, built from what is held and checked by the stand-alone
//! verifier ([`ForkProof::verify`]). Where it does not pass, it is our own side that does not hold: the store is
//! damaged, and nobody is accused. Freezing the log is left to `node`.

use super::shelf::{Proven, Shelf, Trouble};
use crate::head::{ForkProof, SignedHead};
use crate::key::Scheme;
use crate::log::Hash;
use crate::store::StoreError;

/// One side of a contradiction: a signed head, the root it has at a size, and how that leads to it.
pub(crate) struct Side<'a> {
    pub(crate) head: SignedHead,
    pub(crate) root: Hash,
    pub(crate) proof: &'a [[u8; Hash::LEN]],
}

/// What became of an attempt to prove a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// There is none that could be shown.
    None,
    /// What the store holds does not lead to the head it holds.
    Damaged,
    /// It is shown, and the store has the proof.
    Proven,
}

/// Builds, checks and keeps the proof that `theirs` contradicts what is held at `size`. (Keeping it is the one thing
/// that is done here: the proof is too large to be handed on where memory is short.)
#[inline(never)]
pub(crate) fn contradict<S: Scheme>(
    shelf: &mut Shelf<'_>,
    size: u64,
    theirs: &Side<'_>,
    hashes: &mut [[u8; Hash::LEN]],
) -> Result<Contradiction, Trouble> {
    let Some(ours) = our_side(shelf, size, theirs.root, hashes)? else { return Ok(Contradiction::None) };
    let heads = [ours.head, theirs.head];
    let (roots, proofs) = ([ours.root, theirs.root], [ours.proof, theirs.proof]);
    let proof = ForkProof { heads, size, roots, proofs };
    if proof.verify(&shelf.vkey::<S>()).is_err() {
        // Their side was checked before: it is ours that does not hold.
        return Ok(Contradiction::Damaged);
    }
    keep(shelf, &proof)?;
    Ok(Contradiction::Proven)
}

#[inline(never)]
fn keep(shelf: &mut Shelf<'_>, proof: &ForkProof<'_>) -> Result<(), Trouble> {
    let mut buf = [0; ForkProof::MAX_LEN];
    let len = proof.encode(&mut buf).ok_or(shelf.trouble(StoreError::Mismatch))?;
    let kept = shelf.store.put_fork(&shelf.log, buf.get(..len).unwrap_or_default());
    kept.map_err(|error| shelf.trouble(error))
}

/// Our own signed head at or beyond `size` with another root there than `other`, and how that leads to it.
#[inline(never)]
fn our_side<'a>(
    shelf: &mut Shelf<'_>,
    size: u64,
    other: Hash,
    hashes: &'a mut [[u8; Hash::LEN]],
) -> Result<Option<Side<'a>>, Trouble> {
    let state = shelf.state();
    let exact = [state.complete, state.covering, state.unproven].into_iter().flatten();
    if let Some(head) = exact.into_iter().find(|known| known.head.size == size && known.head.root != other) {
        return Ok(Some(Side { head, root: head.head.root, proof: &[] }));
    }
    if size > state.have {
        return Ok(None);
    }
    match shelf.path(size, hashes) {
        Ok(Some(Proven { head, root, len })) if root != other => {
            Ok(Some(Side { head, root, proof: hashes.get(..len).unwrap_or_default() }))
        }
        Ok(_) => Ok(None),
        Err(trouble) if trouble.is_dropped() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
