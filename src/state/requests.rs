//! Requests under way: one table, each with its deadline. An answer that fits none of them is ignored; what becomes of
//! one that is overdue, `node::close` says.

use core::ops::Deref;

use super::invariant::all;
use super::tables::{List, Tables};
use crate::key::LogId;
use crate::time::Instant;
use crate::wire::RequestId;
use crate::words::{Ask, Config, PeerId};

/// All requests under way, in no order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Requests<T: Tables> {
    rows: T::PerRequest<Outstanding>,
    next: u64,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outstanding {
    pub(crate) id: RequestId,
    pub(crate) peer: PeerId,
    pub(crate) asked_at: Instant,
    pub(crate) deadline: Instant,
    pub(crate) ask: Ask,
}

impl<T: Tables> Requests<T> {
    pub(crate) fn new() -> Self {
        Self { rows: Default::default(), next: 0 }
    }

    /// Opens one; `None` where as many are under way as may be.
    pub(crate) fn open(
        &mut self,
        config: &Config,
        peer: PeerId,
        ask: Ask,
        asked_at: Instant,
        deadline: Instant,
    ) -> Option<RequestId> {
        if self.rows.len() >= config.max_requests.min(self.rows.capacity_limit()) {
            return None;
        }
        let id = RequestId::new(self.next);
        self.rows.push(Outstanding { id, peer, asked_at, deadline, ask }).ok()?;
        self.next += 1;
        Some(id)
    }

    /// The one that an answer is to: its place in the table, and what was asked.
    pub(crate) fn find(&self, peer: PeerId, id: RequestId) -> Option<(usize, Ask)> {
        let at = self.rows.iter().position(|request| request.id == id && request.peer == peer)?;
        self.rows.get(at).map(|request| (at, request.ask))
    }

    /// The first whose deadline has passed.
    pub(crate) fn expired(&self, now: Instant) -> Option<(usize, PeerId)> {
        let at = self.rows.iter().position(|request| request.deadline <= now)?;
        self.rows.get(at).map(|request| (at, request.peer))
    }

    /// What must hold of the table between calls.
    pub(crate) fn check(&self, config: &Config) -> Result<(), &'static str> {
        let rows = &*self.rows;
        all(&[
            (rows.len() <= config.max_requests.min(self.rows.capacity_limit()), "there are more requests than may be"),
            (rows.iter().all(|request| request.id.get() < self.next), "a request has an id to come"),
            (rows.is_sorted_by(|a, b| a.id < b.id), "two requests have one id"),
            (rows.iter().all(|request| request.asked_at < request.deadline), "a request was never to be answered"),
        ])
    }

    pub(crate) fn close(&mut self, at: usize) -> Outstanding {
        self.rows.remove(at)
    }

    pub(crate) fn drop_those(&mut self, are_dropped: impl Fn(&Outstanding) -> bool) {
        while let Some(at) = self.rows.iter().position(&are_dropped) {
            self.rows.remove(at);
        }
    }

    /// How many are under way to a peer.
    pub(crate) fn count_of(&self, peer: PeerId) -> usize {
        self.rows.iter().filter(|request| request.peer == peer).count()
    }

    pub(crate) fn is_status_asked(&self, peer: PeerId) -> bool {
        self.rows.iter().any(|request| request.peer == peer && request.ask == Ask::Status)
    }

    /// Whether a push of a log's records is under way to a peer.
    pub(crate) fn is_pushed(&self, peer: PeerId, log: &LogId) -> bool {
        let is_push = |ask: Ask| matches!(ask, Ask::Push { log: pushed, .. } if pushed == *log);
        self.rows.iter().any(|request| request.peer == peer && is_push(request.ask))
    }

    /// Whether anything but records is asked of a peer about a log.
    pub(crate) fn is_asked_about(&self, peer: PeerId, log: LogId) -> bool {
        let is_about = |ask: Ask| ask.log() == Some(log) && !matches!(ask, Ask::Records { .. });
        self.rows.iter().any(|request| request.peer == peer && is_about(request.ask))
    }

    /// The ranges of a log's records that are asked for, and of whom.
    pub(crate) fn ranges(&self, log: LogId) -> impl Iterator<Item = (PeerId, core::ops::Range<u64>)> {
        self.rows.iter().filter_map(move |request| match request.ask {
            Ask::Records { log: of, start, count } if of == log => {
                Some((request.peer, start..start.saturating_add(count)))
            }
            _ => None,
        })
    }
}

impl<T: Tables> Deref for Requests<T> {
    type Target = [Outstanding];

    fn deref(&self) -> &[Outstanding] {
        &self.rows
    }
}
