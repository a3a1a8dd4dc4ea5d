//! The simulator's disk, of which single calls can be made to fail, and all of which can be compared.

use std::collections::BTreeMap;

use verisoo::head::ForkProof;
use verisoo::log::{MAX_PROOF, Position, root_at};
use verisoo::store::{Commit, MemoryStore, Origin, RecordsRead, Store, StoreError, StoredLog};
use verisoo::{Hash, LogId, Name};

use super::sim::{Disk, DiskFault, SimDisk};

#[derive(Default)]
pub struct FaultyStore {
    pub disk: SimDisk,
    failing: Option<Failing>,
    fault: Option<DiskFault>,
    pub has_failed: bool,
    /// Reads came with a bit flipped at times, since the node was started.
    pub has_rotted: bool,
}

struct Failing {
    calls_before: usize,
    calls: usize,
    error: StoreError,
}

/// All that a store holds of each log: what it says of it, records, root, kept proof, fork proof.
#[derive(Debug, Default, PartialEq)]
pub struct Contents(pub BTreeMap<LogId, Held>);
type Held = (StoredLog, Vec<u8>, Hash, Vec<[u8; Hash::LEN]>, Option<Vec<u8>>);

impl FaultyStore {
    /// After `calls_before` more calls, `calls` of them fail.
    pub fn fail_after(&mut self, calls_before: usize, calls: usize, error: StoreError) {
        self.failing = Some(Failing { calls_before, calls, error });
    }

    /// The device begins to fail, until it is mended or power is lost.
    pub fn break_down(&mut self, fault: DiskFault, salt: u64) {
        self.fault = Some(fault);
        self.disk.fail(self.fault, salt);
        self.has_failed = true;
        self.has_rotted |= matches!(fault, DiskFault::Rot { .. });
    }

    pub fn mend(&mut self) {
        (self.failing, self.fault) = (None, None);
        self.disk.fail(None, 0);
    }

    pub fn may_fail(&self) -> bool {
        self.failing.is_some() || self.fault.is_some()
    }

    pub fn is_rotting(&self) -> bool {
        matches!(self.fault, Some(DiskFault::Rot { .. }))
    }

    /// Power is lost: what was not synced may be gone, write by write.
    pub fn crash(&mut self, salt: u64) {
        self.mend();
        self.disk.crash(salt);
    }

    /// Another disk, all of it durable.
    pub fn replace(&mut self, backup: MemoryStore) {
        self.mend();
        assert!(self.disk.restore(backup));
    }

    /// What a crash would leave of a log at the least.
    pub fn durable(&mut self, log: &LogId) -> Option<StoredLog> {
        self.disk.durable(log).expect("the disk knows")
    }

    pub fn contents(&mut self) -> Contents {
        let store = self.disk.contents();
        let mut contents = Contents::default();
        let mut after = None;
        while let Some(log) = store.next_log(after.as_ref()).expect("no fault") {
            let stored = store.log(&log).expect("no fault").expect("it is listed");
            let have = stored.state.have;
            let mut records = vec![0; usize::try_from(stored.bytes).expect("small")];
            store.records(&log, stored.first, have, &mut records).expect("no fault");
            let root = root_at(have, |position| store.hash(&log, position)).expect("no fault");
            let mut proof = vec![[0; Hash::LEN]; MAX_PROOF];
            let count = store.proof(&log, &mut proof).expect("no fault");
            proof.truncate(count);
            let mut fork = vec![0; ForkProof::MAX_LEN];
            let len = store.fork(&log, &mut fork).expect("no fault");
            let fork = len.map(|len| fork[..len].to_vec());
            contents.0.insert(log, (stored, records, root, proof, fork));
            after = Some(log);
        }
        contents
    }

    fn call(&mut self) -> Result<&mut SimDisk, StoreError> {
        if let Some(failing) = &mut self.failing {
            if failing.calls_before > 0 {
                failing.calls_before -= 1;
            } else if failing.calls > 0 {
                failing.calls -= 1;
                self.has_failed = true;
                return Err(failing.error);
            } else {
                self.failing = None;
            }
        }
        Ok(&mut self.disk)
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
        self.call()?.create(log, name, key, origin)
    }

    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError> {
        self.call()?.set_origin(log, origin)
    }

    fn remove(&mut self, log: &LogId) -> Result<(), StoreError> {
        self.call()?.remove(log)
    }

    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.call()?.commit(log, commit)
    }

    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        self.call()?.truncate(log, size)
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
        self.call()?.put_fork(log, proof)
    }

    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        assert!(buf.len() >= ForkProof::MAX_LEN);
        self.call()?.fork(log, buf)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.call()?.sync()
    }

    fn acknowledged(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        self.call()?.acknowledged(log, size)
    }
}
