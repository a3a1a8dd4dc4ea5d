//! One node of a net and its store, and what must hold of the two.

use std::collections::BTreeMap;

use verisoo::store::{LogState, MemoryStore, Store};
use verisoo::{Config, Error, Hash, Head, Instant, LogId, Node, PeerId, Start, Tables};

use super::identity;

/// A store whose contents can be compared with what its node says.
pub trait TestStore: Store {
    /// What is held; `None` where it is not to be compared, since the store answers something else.
    fn held(&mut self) -> Option<&mut MemoryStore>;

    /// Whether calls can fail. (Then what was there before each is kept, to be compared with what is there after it.)
    fn may_fail(&self) -> bool {
        false
    }
}

impl TestStore for MemoryStore {
    fn held(&mut self) -> Option<&mut MemoryStore> {
        Some(self)
    }
}

pub struct Member<T: Tables, S> {
    pub node: Node<T>,
    pub store: S,
    pub name: String,
    pub config: Config,
    /// Requests sent so far.
    pub requests: usize,
    pub is_up: bool,
    /// Which member a peer's messages go to.
    pub routes: BTreeMap<PeerId, usize>,
}

impl<T: Tables, S: TestStore> Member<T, S> {
    /// Makes a call, and tells what is wrong after it: on `Err`, everything is as it was.
    pub fn call<R>(
        &mut self,
        call: impl FnOnce(&mut Node<T>, &mut dyn Store) -> Result<R, Error>,
    ) -> (Result<R, Error>, Option<&'static str>) {
        let before = self.store.may_fail().then(|| (self.node.clone(), self.store.held().cloned()));
        let result = call(&mut self.node, &mut self.store);
        let complaint = match before {
            Some((node, held)) if result.is_err() => self.change_since(&node, held),
            _ => None,
        };
        (result, complaint)
    }

    fn change_since(&mut self, node: &Node<T>, held: Option<MemoryStore>) -> Option<&'static str> {
        if self.node != *node {
            return Some("the node changed");
        }
        let own = self.node.id();
        let now = self.store.held().cloned();
        let is_same = held.map(|held| without_empty(held, &own)) == now.map(|held| without_empty(held, &own));
        if is_same { None } else { Some("the store changed") }
    }

    /// Where node and store do not say the same.
    pub fn disagreement(&mut self) -> Option<&'static str> {
        let held = self.store.held()?;
        for log in self.node.logs() {
            let Some(stored) = held.log(&log.log).unwrap() else {
                if log.log == self.node.id() && log.have == 0 {
                    continue;
                }
                return Some("the store lacks a log");
            };
            let complete = stored.state.complete.map_or(Head::EMPTY, |complete| complete.head);
            if (stored.state.have, stored.origin, stored.forked) != (log.have, log.origin, log.is_forked)
                || complete != log.complete
                || stored.bytes != log.bytes
            {
                return Some("node and store disagree on a log");
            }
        }
        let mut after = None;
        while let Some(log) = held.next_log(after.as_ref()).unwrap() {
            if self.node.log(&log).is_none() {
                return Some("the node lacks a log");
            }
            after = Some(log);
        }
        None
    }

    /// The root that a node opened on this store would have.
    pub fn root_of_store(&mut self) -> Hash {
        let mut held = self.store.held().expect("it can be looked into").clone();
        let (identity, config) = (identity(&self.name), self.config.clone());
        Node::<T>::open(identity, config, [0; 32], Instant::ZERO, &mut held, Start::Resume).unwrap().root()
    }
}

/// What is held, but for an own log in which nothing is: that says no more than none at all.
fn without_empty(mut held: MemoryStore, own: &LogId) -> MemoryStore {
    if held.log(own).unwrap().is_some_and(|stored| stored.state == LogState::default()) {
        held.remove(own).unwrap();
    }
    held
}
