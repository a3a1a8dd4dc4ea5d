//! What must hold, each with what is broken where it does not. Each table says itself what must hold of it; what must
//! hold between them, `Node::invariants` says.

/// The first that does not hold.
pub(crate) fn all(invariants: &[(bool, &'static str)]) -> Result<(), &'static str> {
    invariants.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
}
