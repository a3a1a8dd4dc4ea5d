//! A store around a store: what stands between a node and where its logs lie, and does not keep them itself.

use super::contract::Store;
use super::error::StoreError;
use super::state::{Commit, Origin, RecordsRead, StoredLog};
use crate::key::{LogId, Name};
use crate::log::{Hash, Position};

/// A store that passes every call on to another one, and may look at it, refuse it, or change what was read. It is a
/// [`Store`], and of its methods only those need be written that do more than pass on: a counter, a cache's
/// statistics, or, in tests, a store that fails.
///
/// ```
/// use verisoo::store::{Around, Call, MemoryStore, Store, StoreError};
/// use verisoo::{Config, Error, Identity, Instant, Node};
///
/// /// A disk that takes no more writes from some moment on.
/// struct ReadOnly {
///     inner: MemoryStore,
///     is_read_only: bool,
/// }
///
/// impl Around for ReadOnly {
///     fn inner(&mut self) -> &mut dyn Store {
///         &mut self.inner
///     }
///
///     fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
///         if self.is_read_only && call.is_write() { Err(StoreError::Failed) } else { Ok(()) }
///     }
/// }
///
/// let mut store = ReadOnly { inner: MemoryStore::new(), is_read_only: false };
/// let identity = Identity::from_seed("anna.example", &[1; 32])?;
/// let mut node: Node = Node::new(identity, Config::default(), [2; 32], Instant::ZERO);
/// node.append(&mut store, b"a record")?;
/// store.is_read_only = true;
/// assert_eq!(node.append(&mut store, b"another"), Err(Error::Store(StoreError::Failed)));
/// assert_eq!(store.inner.record(&node.id(), 0), Some(&b"a record"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Around {
    /// Where the calls go.
    fn inner(&mut self) -> &mut dyn Store;

    /// Before a call is passed on. With an error it is not, and fails with that. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Those that a [`Store`] may answer the call with.
    fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
        let _ = call;
        Ok(())
    }

    /// After a call went well: what was read can be changed. With an error the call fails, although a write among
    /// them has been made. Does nothing by default.
    ///
    /// # Errors
    ///
    /// Those that a [`Store`] may answer the call with.
    fn after(&mut self, call: &Call<'_>, answer: Answer<'_>) -> Result<(), StoreError> {
        let _ = (call, answer);
        Ok(())
    }
}

/// A call of one of the methods of [`Store`], with what it was given; of a buffer, how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are the parameters of the methods")]
pub enum Call<'a> {
    /// [`Store::next_log`].
    NextLog { after: Option<&'a LogId> },
    /// [`Store::log`].
    Log { log: &'a LogId },
    /// [`Store::create`].
    Create { log: &'a LogId, name: &'a Name, key: &'a [u8; 32], origin: Origin },
    /// [`Store::set_origin`].
    SetOrigin { log: &'a LogId, origin: Origin },
    /// [`Store::remove`].
    Remove { log: &'a LogId },
    /// [`Store::commit`].
    Commit { log: &'a LogId, commit: &'a Commit<'a> },
    /// [`Store::truncate`].
    Truncate { log: &'a LogId, size: u64 },
    /// [`Store::records`].
    Records { log: &'a LogId, start: u64, end: u64, room: usize },
    /// [`Store::hash`].
    Hash { log: &'a LogId, position: Position },
    /// [`Store::proof`].
    Proof { log: &'a LogId, room: usize },
    /// [`Store::put_fork`].
    PutFork { log: &'a LogId, proof: &'a [u8] },
    /// [`Store::fork`].
    Fork { log: &'a LogId, room: usize },
    /// [`Store::sync`].
    Sync,
    /// [`Store::acknowledged`].
    Acknowledged { log: &'a LogId, size: u64 },
}

impl<'a> Call<'a> {
    /// Whether the call changes what is held: it creates, changes, commits to, shortens or removes a log, or puts a
    /// fork proof.
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Create { .. }
                | Self::SetOrigin { .. }
                | Self::Remove { .. }
                | Self::Commit { .. }
                | Self::Truncate { .. }
                | Self::PutFork { .. }
        )
    }

    /// The log that the call is about; `None` for [`Store::next_log`] and [`Store::sync`].
    pub fn log(&self) -> Option<&'a LogId> {
        match *self {
            Self::NextLog { .. } | Self::Sync => None,
            Self::Log { log }
            | Self::Create { log, .. }
            | Self::SetOrigin { log, .. }
            | Self::Remove { log }
            | Self::Commit { log, .. }
            | Self::Truncate { log, .. }
            | Self::Records { log, .. }
            | Self::Hash { log, .. }
            | Self::Proof { log, .. }
            | Self::PutFork { log, .. }
            | Self::Fork { log, .. }
            | Self::Acknowledged { log, .. } => Some(log),
        }
    }

    /// The name of the method.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NextLog { .. } => "next_log",
            Self::Log { .. } => "log",
            Self::Create { .. } => "create",
            Self::SetOrigin { .. } => "set_origin",
            Self::Remove { .. } => "remove",
            Self::Commit { .. } => "commit",
            Self::Truncate { .. } => "truncate",
            Self::Records { .. } => "records",
            Self::Hash { .. } => "hash",
            Self::Proof { .. } => "proof",
            Self::PutFork { .. } => "put_fork",
            Self::Fork { .. } => "fork",
            Self::Sync => "sync",
            Self::Acknowledged { .. } => "acknowledged",
        }
    }
}

/// What a call that went well was answered with.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// Nothing was read.
    Done,
    /// The log after another.
    Next(&'a mut Option<LogId>),
    /// What is held of a log.
    Log(&'a mut Option<StoredLog>),
    /// Records, framed, and how many.
    Records {
        /// How many.
        count: u64,
        /// The bytes written.
        framed: &'a mut [u8],
    },
    /// A hash.
    Hash(&'a mut Hash),
    /// The kept proof.
    Proof(&'a mut [[u8; Hash::LEN]]),
    /// The fork proof, where there is one.
    Fork(Option<&'a mut [u8]>),
}

impl<A: Around + ?Sized> Store for A {
    fn next_log(&mut self, after: Option<&LogId>) -> Result<Option<LogId>, StoreError> {
        let call = Call::NextLog { after };
        self.before(&call)?;
        let mut next = self.inner().next_log(after)?;
        self.after(&call, Answer::Next(&mut next))?;
        Ok(next)
    }

    fn log(&mut self, log: &LogId) -> Result<Option<StoredLog>, StoreError> {
        let call = Call::Log { log };
        self.before(&call)?;
        let mut stored = self.inner().log(log)?;
        self.after(&call, Answer::Log(&mut stored))?;
        Ok(stored)
    }

    fn create(&mut self, log: &LogId, name: &Name, key: &[u8; 32], origin: Origin) -> Result<(), StoreError> {
        let call = Call::Create { log, name, key, origin };
        self.before(&call)?;
        self.inner().create(log, name, key, origin)?;
        self.after(&call, Answer::Done)
    }

    fn set_origin(&mut self, log: &LogId, origin: Origin) -> Result<(), StoreError> {
        let call = Call::SetOrigin { log, origin };
        self.before(&call)?;
        self.inner().set_origin(log, origin)?;
        self.after(&call, Answer::Done)
    }

    fn remove(&mut self, log: &LogId) -> Result<(), StoreError> {
        let call = Call::Remove { log };
        self.before(&call)?;
        self.inner().remove(log)?;
        self.after(&call, Answer::Done)
    }

    fn commit(&mut self, log: &LogId, commit: &Commit<'_>) -> Result<(), StoreError> {
        let call = Call::Commit { log, commit };
        self.before(&call)?;
        self.inner().commit(log, commit)?;
        self.after(&call, Answer::Done)
    }

    fn truncate(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        let call = Call::Truncate { log, size };
        self.before(&call)?;
        self.inner().truncate(log, size)?;
        self.after(&call, Answer::Done)
    }

    fn records(&mut self, log: &LogId, start: u64, end: u64, buf: &mut [u8]) -> Result<RecordsRead, StoreError> {
        let call = Call::Records { log, start, end, room: buf.len() };
        self.before(&call)?;
        let read = self.inner().records(log, start, end, buf)?;
        let framed = buf.get_mut(..read.len).unwrap_or_default();
        self.after(&call, Answer::Records { count: read.count, framed })?;
        Ok(read)
    }

    fn hash(&mut self, log: &LogId, position: Position) -> Result<Hash, StoreError> {
        let call = Call::Hash { log, position };
        self.before(&call)?;
        let mut hash = self.inner().hash(log, position)?;
        self.after(&call, Answer::Hash(&mut hash))?;
        Ok(hash)
    }

    fn proof(&mut self, log: &LogId, buf: &mut [[u8; Hash::LEN]]) -> Result<usize, StoreError> {
        let call = Call::Proof { log, room: buf.len() };
        self.before(&call)?;
        let count = self.inner().proof(log, buf)?;
        self.after(&call, Answer::Proof(buf.get_mut(..count).unwrap_or_default()))?;
        Ok(count)
    }

    fn put_fork(&mut self, log: &LogId, proof: &[u8]) -> Result<(), StoreError> {
        let call = Call::PutFork { log, proof };
        self.before(&call)?;
        self.inner().put_fork(log, proof)?;
        self.after(&call, Answer::Done)
    }

    fn fork(&mut self, log: &LogId, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let call = Call::Fork { log, room: buf.len() };
        self.before(&call)?;
        let len = self.inner().fork(log, buf)?;
        self.after(&call, Answer::Fork(len.map(|len| buf.get_mut(..len).unwrap_or_default())))?;
        Ok(len)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.before(&Call::Sync)?;
        self.inner().sync()?;
        self.after(&Call::Sync, Answer::Done)
    }

    fn acknowledged(&mut self, log: &LogId, size: u64) -> Result<(), StoreError> {
        let call = Call::Acknowledged { log, size };
        self.before(&call)?;
        self.inner().acknowledged(log, size)?;
        self.after(&call, Answer::Done)
    }
}
