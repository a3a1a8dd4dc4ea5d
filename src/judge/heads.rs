//! A signed head against what is held of its log: the root at its size is ours or another's, or cannot be told yet, or
//! no more. The signature has been checked before, and what follows from the verdict stands in `node::evidence`.

use super::shelf::{Shelf, Trouble};
use crate::head::SignedHead;

/// What a head whose signature is true turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It says what is known already.
    Known,
    /// What is held leads to it, and no head as large was known.
    Confirms,
    /// Another root at its size is held: two histories were signed.
    Contradicts,
    /// It is older than what is still held, and cannot be compared.
    TooOld,
    /// It is beyond what is held.
    Ahead {
        /// Another head of its size is known.
        has_rival: bool,
        /// It is to be kept: the one soonest checkable is, so that an invented size gives way to any that is real.
        is_soonest: bool,
    },
}

/// Holds a head against what is held.
pub(crate) fn hold(shelf: &mut Shelf<'_>, have: u64, signed: &SignedHead) -> Result<Verdict, Trouble> {
    let head = signed.head;
    if head.size > have {
        let state = shelf.state();
        let is_rival = |known: SignedHead| known.head.size == head.size && known.head.root != head.root;
        return Ok(Verdict::Ahead {
            has_rival: [state.covering, state.unproven].into_iter().flatten().any(is_rival),
            is_soonest: state.unproven.is_none_or(|unproven| unproven.head.size > head.size),
        });
    }
    let root = match shelf.root_at(head.size) {
        Err(trouble) if trouble.is_dropped() => return Ok(Verdict::TooOld),
        root => root?,
    };
    if root != head.root {
        return Ok(Verdict::Contradicts);
    }
    let complete = shelf.state().complete.map_or(0, |complete| complete.head.size);
    Ok(if head.size > complete { Verdict::Confirms } else { Verdict::Known })
}
