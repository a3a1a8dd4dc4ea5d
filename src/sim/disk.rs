//! Disks that fail: what a crash may leave of writes that were not synced, and what a device may answer.

use alloc::vec::Vec;

use super::hash::{draw, happens, scale};
use super::plan::{DiskFault, Plan, Profile};
use crate::key::{LogId, Name};
use crate::log::Hash;
use crate::record::Records;
use crate::store::{Answer, Around, Call, Commit, LogState, MemoryStore, Origin, Store, StoreError, StoredLog};

/// A store that a simulation can crash and look into. Users run their own stores in a simulation by
/// implementing this for them; only [`Disk::contents`] is needed, and what is not overridden does nothing.
///
/// Here, a store that writes a snapshot of everything when it is synced, and what becomes of one that says so and
/// does not:
///
/// ```
/// use verisoo::sim::{Disk, Invariant, Plan, Profile, SimScheme, Simulation};
/// use verisoo::LogId;
/// use verisoo::store::{Answer, Around, Call, MemoryStore, Store, StoreError, StoredLog};
///
/// struct Snapshots {
///     live: MemoryStore,
///     written: MemoryStore,
///     is_honest: bool,
/// }
///
/// impl Around for Snapshots {
///     fn inner(&mut self) -> &mut dyn Store {
///         &mut self.live
///     }
///
///     fn after(&mut self, call: &Call<'_>, _: Answer<'_>) -> Result<(), StoreError> {
///         if *call == Call::Sync && self.is_honest {
///             self.written = self.live.clone();
///         }
///         Ok(())
///     }
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

impl Write {
    /// What a call writes into the log's file; `None` for one that writes nothing.
    fn of(call: &Call<'_>) -> Option<Self> {
        Some(match *call {
            Call::Create { name, key, origin, .. } => Self::Create { name: *name, key: *key, origin },
            Call::SetOrigin { origin, .. } => Self::SetOrigin(origin),
            Call::Remove { .. } => Self::Remove,
            Call::Commit { commit, .. } => Self::Commit {
                start: commit.start,
                records: commit.records.as_bytes().to_vec(),
                hashes: commit.hashes.to_vec(),
                state: commit.state,
                proof: commit.proof.to_vec(),
            },
            Call::Truncate { size, .. } => Self::Truncate(size),
            Call::PutFork { proof, .. } => Self::Fork(proof.to_vec()),
            _ => return None,
        })
    }
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

    /// Keeps what was written until it is synced, and then makes it durable.
    fn note(&mut self, call: &Call<'_>) {
        if *call == Call::Sync {
            for (log, write) in core::mem::take(&mut self.unsynced) {
                apply(&mut self.durable, &log, &write);
            }
        } else if self.is_journaled
            && let Some(log) = call.log()
            && let Some(write) = Write::of(call)
        {
            self.unsynced.push((*log, write));
        }
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

impl Around for SimDisk {
    fn inner(&mut self) -> &mut dyn Store {
        &mut self.live
    }

    fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
        // That one is a hint, and reaches no device.
        if matches!(call, Call::Acknowledged { .. }) {
            return Ok(());
        }
        self.call()?;
        // What makes room needs none.
        let needs_room = call.is_write() && !matches!(call, Call::Remove { .. } | Call::Truncate { .. });
        if needs_room && self.fault == Some(DiskFault::Full) { Err(StoreError::Full) } else { Ok(()) }
    }

    fn after(&mut self, call: &Call<'_>, answer: Answer<'_>) -> Result<(), StoreError> {
        match answer {
            Answer::Records { framed, .. } => self.rot(framed),
            Answer::Proof(hashes) => self.rot(hashes.as_flattened_mut()),
            Answer::Hash(hash) => {
                let mut bytes = *hash.as_bytes();
                self.rot(&mut bytes);
                *hash = Hash::from_bytes(bytes);
            }
            _ => self.note(call),
        }
        Ok(())
    }
}
