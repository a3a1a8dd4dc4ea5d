//! How a node whose log exists goes on with it, and whose answers a writer waits for that may have forgotten what it
//! signed. Only the operator knows; the wrong word signs a second history.

/// How a node whose log exists is to be started; the operator knows.
///
/// ```
/// use verisoo::local::exchange;
/// use verisoo::store::MemoryStore;
/// use verisoo::{Answers, Config, Error, Identity, Instant, Node, Notice, Start};
///
/// # type Member = (Node, MemoryStore);
/// # let (now, config) = (Instant::ZERO, Config::default());
/// let anna_is = Identity::from_seed("anna.example", &[1; 32])?;
/// let bob_is = Identity::from_seed("bob.example", &[2; 32])?;
/// let mut anna: Member = (Node::new(anna_is.clone(), config.clone(), [3; 32], now), MemoryStore::new());
/// let mut bob: Member = (Node::new(bob_is, config.clone(), [4; 32], now), MemoryStore::new());
/// anna.0.append(&mut anna.1, b"the first")?;
/// anna.0.publish(&mut anna.1)?;
/// bob.0.add_peer(&mut bob.1, *anna.0.vkey())?;
/// exchange(now, &mut [&mut bob, &mut anna])?;
///
/// // Anna's disk is lost. Signing on from nothing would be a second history, so she asks first.
/// let mut store = MemoryStore::new();
/// let node = Node::open(anna_is, config, [5; 32], now, &mut store, Start::Recover(Answers::All))?;
/// let mut anna: Member = (node, store);
/// anna.0.add_peer(&mut anna.1, *bob.0.vkey())?;
/// assert_eq!(anna.0.recovery().unwrap().needed, 1);
/// assert_eq!(anna.0.append(&mut anna.1, b"too early"), Err(Error::Recovering));
///
/// let notices = exchange(now, &mut [&mut anna, &mut bob])?;
/// assert!(notices.contains(&(0, Notice::Recovered { size: 1 })));
/// assert_eq!(anna.1.record(&anna.0.id(), 0), Some(&b"the first"[..]));
/// assert_eq!(anna.0.append(&mut anna.1, b"the second")?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// The store is the very one the node wrote to last, and lost nothing: writing goes on from there.
    Resume,
    /// Anything else: an empty disk, a backup, a copy, or doubt. The node reads and serves, and writes only
    /// when enough peers have said what they know of its log and it has been taken back from them.
    Recover(Answers),
}

/// Which peers must have answered, with a fresh signed status, before a recovering node may write. A peer that
/// is itself recovering, or that does not follow this node's log, does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answers {
    /// All that are configured, at least one.
    All,
    /// This many, at least one: the operator takes it on himself that no other peer knows more. With more than
    /// there are peers, the recovery does not end before others are added.
    AtLeast(u16),
}
