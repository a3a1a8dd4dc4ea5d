//! Safety: everything that must hold after each step, and of everything that leaves the node.

use std::collections::BTreeMap;

use verisoo::head::ForkProof;
use verisoo::log::{MAX_PROOF, leaf_hash, node_hash, root_at};
use verisoo::sim::{Disk, SimScheme};
use verisoo::store::{LogState, Origin, Store, StoredLog};
use verisoo::wire::{Batch, Frame, Message, Push, PushWord, Request, Response, Signed, StatusBody, StatusRequest};
use verisoo::{Config, Hash, Head, Introductions, LogId, LogInfo, Notice, SignedHead};

use super::super::net::signing::signed_text;
use super::super::verifier::is_consistent;
use super::super::writer::Writer;
use super::{FORKER, TestNode, World, to_bytes};

impl World {
    /// Everything that must hold after each step.
    pub fn check(&mut self) {
        assert_eq!(self.node.invariants(), Ok(()));
        self.check_tables();
        if self.expects_writing && !self.store.has_rotted {
            assert_eq!(self.node.check_writing(), Ok(()), "the node was stopped from writing");
        }
        self.check_root();
        let mut disk = std::mem::take(&mut self.store.disk);
        for info in self.node.logs().collect::<Vec<_>>() {
            self.check_log(disk.contents(), &info);
        }
        self.store.disk = disk;
        for log in self.frozen.keys() {
            assert!(self.node.log(log).is_none_or(|log| log.is_forked), "a frozen log thawed");
        }
    }

    /// The root over all logs is what its definition says, whatever the node keeps of it.
    fn check_root(&mut self) {
        let leaf = |info: LogInfo| {
            let Head { size, root } = info.complete;
            let text = match size {
                _ if info.is_forked => [info.log.as_bytes(), &b"forked"[..]].concat(),
                0 => return None,
                size => [info.log.as_bytes(), &size.to_le_bytes()[..], root.as_bytes()].concat(),
            };
            Some((info.log, leaf_hash(&text)))
        };
        let mut leaves: Vec<_> = self.node.logs().filter_map(leaf).collect();
        leaves.sort_unstable_by_key(|(log, _)| *log);
        assert_eq!(self.node.root(), sparse_root(&leaves, 0).unwrap_or(Hash::EMPTY_ROOT));
    }

    /// Memory is bounded, whatever peers do.
    fn check_tables(&self) {
        check_bounds(&self.node, &self.config);
        let Introductions::Accept { logs: most, .. } = self.config.introductions else { return };
        let mut introduced = BTreeMap::new();
        for info in self.node.logs() {
            if let Origin::Introduced(by) = info.origin {
                let count: &mut usize = introduced.entry(by).or_default();
                *count += 1;
                assert!(*count <= most, "a peer introduced more logs than it may");
            }
        }
    }

    fn check_log(&mut self, store: &mut dyn Store, info: &LogInfo) {
        let Some(stored) = store.log(&info.log).expect("no fault") else {
            assert_eq!((info.have, info.log), (0, self.own.id()));
            return;
        };
        assert!(!info.is_damaged || self.store.has_rotted);
        let state = stored.state;
        let complete = state.complete.map_or(Head::EMPTY, |signed| signed.head);
        assert_eq!((info.have, info.complete, info.is_forked), (state.have, complete, stored.forked));
        assert!(complete.size <= state.have);

        let histories = self.histories(&info.log);
        let mut framed = vec![0; usize::try_from(stored.bytes).expect("small")];
        let read = store.records(&info.log, 0, state.have, &mut framed).expect("no fault");
        assert_eq!(read.count, state.have);
        let root = root_at(state.have, |position| store.hash(&info.log, position)).expect("no fault");
        assert!(
            state.have == 0
                || histories.iter().any(|writer| writer.has(0, &framed[..read.len]) && writer.root(state.have) == root),
            "the node holds of {} what nobody wrote, {} records",
            info.log,
            state.have
        );
        for signed in [state.complete, state.covering, state.unproven].into_iter().flatten() {
            assert!(
                histories.iter().any(|writer| is_head_of(&signed, writer)),
                "the node took a head that its writer did not sign"
            );
        }
        if let Some(Head { size, root }) = state.covering.map(|signed| signed.head) {
            let mut proof = [[0; Hash::LEN]; MAX_PROOF];
            let count = store.proof(&info.log, &mut proof).expect("no fault");
            let leads =
                |writer: &&Writer| is_consistent(state.have, &writer.root(state.have), size, &root, &proof[..count]);
            assert!(
                state.have == 0 || histories.iter().any(|writer| state.have <= writer.size() && leads(writer)),
                "the proof kept is false"
            );
        }
        let least = self.least.entry(info.log).or_default();
        assert!(state.have >= least.0 && complete.size >= least.1, "a log became shorter");
        *least = (state.have, complete.size);
        self.check_frozen(store, &info.log, stored.forked, state.have);
    }

    /// A log is not followed any more: what is held of it may begin anew.
    pub fn forget(&mut self, log: &LogId) {
        self.least.remove(log);
        self.frozen.remove(log);
    }

    /// Power was lost: what was durable is still there, the rest may be gone.
    pub fn remember_durable(&mut self, mut durable: impl FnMut(&LogId) -> Option<StoredLog>) {
        for (log, least) in &mut self.least {
            let state = durable(log).map_or(LogState::default(), |stored| stored.state);
            *least = (state.have, state.complete.map_or(0, |complete| complete.head.size));
        }
        self.frozen.retain(|log, _| durable(log).is_some_and(|stored| stored.forked));
    }

    fn check_frozen(&mut self, store: &mut dyn Store, log: &LogId, is_forked: bool, have: u64) {
        if !is_forked {
            assert!(!self.frozen.contains_key(log), "a fork proof was forgotten");
            return;
        }
        self.assert_forker(log);
        let mut buf = [0; ForkProof::MAX_LEN];
        let len = store.fork(log, &mut buf).expect("no fault").expect("a frozen log has its proof");
        let proof = ForkProof::decode(&buf[..len]).expect("a kept proof can be read");
        assert_eq!(proof.verify(self.writers[FORKER[0]].identity.vkey()), Ok(()));
        assert_eq!(*self.frozen.entry(*log).or_insert(have), have, "a frozen log grew");
    }

    pub(super) fn check_notice(&self, notice: Notice) {
        match notice {
            Notice::ForkDetected { log } => self.assert_forker(&log),
            Notice::WritingStopped => panic!("nobody else has the node's key"),
            Notice::LogDamaged { .. } => assert!(self.store.has_rotted, "nothing is damaged"),
            Notice::StoreFailed { error } => assert!(self.store.has_failed, "the store has not failed: {error}"),
            _ => {}
        }
    }

    fn assert_forker(&self, log: &LogId) {
        assert_eq!(*log, self.writers[FORKER[0]].id(), "an honest writer is accused");
        assert!(self.has_forked(), "a writer is accused of what it has not done yet");
    }

    /// What may leave the node: true, durable, and of what it holds.
    pub(super) fn check_sent(&mut self, bytes: &[u8]) {
        let frame = Frame::decode(bytes).expect("what a node says is a frame");
        match frame.message {
            Message::Request(Request::Push(push)) => {
                assert_eq!(push.from, self.own.id());
                self.check_batch(&push.batch);
            }
            Message::Request(Request::PushFork { log, proof }) => self.check_fork(&log, proof),
            Message::Request(_) => {}
            Message::Response(_) => panic!("a request is no response"),
        }
    }

    pub(super) fn check_answer(&mut self, request: &Request<'_>, response: &Response<'_>, len: usize) {
        let limit = match request {
            Request::Status(asked) => asked.limit,
            Request::Proof { limit, .. } | Request::Records { limit, .. } => *limit,
            _ => u32::MAX,
        };
        let is_refusal = matches!(response, Response::Refused(_));
        assert!(is_refusal || len <= limit.min(self.config.max_message) as usize, "longer than was asked for");
        match (request, response) {
            (_, Response::Refused(_)) => {}
            (Request::Status(asked), Response::Status(status)) => {
                self.check_status(asked, status);
            }
            (Request::Proof { log, size, .. }, Response::Proof(answer)) => {
                assert_eq!((answer.log, answer.size), (*log, *size));
                let Head { size: new, root } = answer.head.head;
                let proof = answer.proof.hashes();
                let is_true = *size == 0 || is_consistent(*size, &answer.root, new, &root, proof);
                assert!(is_true || self.store.is_rotting(), "a false proof");
                self.check_head(log, &answer.head);
            }
            (Request::Records { log, start, count, .. }, Response::Records(batch)) => {
                assert_eq!((batch.log, batch.start), (*log, *start));
                let records = verisoo::Records::new(batch.records).iter().count() as u64;
                assert!(records > 0 && records <= *count || *count == 0);
                self.check_batch(batch);
            }
            (Request::Key { log }, Response::Key { log: answered, name, key }) => {
                assert_eq!(log, answered);
                let vkey = verisoo::Vkey::<SimScheme>::new(verisoo::Name::new(name).expect("a name"), *key);
                assert_eq!(vkey.expect("a key").id(), *log);
            }
            (Request::Fork { log }, Response::Fork { proof, .. }) => self.check_fork(log, proof),
            (Request::Push(push), Response::Pushed(word)) => self.check_word(push, word),
            (Request::PushFork { log, .. }, Response::PushedFork { .. }) => {
                assert!(self.store.durable(log).is_some_and(|log| log.forked), "not durable");
            }
            (request, response) => panic!("{request:?} is answered by {response:?}"),
        }
    }

    fn check_status(&mut self, asked: &StatusRequest, status: &Signed<'_>) {
        let text = signed_text(*b"verisoo/status", &self.own.id(), &asked.asker, &asked.nonce, status.body);
        assert!(self.node.vkey().verify(&text, &status.signature));
        let body = StatusBody::decode(status.body).expect("a status");
        if let Some(own) = body.own {
            let histories = self.histories(&asked.asker);
            let longest = histories.iter().map(|writer| writer.size()).max();
            assert!(longest >= Some(own.have), "more than there is");
        }
        let mut leaves = Vec::new();
        for entry in body.entries.iter() {
            let entry = entry.expect("an entry");
            let unproven = entry.unproven.map(|signed| signed.head);
            let said = (entry.log, entry.complete, entry.have, entry.covering, unproven, entry.forked);
            leaves.push((entry.log, leaf_hash(&to_bytes(&said))));
            assert!(asked.after < Some(entry.log));
            let have = self.store.durable(&entry.log).map_or(0, |log| log.state.have);
            assert!(entry.have <= have && entry.complete.size <= entry.have, "it is not durable");
            if let Some(unproven) = entry.unproven {
                self.check_head(&entry.log, &unproven);
            }
        }
        if body.listed && !body.more && asked.after.is_none() {
            assert_eq!(body.digest, sparse_root(&leaves, 0).unwrap_or(Hash::EMPTY_ROOT), "the digest is another's");
        }
    }

    fn check_word(&mut self, push: &Push<'_>, word: &Signed<'_>) {
        let text = signed_text(*b"verisoo/pushed", &self.own.id(), &push.from, &push.nonce, word.body);
        assert!(self.node.vkey().verify(&text, &word.signature));
        let word = PushWord::decode(word.body).expect("a word");
        assert_eq!(word.log, push.batch.log);
        let have = self.store.durable(&word.log).map_or(0, |log| log.state.have);
        assert!(word.complete.size <= word.have && word.have <= have, "it is not durable");
    }

    fn check_batch(&mut self, batch: &Batch<'_>) {
        self.check_head(&batch.log, &batch.head);
        let count = verisoo::Records::new(batch.records).iter().count() as u64;
        let end = batch.start + count;
        if count > 0 {
            let synced = self.store.durable(&batch.log).map_or(0, |log| log.state.have);
            assert!(end <= synced, "records are sent that are not durable");
            if self.store.is_rotting() {
                // A store that reads falsely is found out by those who verify what it read.
                return;
            }
            let histories = self.histories(&batch.log);
            let history = histories.iter().find(|writer| writer.has(batch.start, batch.records));
            let history = history.expect("records are sent that nobody wrote");
            let Head { size, root } = batch.head.head;
            let any = histories.iter().filter(|writer| writer.has(batch.start, batch.records));
            let leads =
                any.into_iter().any(|writer| is_consistent(end, &writer.root(end), size, &root, batch.proof.hashes()));
            assert!(leads, "a false batch of {}", history.identity.vkey());
        }
    }

    /// A head that leaves the node is signed and durable; of its own log there is never more than one
    /// history.
    fn check_head(&mut self, log: &LogId, signed: &SignedHead) {
        let histories = self.histories(log);
        assert!(histories.iter().any(|writer| is_head_of(signed, writer)), "a head is shown that nobody signed");
        let state = self.store.durable(log).expect("a log that is stored").state;
        let durable = [state.complete, state.covering, state.unproven];
        assert!(
            durable.contains(&Some(*signed)),
            "a head is shown that is not durable: {signed:?}, {state:?}, own {}",
            *log == self.own.id()
        );
        if *log == self.own.id() {
            self.shown.insert(signed.head.size, *signed);
        }
    }

    fn check_fork(&self, log: &LogId, proof: &[u8]) {
        self.assert_forker(log);
        let proof = ForkProof::decode(proof).expect("a fork proof");
        assert_eq!(proof.verify(self.writers[FORKER[0]].identity.vkey()), Ok(()));
    }
}

fn is_head_of(signed: &SignedHead, writer: &Writer) -> bool {
    signed.head.size <= writer.size()
        && writer.head(signed.head.size) == signed.head
        && signed.verify(writer.identity.vkey()).is_ok()
}

/// The root over leaves in order of their ids, by the bits of those: a subtree with one leaf is that leaf.
fn sparse_root(leaves: &[(LogId, Hash)], bit: usize) -> Option<Hash> {
    if let [] | [_] = leaves {
        return leaves.first().map(|(_, leaf)| *leaf);
    }
    let is_left = |(log, _): &(LogId, Hash)| log.as_bytes()[bit / 8] & (0x80 >> (bit % 8)) == 0;
    let (left, right) = leaves.split_at(leaves.partition_point(is_left));
    match (sparse_root(left, bit + 1), sparse_root(right, bit + 1)) {
        (Some(left), Some(right)) => Some(node_hash(&left, &right)),
        (left, right) => left.or(right),
    }
}

/// The node's tables keep to what they were given.
pub fn check_bounds(node: &TestNode, config: &Config) {
    assert!(node.logs().count() <= config.max_logs && node.peers().count() <= config.max_peers);
    assert!(node.outstanding_requests() <= config.max_requests, "{} requests", node.outstanding_requests());
    assert!(node.remembered_views() <= config.max_views, "{} views", node.remembered_views());
}
