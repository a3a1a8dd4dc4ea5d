//! Disks that fail: what a crash may leave of writes that were not synced, and what a device may answer.

use alloc::vec::Vec;

use super::hash::{draw, happens, scale};
use super::plan::{DiskFault, Plan, Profile};
use crate::key::{LogId, Name};
use crate::log::{Hash, MAX_PROOF, Position};
use crate::record::Records;
use crate::store::{Commit, LogState, MemoryStore, Origin, RecordsRead, Store, StoreError, StoredLog};

/// A store that a simulation can crash and look into. Users run their own stores in a simulation by
/// implementing this for them; only [`Disk::contents`] is needed, and what is not overridden does nothing.
///
/// Here, a store that writes a snapshot of everything when it is synced, and what becomes of one that says so and
/// does not:
///
/// ```
/// use verisoo::sim::{Disk, Invariant, Plan, Profile, SimScheme, Simulation};
/// use verisoo::store::{MemoryStore, Store, StoreError, StoredLog};
/// # use verisoo::store::{Commit, Origin, RecordsRead};
/// # use verisoo::{Hash, LogId, Name, log::Position};
///
/// struct Snapshots {
///     live: MemoryStore,
///     written: MemoryStore,
///     is_honest: bool,
/// }
///
/// impl Store for Snapshots {
///     fn sync(&mut self) -> Result<(), StoreError> {
///         if self.is_honest {
///             self.written = self.live.clone();
///         }
///         Ok(())
///     }
///     // … the others pass the call on to `live`.
/// #     fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
/// #         self.live.next_log(after)
/// #     }
/// #     fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> { self.live.log(log) }
/// #     fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
/// #         self.live.create(log, name, key, origin)
/// #     }
/// #     fn set_origin(&mut self, log: &LogId, to: Origin) -> Result<(), StoreError> { self.live.set_origin(log, to) }
/// #     fn remove(&mut self, log: &LogId) -> Result<(), StoreError> { self.live.remove(log) }
/// #     fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
/// #         self.live.commit(log, commit)
/// #     }
/// #     fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> { self.live.truncate(log, size) }
/// #     fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
/// #         self.live.records(log, start, end, buf)
/// #     }
/// #     fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
/// #         self.live.hash(log, position)
/// #     }
/// #     fn proof(&mut self, log: &LogId, buf: &mut [[u8; 32]]) -> Result<usize, StoreError> {
/// #         self.live.proof(log, buf)
/// #     }
/// #     fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> { self.live.put_fork(log, proof) }
/// #     fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
/// #         self.live.fork(log, buf)
/// #     }
/// }
///
/// impl Disk for Snapshots {
///     fn crash(&mut self, _salt: u64) {
///         self.live = self.written.clone();
///     }
///     fn durable(&mut self, log: &LogId) -> Option<Option<StoredLog>> {
///         self.written.log(log).ok()
///     }
///     fn contents(&mut self) -> &mut dyn Store {
///         &mut self.live
///     }
/// }
///
/// let broken = |is_honest| {
///     let disk = |_, _: &Plan| Snapshots { live: MemoryStore::new(), written: MemoryStore::new(), is_honest };
///     let plan = Plan::expand(7, Profile::Disk, None);
///     let report = Simulation::<SimScheme, _>::with(plan, disk).run();
///     report.violation.map(|violation| violation.invariant)
/// };
/// assert_eq!(broken(true), None);
/// assert_eq!(broken(false), Some(Invariant::Durability));
/// ```
pub trait Disk: Store {
    /// Power is lost. What was not synced may be gone, in any way the device can lose it, `salt` deciding.
    /// Afterwards the store is as a restarted process finds it. The same `salt` is to give the same loss: a plan
    /// replays to the byte.
    fn crash(&mut self, salt: u64) {
        let _ = salt;
    }

    /// The device begins to fail in this way, or with `None` is well again. `salt` decides which calls fail.
    fn fail(&mut self, fault: Option<DiskFault>, salt: u64) {
        let _ = (fault, salt);
    }

    /// What would be left of a log if power were lost now and nothing unsynced survived; `None` where the
    /// store cannot tell, and then it is not checked that nothing leaves a node before it is durable.
    fn durable(&mut self, log: &LogId) -> Option<Option<StoredLog>> {
        let _ = log;
        None
    }

    /// The store without the device's faults, for the oracle to read.
    fn contents(&mut self) -> &mut dyn Store;

    /// A copy of all that is durable, for a later [`Disk::restore`]; `None` where there is no such thing.
    fn backup(&self) -> Option<MemoryStore> {
        None
    }

    /// Everything is as it was in a backup. `false` where that cannot be done, and nothing changed.
    fn restore(&mut self, backup: MemoryStore) -> bool {
        let _ = backup;
        false
    }
}

/// A store that takes everything as durable at once and never fails.
impl Disk for MemoryStore {
    fn durable(&mut self, log: &LogId) -> Option<Option<StoredLog>> {
        self.log(log).ok()
    }

    fn contents(&mut self) -> &mut dyn Store {
        self
    }
}

/// A simulated disk under a log-structured store.
///
/// It stands for a store that keeps one file a log and appends to it, with a checksum for each commit:
/// until it is synced, each write may or may not have reached the medium, whole or torn, in any
/// combination. Recovery reads each file from the front and ends before the first commit that is missing
/// or torn; what is behind it is not believed, even if it is whole. Files are independent of each other.
#[derive(Clone, Debug)]
pub struct SimDisk {
    live: MemoryStore,
    durable: MemoryStore,
    unsynced: Vec<(LogId, Write)>,
    /// Whether crashes are to be survived: otherwise nothing is kept twice.
    is_journaled: bool,
    fault: Option<DiskFault>,
    salt: u64,
    calls: u64,
}

/// One write, as it lies in a log's file.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "short-lived, and commits are nearly all there is")]
enum Write {
    Create { name: Name, key: [u8; 32], origin: Origin },
    SetOrigin(Origin),
    Remove,
    Commit { start: u64, records: Vec<u8>, hashes: Vec<[u8; Hash::LEN]>, state: LogState, proof: Vec<[u8; Hash::LEN]> },
    Truncate(u64),
    Fork(Vec<u8>),
}

impl SimDisk {
    /// An empty disk that can crash.
    pub const fn new() -> Self {
        Self::with_journal(true)
    }

    /// An empty disk as a plan needs it: where nothing crashes, nothing need be kept twice.
    pub fn for_plan(plan: &Plan) -> Self {
        Self::with_journal(plan.profile != Profile::Perf)
    }

    const fn with_journal(is_journaled: bool) -> Self {
        Self {
            live: MemoryStore::new(),
            durable: MemoryStore::new(),
            unsynced: Vec::new(),
            is_journaled,
            fault: None,
            salt: 0,
            calls: 0,
        }
    }

    fn note(&mut self, log: &LogId, write: impl FnOnce() -> Write) {
        if self.is_journaled {
            self.unsynced.push((*log, write()));
        }
    }

    /// What the device does on this call, before anything else happens.
    fn call(&mut self) -> Result<(), StoreError> {
        let Some(fault) = self.fault else { return Ok(()) };
        self.calls += 1;
        let drawn = draw(&[self.salt, self.calls]);
        match fault {
            DiskFault::Errors { permille } if happens(drawn, permille) => Err(StoreError::Failed),
            DiskFault::NotReady { permille } if happens(drawn, permille) => Err(StoreError::NotReady),
            _ => Ok(()),
        }
    }

    fn write_call(&mut self) -> Result<(), StoreError> {
        self.call()?;
        if self.fault == Some(DiskFault::Full) { Err(StoreError::Full) } else { Ok(()) }
    }

    /// Flips a bit of what was read, if the medium has rotted there.
    fn rot(&mut self, bytes: &mut [u8]) {
        let Some(DiskFault::Rot { permille }) = self.fault else { return };
        self.calls += 1;
        let drawn = draw(&[self.salt, self.calls, 1]);
        let bit = scale(draw(&[drawn]), bytes.len() as u64 * 8);
        if happens(drawn, permille)
            && let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at))
        {
            *byte ^= 1 << (bit % 8);
        }
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for SimDisk {
    fn crash(&mut self, salt: u64) {
        let writes = core::mem::take(&mut self.unsynced);
        let mut ended: Vec<LogId> = Vec::new();
        for (number, (log, write)) in (0..).zip(writes) {
            // Lost and torn come to the same: the checksum does not fit.
            let is_whole = happens(draw(&[salt, number]), 600);
            if !is_whole {
                ended.push(log);
            }
            if !ended.contains(&log) {
                apply(&mut self.durable, &log, &write);
            }
        }
        self.live.clone_from(&self.durable);
        self.fault = None;
    }

    fn fail(&mut self, fault: Option<DiskFault>, salt: u64) {
        self.fault = fault;
        self.salt = salt;
    }

    fn durable(&mut self, log: &LogId) -> Option<Option<StoredLog>> {
        let disk = if self.is_journaled { &mut self.durable } else { &mut self.live };
        disk.log(log).ok()
    }

    fn contents(&mut self) -> &mut dyn Store {
        &mut self.live
    }

    fn backup(&self) -> Option<MemoryStore> {
        Some(self.durable.clone())
    }

    fn restore(&mut self, backup: MemoryStore) -> bool {
        self.unsynced.clear();
        self.live.clone_from(&backup);
        self.durable = backup;
        true
    }
}

fn apply(store: &mut MemoryStore, log: &LogId, write: &Write) {
    // A write that went well before goes well again, but for those behind a commit that was lost, and they
    // are not applied.
    let _ = match write {
        Write::Create { name, key, origin } => store.create(log, name, key, *origin),
        Write::SetOrigin(origin) => store.set_origin(log, *origin),
        Write::Remove => store.remove(log),
        Write::Commit { start, records, hashes, state, proof } => {
            store.commit(log, &Commit { start: *start, records: Records::new(records), hashes, state: *state, proof })
        }
        Write::Truncate(size) => store.truncate(log, *size),
        Write::Fork(proof) => store.put_fork(log, proof),
    };
}

impl Store for SimDisk {
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
        self.call()?;
        self.live.next_log(after)
    }

    fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> {
        self.call()?;
        self.live.log(log)
    }

    fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
        self.write_call()?;
        self.live.create(log, name, key, origin)?;
        self.note(log, || Write::Create { name: *name, key: *key, origin });
        Ok(())
    }

    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError> {
        self.write_call()?;
        self.live.set_origin(log, origin)?;
        self.note(log, || Write::SetOrigin(origin));
        Ok(())
    }

    fn remove(&mut self, log: &LogId) -> Result<(), StoreError> {
        self.call()?;
        self.live.remove(log)?;
        self.note(log, || Write::Remove);
        Ok(())
    }

    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.write_call()?;
        self.live.commit(log, commit)?;
        self.note(log, || Write::Commit {
            start: commit.start,
            records: commit.records.as_bytes().to_vec(),
            hashes: commit.hashes.to_vec(),
            state: commit.state,
            proof: commit.proof.to_vec(),
        });
        Ok(())
    }

    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        self.call()?;
        self.live.truncate(log, size)?;
        self.note(log, || Write::Truncate(size));
        Ok(())
    }

    fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
        self.call()?;
        let read = self.live.records(log, start, end, buf)?;
        self.rot(buf.get_mut(..read.len).unwrap_or_default());
        Ok(read)
    }

    fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
        self.call()?;
        let mut bytes = *self.live.hash(log, position)?.as_bytes();
        self.rot(&mut bytes);
        Ok(Hash::from_bytes(bytes))
    }

    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError> {
        self.call()?;
        let count = self.live.proof(log, buf)?;
        self.rot(buf.get_mut(..count.min(MAX_PROOF)).unwrap_or_default().as_flattened_mut());
        Ok(count)
    }

    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> {
        self.write_call()?;
        self.live.put_fork(log, proof)?;
        self.note(log, || Write::Fork(proof.to_vec()));
        Ok(())
    }

    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.call()?;
        self.live.fork(log, buf)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.call()?;
        for (log, write) in core::mem::take(&mut self.unsynced) {
            apply(&mut self.durable, &log, &write);
        }
        Ok(())
    }
}
