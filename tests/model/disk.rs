//! A disk that forgets what was not synced when its node crashes.

use verisoo::log::Position;
use verisoo::store::{Commit, MemoryStore, Origin, RecordsRead, Store, StoreError, StoredLog};
use verisoo::{Hash, LogId, Name};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    pub written: MemoryStore,
    pub durable: MemoryStore,
}

impl Disk {
    pub fn crash(&mut self) {
        self.written = self.durable.clone();
    }
}

impl Store for Disk {
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
        self.written.next_log(after)
    }

    fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> {
        self.written.log(log)
    }

    fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
        self.written.create(log, name, key, origin)
    }

    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError> {
        self.written.set_origin(log, origin)
    }

    fn remove(&mut self, log: &LogId) -> Result<(), StoreError> {
        self.written.remove(log)
    }

    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.written.commit(log, commit)
    }

    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        self.written.truncate(log, size)
    }

    fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
        self.written.records(log, start, end, buf)
    }

    fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
        self.written.hash(log, position)
    }

    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError> {
        self.written.proof(log, buf)
    }

    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> {
        self.written.put_fork(log, proof)
    }

    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.written.fork(log, buf)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.durable = self.written.clone();
        Ok(())
    }
}
