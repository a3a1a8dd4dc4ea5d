//! The simulator's disk, of which single calls can be made to fail, and all of which can be compared.

use std::collections::BTreeMap;

use verisoo::head::ForkProof;
use verisoo::log::{MAX_PROOF, root_at};
use verisoo::sim::{Disk, DiskFault, SimDisk};
use verisoo::store::{Around, Call, MemoryStore, Store, StoreError, StoredLog};
use verisoo::{Hash, LogId};

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
}

impl Around for FaultyStore {
    fn inner(&mut self) -> &mut dyn Store {
        &mut self.disk
    }

    fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
        if let Call::Fork { room, .. } = call {
            assert!(*room >= ForkProof::MAX_LEN);
        }
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
        Ok(())
    }
}
