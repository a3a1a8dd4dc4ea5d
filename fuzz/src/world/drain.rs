//! Liveness: once its peers are honest and its store works, the node catches up or proves the fork.

use std::time::Duration;

use super::{FORKER, HONEST, World};

impl World {
    /// From here on all peers are honest and the store works: the node catches up with everybody, or
    /// proves the fork, before so many rounds have passed.
    pub fn drain(&mut self, rounds: u64) {
        self.store.mend();
        self.node.resume();
        let end = self.now + Duration::from_secs(rounds);
        loop {
            self.poll();
            for (peer, request) in std::mem::take(&mut self.sent) {
                let reply = self.reply(peer, &request, None);
                self.answer(peer, &reply);
            }
            self.poll();
            if !self.sent.is_empty() {
                continue;
            }
            self.check();
            let behind = self.what_is_missing();
            let Some(behind) = behind else { return };
            assert!(self.now < end, "{behind}: {:#?}", self.node);
            let wake = self.node.next_wake().expect("a node with peers has something to wait for");
            assert!(wake > self.now, "the node wakes itself for nothing");
            self.now = wake;
        }
    }

    /// What keeps the node from having everything.
    fn what_is_missing(&self) -> Option<&'static str> {
        for at in HONEST {
            let writer = &self.writers[at];
            if self.node.log(&writer.id()).expect("followed").complete.size < writer.size() {
                return Some("behind an honest writer");
            }
        }
        let forker = self.node.log(&self.writers[FORKER[0]].id()).expect("followed");
        let longest = FORKER.map(|at| self.writers[at].size()).into_iter().max();
        if self.has_forked() && !forker.is_forked {
            return Some("a fork was not proven");
        }
        if forker.is_forked && self.told.borrow().len() < self.peers.len() {
            return Some("the fork's proof was not told to all");
        }
        if !self.has_forked() && Some(forker.complete.size) < longest {
            return Some("behind the forker, which has not forked yet");
        }
        let own = self.node.log(&self.own.id()).expect("its own");
        if self.node.check_writing().is_err() || own.complete.size < self.own.size() {
            return Some("its own log is not published");
        }
        None
    }
}
