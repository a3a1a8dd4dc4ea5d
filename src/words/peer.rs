//! Whom a node talks to: a number, for a driver's own table of addresses and connections.

/// A peer of one node, as long as it is one: an id is not given to another peer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u32);

impl PeerId {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// A number to index a driver's table by: 0 for the first peer ever added to this node, then 1, …
    pub const fn get(self) -> u32 {
        self.0
    }
}
