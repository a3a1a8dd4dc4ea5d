//! What a node knows of its peers: how each has answered, what it said last, and what it is still to be told.
//! Decides nothing about logs.

use core::ops::{Deref, DerefMut};

use super::invariant::all;
use super::listing::{Compared, Listing, Stage, Sync};
use super::standing::Standing;
use super::tables::{List, Tables};
use crate::error::Error;
use crate::key::{LogId, Scheme, Vkey};
use crate::store::Origin;
use crate::time::Instant;
use crate::wire::MIN_MESSAGE;
use crate::words::{Config, PeerId, PeerInfo, PushOutcome};

/// All peers, in the order in which they were added, which is that of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peers<T: Tables> {
    rows: T::PerPeer<Peer<T::Scheme>>,
    next: u32,
    /// When the next round begins.
    pub(crate) next_round: Instant,
    /// They are asked nothing until this ends.
    pub(crate) is_paused: bool,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer<S: Scheme> {
    pub(crate) id: PeerId,
    pub(crate) vkey: Vkey<S>,
    /// The id of its key, and of the log it writes.
    pub(crate) node: LogId,
    /// The transport proves who answers.
    pub(crate) is_authenticated: bool,
    pub(crate) standing: Standing,
    /// The largest frame it takes, by its own word.
    pub(crate) max_message: u32,
    pub(crate) listing: Listing,
    pub(crate) compared: Option<Compared>,
    /// Records of our own log it holds, by its own signed word.
    pub(crate) acknowledged: Option<u64>,
    /// Since we began to recover it has said what it knows of our log.
    pub(crate) has_answered: bool,
    /// The last change of a log here that it was considered for.
    pub(crate) fed: u32,
    /// When it is told of the next change; `None` while there is none.
    pub(crate) feed_at: Option<Instant>,
    pub(crate) sync: Option<Sync>,
    pub(crate) introduced: Introduced,
    pub(crate) untold: Untold,
}

/// What a peer introduced, which counts against its quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Introduced {
    pub(crate) logs: usize,
    /// Of framed records.
    pub(crate) bytes: u64,
}

/// What the application is still to be told of a peer, its health aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Untold {
    pub(crate) pushed: Option<(LogId, PushOutcome)>,
    pub(crate) quota: bool,
    /// The quota's notice has been given in this round.
    pub(crate) quota_told: bool,
}

impl<T: Tables> Peers<T> {
    pub(crate) fn new() -> Self {
        Self { rows: Default::default(), next: 0, next_round: Instant::ZERO, is_paused: false }
    }

    /// How many there may be.
    pub(crate) fn limit(&self, config: &Config) -> usize {
        config.max_peers.min(self.rows.capacity_limit())
    }

    /// Adds one, which has been told of everything up to `newest` in the order of change.
    pub(crate) fn add(&mut self, vkey: Vkey<T::Scheme>, newest: u32, introduced: Introduced) -> Result<PeerId, Error> {
        let id = PeerId::new(self.next);
        let peer = Peer { introduced, ..Peer::new(id, vkey, newest) };
        self.rows.push(peer).map_err(|_| Error::TooManyPeers)?;
        self.next += 1;
        Ok(id)
    }

    pub(crate) fn remove(&mut self, id: PeerId) -> Result<(), Error> {
        let at = self.index(id).ok_or(Error::UnknownPeer)?;
        self.rows.remove(at);
        Ok(())
    }

    pub(crate) fn find(&self, id: PeerId) -> Option<&Peer<T::Scheme>> {
        self.rows.get(self.index(id)?)
    }

    pub(crate) fn find_mut(&mut self, id: PeerId) -> Option<&mut Peer<T::Scheme>> {
        let at = self.index(id)?;
        self.rows.get_mut(at)
    }

    /// The peer with this key.
    pub(crate) fn of_node(&self, node: &LogId) -> Option<&Peer<T::Scheme>> {
        self.rows.iter().find(|peer| peer.node == *node)
    }

    /// The peer that a log of this origin counts against.
    pub(crate) fn introducer(&self, origin: Origin) -> Option<&Peer<T::Scheme>> {
        let Origin::Introduced(by) = origin else { return None };
        self.of_node(&by)
    }

    pub(crate) fn introducer_mut(&mut self, origin: Origin) -> Option<&mut Peer<T::Scheme>> {
        let Origin::Introduced(by) = origin else { return None };
        self.rows.iter_mut().find(|peer| peer.node == by)
    }

    /// The peers' places in the order of change.
    pub(crate) fn cursors(&mut self) -> impl Iterator<Item = &mut u32> {
        self.rows.iter_mut().map(|peer| &mut peer.fed)
    }

    /// What must hold of the table between calls.
    pub(crate) fn check(&self, config: &Config) -> Result<(), &'static str> {
        all(&[
            (self.rows.len() <= self.limit(config), "there are more peers than may be"),
            (self.rows.is_sorted_by(|a, b| a.id < b.id), "peers are out of order"),
            (self.rows.last().is_none_or(|last| last.id.get() < self.next), "a peer has an id to come"),
            (self.rows.iter().all(|peer| peer.node == peer.vkey.id()), "a peer has another's key"),
        ])
    }

    fn index(&self, id: PeerId) -> Option<usize> {
        self.rows.binary_search_by_key(&id, |peer| peer.id).ok()
    }
}

impl<T: Tables> Deref for Peers<T> {
    type Target = [Peer<T::Scheme>];

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl<T: Tables> DerefMut for Peers<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.rows
    }
}

impl<S: Scheme> Peer<S> {
    fn new(id: PeerId, vkey: Vkey<S>, newest: u32) -> Self {
        Self {
            id,
            node: vkey.id(),
            vkey,
            is_authenticated: false,
            standing: Standing::new(),
            max_message: MIN_MESSAGE,
            listing: Listing::Due,
            compared: None,
            acknowledged: None,
            has_answered: false,
            fed: newest,
            feed_at: None,
            sync: None,
            introduced: Introduced::default(),
            untold: Untold::default(),
        }
    }

    pub(crate) fn info(&self, config: &Config) -> PeerInfo {
        PeerInfo {
            id: self.id,
            node: self.node,
            is_authenticated: self.is_authenticated,
            health: self.standing.health(),
            timeout: self.standing.timeout(config),
            acknowledged: self.acknowledged,
            has_answered: self.has_answered,
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.standing.is_healthy()
    }

    /// Whether requests about logs may go to it: an on-demand sync asks whatever its health is.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_healthy() || self.sync.is_some()
    }

    /// It is asked for its status, whatever its health was.
    pub(crate) fn try_again(&mut self) {
        self.standing.try_again();
        self.listing.ask();
    }

    pub(crate) fn begin_sync(&mut self) {
        self.sync = Some(Sync { stage: Stage::Wanted, logs: 0 });
        self.listing = Listing::Due;
        // The comparison is to find what is missing, not to be told that nothing changed.
        self.compared = None;
    }

    pub(crate) fn is_syncing(&self, stage: Stage) -> bool {
        self.sync.is_some_and(|sync| sync.stage == stage)
    }

    /// An on-demand sync that is at one stage goes on to the next.
    pub(crate) fn sync_goes_on(&mut self, from: Stage, to: Stage) {
        if let Some(sync) = self.sync.as_mut().filter(|sync| sync.stage == from) {
            sync.stage = to;
        }
    }

    /// Its quota is used up: told once a round at most.
    pub(crate) fn note_quota(&mut self) {
        self.untold.quota |= !core::mem::replace(&mut self.untold.quota_told, true);
    }
}

impl Introduced {
    pub(crate) fn add(&mut self, logs: usize, bytes: u64) {
        self.logs += logs;
        self.bytes += bytes;
    }

    pub(crate) fn take(&mut self, logs: usize, bytes: u64) {
        self.logs = self.logs.saturating_sub(logs);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
