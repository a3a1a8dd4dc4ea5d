//! A production node with what a driver would put around it: a disk, a clock that is not quite right, and
//! who its peers are.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::disk::Disk;
use super::hash::draw;
use super::plan::NodePlan;
use crate::error::Error;
use crate::key::{Identity, Scheme, Vkey};
use crate::node::Node;
use crate::state::Heap;
use crate::time::Instant;
use crate::words::{Command, Config, Introductions, Notice, PeerId, Start};

/// One running (or crashed) node.
pub(super) struct Member<S: Scheme, D> {
    pub(super) index: u32,
    pub(super) node: Node<Heap<S>>,
    pub(super) disk: D,
    pub(super) is_up: bool,
    pub(super) paused_until: u64,
    /// The earliest wake-up scheduled.
    pub(super) wake_at: u64,
    pub(super) incarnation: u64,
    clock: Clock,
    seed: u64,
    config: Config,
    is_authenticated: bool,
    name: String,
    /// Which member a peer's handle stands for.
    routes: Vec<u32>,
    /// The handle of each member that is a peer.
    handles: Vec<Option<PeerId>>,
    peers: Vec<u32>,
}

/// A clock of its own: set somewhere, running at nearly the right speed.
#[derive(Clone, Copy)]
struct Clock {
    offset: i128,
    drift_ppm: i64,
}

impl Clock {
    fn show(self, now: u64) -> Instant {
        if self.drift_ppm == 0 && self.offset == 0 {
            return Instant::from_micros(now);
        }
        let now = i128::from(now);
        let shown = self.offset + now + now * i128::from(self.drift_ppm) / 1_000_000;
        Instant::from_micros(u64::try_from(shown.max(0)).unwrap_or(u64::MAX))
    }

    /// How long until the clock has gone on by `duration`, rounded up.
    fn until(self, duration: Duration) -> u64 {
        if self.drift_ppm == 0 {
            return u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        }
        let micros = i128::try_from(duration.as_micros()).unwrap_or(i128::MAX / 2_000_000);
        let speed = 1_000_000 + i128::from(self.drift_ppm);
        u64::try_from(micros * 1_000_000 / speed.max(1) + 2).unwrap_or(u64::MAX)
    }
}

/// What a poll brought.
pub(super) enum Polled<'b> {
    /// Bytes for a member.
    Send { to: u32, bytes: &'b [u8] },
    /// Something to tell.
    Notice(Notice),
    /// A request that could not be written, or was overtaken.
    Nothing,
}

impl<S: Scheme, D: Disk> Member<S, D> {
    pub(super) fn new(index: u32, seed: u64, name: &str, plan: &NodePlan, interval: u64, disk: D) -> Self {
        let config = Config {
            interval: Duration::from_micros(interval),
            timeout: Duration::from_micros(interval / 10),
            max_message: plan.max_message,
            fanout: plan.fanout as usize,
            window: plan.window as usize,
            introductions: Introductions::Accept { logs: plan.introductions as usize, bytes: 1 << 30 },
            max_views: plan.views as usize,
            max_requests: plan.requests as usize,
            ..Config::default()
        };
        let clock = Clock { offset: i128::from(plan.clock_offset), drift_ppm: plan.drift_ppm };
        let node =
            Node::new(identity::<S>(seed, index, name), config.clone(), fresh_seed(seed, index, 0), clock.show(0));
        Self {
            index,
            node,
            disk,
            is_up: true,
            paused_until: 0,
            wake_at: u64::MAX,
            incarnation: 0,
            clock,
            seed,
            config,
            is_authenticated: plan.is_authenticated,
            name: name.into(),
            routes: Vec::new(),
            handles: Vec::new(),
            peers: Vec::new(),
        }
    }

    pub(super) fn vkey(&self) -> Vkey<S> {
        *self.node.vkey()
    }

    pub(super) fn identity(&self) -> Identity<S> {
        identity(self.seed, self.index, &self.name)
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.is_authenticated
    }

    pub(super) fn peers(&self) -> &[u32] {
        &self.peers
    }

    pub(super) fn now(&self, now: u64) -> Instant {
        self.clock.show(now)
    }

    /// Sets the clock. It cannot show less than nothing, but it goes on from there.
    pub(super) fn set_clock(&mut self, now: u64, by: i64) {
        let shown = i128::from(self.clock.show(now).as_micros());
        self.clock.offset += i128::from(by).max(-shown);
    }

    /// Makes another member a peer.
    pub(super) fn dial(&mut self, to: u32, vkey: Vkey<S>) -> Result<(), Error> {
        let peer = self.node.add_peer(&mut self.disk, vkey)?;
        let at = peer.get() as usize;
        if self.routes.len() <= at {
            self.routes.resize(at + 1, u32::MAX);
        }
        self.routes[at] = to;
        if self.handles.len() <= to as usize {
            self.handles.resize(to as usize + 1, None);
        }
        self.handles[to as usize] = Some(peer);
        if !self.peers.contains(&to) {
            self.peers.push(to);
        }
        self.node.set_authenticated(peer, self.is_authenticated)
    }

    pub(super) fn route(&self, peer: PeerId) -> Option<u32> {
        self.routes.get(peer.get() as usize).copied()
    }

    pub(super) fn handle_of(&self, member: u32) -> Option<PeerId> {
        self.handles.get(member as usize).copied().flatten()
    }

    /// Starts again from the disk. Peers are to be dialled afterwards.
    pub(super) fn restart(&mut self, now: u64, start: Start) -> Result<(), Error> {
        let seed = fresh_seed(self.seed, self.index, self.incarnation + 1);
        let (identity, now) = (self.identity(), self.now(now));
        self.node = Node::open(identity, self.config.clone(), seed, now, &mut self.disk, start)?;
        self.incarnation += 1;
        self.routes.clear();
        self.handles.clear();
        self.is_up = true;
        Ok(())
    }

    /// The next thing that the node wants done; `None` when there is nothing.
    pub(super) fn poll<'b>(&mut self, now: u64, buf: &'b mut [u8]) -> Option<Polled<'b>> {
        let command = self.node.poll(self.clock.show(now), &mut self.disk)?;
        if let Command::Notify(notice) = command {
            return Some(Polled::Notice(notice));
        }
        let to = command.request().and_then(|(peer, _)| self.route(peer));
        let encoded = self.node.encode(&mut self.disk, &command, buf);
        Some(match (to, encoded) {
            (Some(to), Ok(Some(bytes))) => Polled::Send { to, bytes },
            _ => Polled::Nothing,
        })
    }

    /// When the node is to be polled if nothing happens.
    pub(super) fn next_wake(&self, now: u64) -> Option<u64> {
        let wake = self.node.next_wake()?;
        Some(now.saturating_add(self.clock.until(wake - self.clock.show(now))))
    }
}

fn identity<S: Scheme>(seed: u64, index: u32, name: &str) -> Identity<S> {
    let secret = expand(&[seed, u64::from(index), 0x006b_6579]);
    // The names given here are names.
    Identity::from_seed(name, &secret).unwrap_or_else(|_| unreachable!("{name:?} is a name"))
}

fn fresh_seed(seed: u64, index: u32, incarnation: u64) -> [u8; 32] {
    expand(&[seed, u64::from(index), incarnation, 0x7365_6564])
}

/// 32 bytes drawn from some numbers.
pub(super) fn expand(parts: &[u64]) -> [u8; 32] {
    let first = draw(parts);
    let mut bytes = [0; 32];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (number, word) in (0..).zip(words) {
        *word = draw(&[first, number]).to_le_bytes();
    }
    bytes
}

/// A member's name. An adversary takes that of the first node: its key is its own all the same.
pub(super) fn name(index: u32, is_adversary: bool) -> String {
    if is_adversary { "node-0.example".into() } else { format!("node-{index}.example") }
}
