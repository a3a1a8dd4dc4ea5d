//! A store that fails and crashes, and the target that opens nodes on what a crash left: nothing that a
//! node showed is lost, and nobody signs twice.

use std::collections::VecDeque;

use verisoo::log::{ForkProof, Position};
use verisoo::store::{Commit, MemoryStore, Origin, RecordsRead, Store, StoreError, StoredLog};
use verisoo::wire::{Frame, Message, Nonce, Request, RequestId, StatusRequest};
use verisoo::{Answers, Hash, LogId, Name, Start};

use super::input::Input;
use super::world::{World, encode_frame};

/// A store in memory that fails when it is told to, and knows what is durable.
#[derive(Default)]
pub struct FaultyStore {
    pub memory: MemoryStore,
    /// As it was at the last sync.
    pub synced: MemoryStore,
    /// As it was after each write since then.
    written: VecDeque<MemoryStore>,
    /// Whether that is to be remembered: it costs a copy a write.
    pub remembers: bool,
    is_dirty: bool,
    pub fail: Option<Failing>,
    pub has_failed: bool,
}

pub struct Failing {
    calls_before: usize,
    calls: usize,
    error: StoreError,
}

impl FaultyStore {
    /// After `calls_before` more calls, `calls` of them fail.
    pub fn fail_after(&mut self, calls_before: usize, calls: usize, error: StoreError) {
        self.fail = Some(Failing { calls_before, calls, error });
    }

    /// What a crash leaves: all that was synced, and some of what was written since, in order.
    pub fn crash(&mut self, input: &mut Input<'_>) {
        let kept = input.below(self.written.len() + 1);
        if kept > 0 {
            self.memory = self.written[kept - 1].clone();
        } else {
            self.memory = self.synced.clone();
        }
        self.become_durable();
    }

    /// Another disk, all of it durable.
    pub fn replace(&mut self, memory: MemoryStore) {
        self.memory = memory;
        self.become_durable();
    }

    fn become_durable(&mut self) {
        self.synced = self.memory.clone();
        self.written.clear();
        self.is_dirty = false;
        self.fail = None;
    }

    fn call(&mut self) -> Result<&mut MemoryStore, StoreError> {
        if let Some(failing) = &mut self.fail {
            if failing.calls_before > 0 {
                failing.calls_before -= 1;
            } else if failing.calls > 0 {
                failing.calls -= 1;
                self.has_failed = true;
                return Err(failing.error);
            } else {
                self.fail = None;
            }
        }
        Ok(&mut self.memory)
    }

    fn write(&mut self, write: impl FnOnce(&mut MemoryStore) -> Result<(), StoreError>) -> Result<(), StoreError> {
        write(self.call()?)?;
        self.is_dirty = true;
        if self.remembers {
            self.written.push_back(self.memory.clone());
            if self.written.len() > 16 {
                self.written.pop_front();
            }
        }
        Ok(())
    }
}

impl Store for FaultyStore {
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
        self.call()?.next_log(after)
    }

    fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> {
        self.call()?.log(log)
    }

    fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
        self.write(|memory| memory.create(log, name, key, origin))
    }

    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError> {
        self.write(|memory| memory.set_origin(log, origin))
    }

    fn remove(&mut self, log: &LogId) -> Result<(), StoreError> {
        self.write(|memory| memory.remove(log))
    }

    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.write(|memory| memory.commit(log, commit))
    }

    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        self.write(|memory| memory.truncate(log, size))
    }

    fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
        self.call()?.records(log, start, end, buf)
    }

    fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
        self.call()?.hash(log, position)
    }

    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError> {
        self.call()?.proof(log, buf)
    }

    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> {
        self.write(|memory| memory.put_fork(log, proof))
    }

    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        assert!(buf.len() >= ForkProof::MAX_LEN);
        self.call()?.fork(log, buf)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.call()?;
        if std::mem::take(&mut self.is_dirty) {
            self.synced = self.memory.clone();
            self.written.clear();
        }
        Ok(())
    }

    fn acknowledged(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        self.call()?.acknowledged(log, size)
    }
}

/// A node that crashes at any point and is opened on what is left, or on an older state, or on nothing.
pub fn store(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new(&mut input);
    world.store.remembers = true;
    let mut backups = vec![MemoryStore::new()];
    world.poll();
    for _ in 0..60 {
        if input.is_empty() {
            break;
        }
        match input.below(9) {
            0 => {
                let len = input.below(40);
                let _ = world.append(input.bytes(len));
            }
            1 => {
                let writer = input.below(3);
                world.writers[writer].append(&[input.byte()]);
                if writer == 2 {
                    let record = world.writers[2].records.last().cloned().unwrap_or_default();
                    world.writers[3].append(&record);
                }
            }
            2 => {
                world.now = world.now + core::time::Duration::from_millis(input.choose(&[5, 100, 1_000, 10_000]));
                world.poll();
            }
            3 => exchange(&mut world),
            4 => {
                let error = input.choose(&[StoreError::NotReady, StoreError::Full, StoreError::Failed]);
                world.store.fail_after(input.below(8), 1 + input.below(6), error);
            }
            5 => backups.push(world.store.synced.clone()),
            6 => crash(&mut world, &mut input),
            7 => restore(&mut world, &mut input, &backups),
            _ => world.poll(),
        }
        show(&mut world);
        world.check();
    }
    world.drain(150);
    world.expects_writing = true;
    world.check();
}

/// Everybody answers truly what was asked so far.
fn exchange(world: &mut World) {
    for (peer, request) in std::mem::take(&mut world.sent) {
        let reply = world.reply(peer, &request, None);
        world.answer(peer, &reply);
    }
    world.poll();
}

/// Somebody looks at the node: its own head, where there is one, is known to the peers from then on.
fn show(world: &mut World) {
    let log = world.own.id();
    let request = Request::Proof { log, size: 0, limit: u32::MAX };
    world.ask(&encode_frame(&Frame { id: RequestId::new(0), message: Message::Request(request) }));
    let status = StatusRequest {
        asker: world.writers[0].id(),
        nonce: Nonce([0; 16]),
        digest: Hash::EMPTY_ROOT,
        compared: None,
        after: None,
        limit: u32::MAX,
    };
    let frame = Frame { id: RequestId::new(0), message: Message::Request(Request::Status(status)) };
    world.ask(&encode_frame(&frame));
}

/// Power is lost: what was not durable may be gone, what was shown is not.
fn crash(world: &mut World, input: &mut Input<'_>) {
    let was_recovering = !world.expects_writing && world.node.is_recovering();
    world.store.crash(input);
    world.forget_all();
    world.restart(if was_recovering { Start::Recover(Answers::All) } else { Start::Resume });
    keep_own(world);
    world.poll();
}

/// The disk is replaced by an older one, and the operator says so.
fn restore(world: &mut World, input: &mut Input<'_>, backups: &[MemoryStore]) {
    world.store.replace(backups[input.below(backups.len())].clone());
    world.forget_all();
    world.expects_writing = false;
    world.restart(Start::Recover(Answers::All));
    keep_own(world);
    world.poll();
}

/// Records that nobody was shown a head of may be lost with the disk; they are not appended then. What
/// was shown is in the peers' hands.
fn keep_own(world: &mut World) {
    let have = world.node.log(&world.own.id()).map_or(0, |own| own.have);
    let shown = world.shown.keys().next_back().copied().unwrap_or(0);
    if !world.node.is_recovering() {
        assert!(have >= shown, "what was shown was not durable");
    }
    let kept = have.max(shown);
    if kept < world.own.size() {
        world.own = world.own.truncated(kept);
    }
}
