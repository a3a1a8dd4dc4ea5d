//! A node whose own disk lies to it: no honest log is frozen for it, the node says so or others find what it
//! sends wanting, the damaged log is served no more, and all other logs go on.

use verisoo::store::{Answer, Around, Call, Commit, MemoryStore, Store, StoreError};
use verisoo::wire::{Frame, Message, Refusal, Request, RequestId, Response};
use verisoo::{Error, Fault, Hash, Heap, LogId, Notice, Records, Signature, SignedHead, Start};

use crate::net::{GivesUp, Member, Net, TestStore, config};

/// What is wrong with what a store says of one log.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    /// The stored hash with this number is read with a bit flipped.
    Hash(u64),
    /// The same, but the store notices.
    HashUnreadable(u64),
    /// The record with this index is read with a bit flipped.
    Record(u64),
    /// The complete head's root, or its signature.
    Root,
    Signature,
    /// The log's key.
    Key,
    /// Everything about the log.
    Unreadable,
}

/// A store in memory that is damaged in one place.
struct Flawed {
    inner: MemoryStore,
    log: LogId,
    flaw: Flaw,
}

impl TestStore for Flawed {
    fn held(&mut self) -> Option<&mut MemoryStore> {
        (self.flaw == Flaw::None).then_some(&mut self.inner)
    }

    fn may_fail(&self) -> bool {
        self.flaw != Flaw::None
    }
}

impl Around for Flawed {
    fn inner(&mut self) -> &mut dyn Store {
        &mut self.inner
    }

    fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
        let is_read = matches!(call, Call::Log { .. } | Call::Records { .. } | Call::Hash { .. });
        let is_damaged = is_read && call.log() == Some(&self.log) && self.flaw == Flaw::Unreadable;
        if is_damaged { Err(StoreError::Damaged) } else { Ok(()) }
    }

    fn after(&mut self, call: &Call<'_>, answer: Answer<'_>) -> Result<(), StoreError> {
        if call.log() != Some(&self.log) {
            return Ok(());
        }
        match (*call, answer) {
            (_, Answer::Log(Some(stored))) => match (self.flaw, &mut stored.state.complete) {
                (Flaw::Key, _) => stored.key[3] ^= 4,
                (Flaw::Root, Some(head)) => head.head.root = flipped(head.head.root),
                (Flaw::Signature, Some(SignedHead { signature, .. })) => {
                    let mut bytes = *signature.as_bytes();
                    bytes[7] ^= 2;
                    *signature = Signature::from_bytes(bytes);
                }
                _ => {}
            },
            (Call::Records { log, start, room, .. }, Answer::Records { count, framed }) => {
                if let Flaw::Record(index) = self.flaw
                    && (start..start + count).contains(&index)
                {
                    // The last byte of the record, so that its framing holds.
                    let before = self.inner.records(log, start, index + 1, &mut vec![0; room])?;
                    framed[before.len - 1] ^= 1;
                }
            }
            (Call::Hash { position, .. }, Answer::Hash(hash)) => {
                let number = position.stored_index();
                if self.flaw == Flaw::HashUnreadable(number) {
                    return Err(StoreError::Damaged);
                }
                if self.flaw == Flaw::Hash(number) {
                    *hash = flipped(*hash);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn flipped(hash: Hash) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[11] ^= 0x20;
    Hash::from_bytes(bytes)
}

/// Nodes that answer each other at once, each on a store that may be damaged.
struct Nodes {
    net: Net<Heap, Flawed>,
}

const WRITER: usize = 0;
const DAMAGED: usize = 1;
const READER: usize = 2;

impl Nodes {
    /// A writer of nine records, a node that copies it and writes two itself, and a reader, not connected.
    fn new() -> Self {
        let mut net = Net::without_delay();
        net.gives_up = Some(GivesUp::AndTells);
        for name in ["writer", "damaged", "reader"] {
            let store = Flawed { inner: MemoryStore::new(), log: LogId::from_bytes([0; 32]), flaw: Flaw::None };
            net.add_on(name, config(), store);
        }
        let mut nodes = Self { net };
        nodes.connect(WRITER, DAMAGED);
        nodes.connect(DAMAGED, WRITER);
        nodes.append(WRITER, 9).unwrap();
        nodes.append(DAMAGED, 2).unwrap();
        nodes.net.run_rounds(2);
        assert_eq!(nodes.net.size(DAMAGED, &nodes.net.id(WRITER)), 9);
        nodes
    }

    fn connect(&mut self, a: usize, b: usize) {
        let peer = self.net.dial(a, b);
        self.net.members[a].node.set_authenticated(peer, true).unwrap();
    }

    fn append(&mut self, a: usize, count: usize) -> Result<(), Error> {
        let Member { node, store, .. } = &mut self.net.members[a];
        for _ in 0..count {
            let have = node.log(&node.id()).unwrap().have;
            node.append(store, format!("{node} {have}").as_bytes())?;
        }
        Ok(())
    }

    fn damage(&mut self, log: LogId, flaw: Flaw) {
        let store = &mut self.net.members[DAMAGED].store;
        (store.log, store.flaw) = (log, flaw);
    }

    fn assert_nobody_accused(&self, flaw: Flaw) {
        for member in &self.net.members {
            let (name, forked) = (&member.name, member.node.logs().find(|log| log.is_forked));
            assert_eq!(forked, None, "{name} accuses an honest log for {flaw:?}");
        }
        let is_accusation = |notice: &Notice| matches!(notice, Notice::ForkDetected { .. } | Notice::WritingStopped);
        assert!(!self.net.notices.iter().any(|(_, notice)| is_accusation(notice)), "{:?}", self.net.notices);
        // The one whose store is damaged may be found wanting; it finds nobody so.
        let by_damaged = self.net.notices.iter().filter(|(a, _)| *a == DAMAGED);
        let blames = by_damaged
            .filter(|(_, notice)| matches!(notice, Notice::PeerAtFault { .. } | Notice::PeerUnhealthy { .. }));
        assert_eq!(blames.collect::<Vec<_>>(), [] as [&(usize, Notice); 0], "for {flaw:?}");
    }

    fn says_damaged(&self, log: LogId) -> bool {
        self.net.notices.contains(&(DAMAGED, Notice::LogDamaged { log }))
    }

    /// Whether everything that a node holds of a log is what its writer wrote.
    fn holds_only_true(&self, a: usize, writer: usize) -> bool {
        let log = self.net.id(writer);
        let have = self.net.members[a].node.log(&log).map_or(0, |log| log.have);
        let [held, written] = [a, writer].map(|at| &self.net.members[at].store.inner);
        (0..have).all(|index| held.record(&log, index) == written.record(&log, index))
    }
}

/// Hashes stored for nine records.
const HASHES: u64 = 9 + 4 + 2 + 1;

fn flaws() -> Vec<Flaw> {
    let mut flaws: Vec<Flaw> = (0..HASHES).flat_map(|at| [Flaw::Hash(at), Flaw::HashUnreadable(at)]).collect();
    flaws.extend((0..9).map(Flaw::Record));
    flaws.extend([Flaw::Root, Flaw::Signature, Flaw::Key, Flaw::Unreadable]);
    flaws
}

#[test]
fn a_bit_flipped_in_a_copy_freezes_no_log_and_stops_no_other() {
    for flaw in flaws() {
        let mut nodes = Nodes::new();
        let log = nodes.net.id(WRITER);
        nodes.damage(log, flaw);
        // A reader that has only the damaged copy to ask; and the log grows.
        nodes.connect(READER, DAMAGED);
        nodes.net.run_rounds(2);
        nodes.append(WRITER, 4).unwrap();
        nodes.append(DAMAGED, 3).unwrap();
        nodes.net.run_rounds(3);
        nodes.assert_nobody_accused(flaw);
        assert!(nodes.holds_only_true(READER, WRITER), "{flaw:?}");
        assert_eq!(nodes.net.size(WRITER, &nodes.net.id(DAMAGED)), 5, "{flaw:?}: its own log goes on");
        let is_blamed = nodes.net.notices.iter().any(|(a, notice)| {
            *a != DAMAGED
                && matches!(notice, Notice::PeerAtFault { fault: Fault::FalseRecords | Fault::HeadSignature, .. })
        });
        let has_it_all = nodes.net.size(READER, &log) == 13;
        assert!(nodes.says_damaged(log) || is_blamed || has_it_all, "{flaw:?} goes unnoticed: {:?}", nodes.net.notices);
        if !is_blamed {
            assert_eq!(nodes.net.size(READER, &nodes.net.id(DAMAGED)), 5, "{flaw:?}: others' logs go on");
        }
        if nodes.says_damaged(log) {
            assert_not_served(&mut nodes, log);
        }
        // Another source, and the reader has it all.
        nodes.connect(READER, WRITER);
        nodes.net.run_rounds(4);
        assert_eq!(nodes.net.size(READER, &log), 13, "{flaw:?}");
        nodes.assert_nobody_accused(flaw);
    }
}

/// Neither proofs nor records of a log that its node says is damaged.
fn assert_not_served(nodes: &mut Nodes, log: LogId) {
    let limit = u32::MAX;
    for request in [Request::Records { log, start: 0, count: 9, limit }, Request::Proof { log, size: 4, limit }] {
        let mut buf = vec![0; 256];
        let frame = Frame { id: RequestId::new(1), message: Message::Request(request) };
        let bytes = frame.encode(&mut buf).unwrap().to_vec();
        let answer = nodes.net.ask(DAMAGED, &bytes);
        let answer = Frame::decode(&answer).unwrap().message;
        assert_eq!(answer, Message::Response(Response::Refused(Refusal::NotHeld)));
    }
}

#[test]
fn the_hashes_that_a_log_grows_on_are_never_silently_wrong() {
    // Nine records: the peaks are the ninth leaf and the root of the first eight.
    for peak in [HASHES - 1, HASHES - 2] {
        for flaw in [Flaw::Hash(peak), Flaw::HashUnreadable(peak)] {
            let mut nodes = Nodes::new();
            let log = nodes.net.id(WRITER);
            nodes.damage(log, flaw);
            nodes.append(WRITER, 4).unwrap();
            nodes.net.run_rounds(3);
            assert!(nodes.says_damaged(log), "{flaw:?}");
            assert_not_served(&mut nodes, log);
            nodes.assert_nobody_accused(flaw);
        }
    }
}

#[test]
fn a_bit_flipped_in_ones_own_log_signs_no_other_history() {
    for flaw in flaws() {
        let mut nodes = Nodes::new();
        // The log that is damaged is the one that the node writes itself: nine records, all signed.
        nodes.append(DAMAGED, 7).unwrap();
        nodes.net.run_rounds(2);
        let own = nodes.net.id(DAMAGED);
        assert_eq!(nodes.net.size(WRITER, &own), 9);
        nodes.damage(own, flaw);
        nodes.connect(READER, DAMAGED);
        let _ = nodes.append(DAMAGED, 4);
        nodes.append(WRITER, 2).unwrap();
        nodes.net.run_rounds(3);
        nodes.assert_nobody_accused(flaw);
        let told = nodes.net.notices.iter().filter(|(_, notice)| matches!(notice, Notice::StoreFailed { .. })).count();
        assert!(told < 10, "{flaw:?}: told {told} times of the same");
        assert_eq!(nodes.net.size(DAMAGED, &nodes.net.id(WRITER)), 11, "{flaw:?}");
        assert!(nodes.holds_only_true(WRITER, DAMAGED));
        if nodes.says_damaged(own) {
            // What cannot be published is not acknowledged any more.
            assert!(nodes.append(DAMAGED, 1).is_err(), "{flaw:?}");
        }
    }
}

#[test]
fn a_node_started_on_a_damaged_store_says_so_and_accuses_nobody() {
    for flaw in [Flaw::Hash(HASHES - 1), Flaw::HashUnreadable(HASHES - 1), Flaw::Root, Flaw::Signature] {
        let mut nodes = Nodes::new();
        let log = nodes.net.id(WRITER);
        nodes.damage(log, flaw);
        nodes.net.start(DAMAGED, Start::Resume);
        let peer = nodes.net.peer(DAMAGED, WRITER);
        nodes.net.members[DAMAGED].node.set_authenticated(peer, true).unwrap();
        nodes.append(WRITER, 4).unwrap();
        nodes.net.run_rounds(3);
        nodes.assert_nobody_accused(flaw);
        assert!(nodes.says_damaged(log) || nodes.net.size(DAMAGED, &log) == 13, "{flaw:?}: {:?}", nodes.net.notices);
    }
}

#[test]
fn evidence_that_cannot_be_read_holds_up_no_other_log() {
    // Where the copy is read falsely without a sign, its complete head as evidence contradicts what is held.
    for flaw in [Flaw::HashUnreadable(HASHES - 1), Flaw::Hash(HASHES - 1), Flaw::Key] {
        let mut nodes = Nodes::new();
        let (log, own) = (nodes.net.id(WRITER), nodes.net.id(DAMAGED));
        // A crash cut short the judging of a head: it is in the store, and to be judged by the next poll.
        let store = &mut nodes.net.members[DAMAGED].store.inner;
        let mut state = store.log(&log).unwrap().unwrap().state;
        state.unproven = state.complete;
        let commit = Commit { start: 9, records: Records::default(), hashes: &[], state, proof: &[] };
        store.commit(&log, &commit).unwrap();
        nodes.net.start(DAMAGED, Start::Resume);
        nodes.damage(log, flaw);
        nodes.append(DAMAGED, 3).unwrap();
        nodes.net.run_rounds(3);
        assert!(nodes.says_damaged(log), "{flaw:?}: {:?}", nodes.net.notices);
        assert_eq!(nodes.net.size(WRITER, &own), 5, "{flaw:?}: its own log goes on");
        nodes.assert_nobody_accused(flaw);
    }
}
