//! What must hold, each with what is broken where it does not.

/// The first that does not hold.
pub(crate) fn all(invariants: &[(bool, &'static str)]) -> Result<(), &'static str> {
    invariants.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
}
