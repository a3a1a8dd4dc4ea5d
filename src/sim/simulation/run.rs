//! Carrying a plan out, from its beginning to its report. Of what is due at one moment the plan's entries come
//! first, and the rest as it was scheduled, so that one plan has one trace.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::happening::Observer;
use super::state::{DiskHistory, Simulation, What};
use crate::key::Scheme;
use crate::sim::adversary::Adversary;
use crate::sim::disk::{Disk, SimDisk};
use crate::sim::hash::Digest;
use crate::sim::links::connected;
use crate::sim::member::{Member, name};
use crate::sim::metrics::{Metrics, Report};
use crate::sim::network::Network;
use crate::sim::oracle::{Oracle, Traffic, Truth};
use crate::sim::plan::Plan;
use crate::store::MemoryStore;

impl Simulation {
    /// A plan to be carried out by nodes with the stand-in signature scheme on simulated disks.
    pub fn new(plan: Plan) -> Self {
        Self::with(plan, |_, plan| SimDisk::for_plan(plan))
    }
}

impl<S: Scheme, D: Disk> Simulation<S, D> {
    /// The same with another signature scheme, or on other disks: `disk` makes one for each honest node, given its
    /// number. For an example, see [`Disk`].
    ///
    /// # Panics
    ///
    /// Where the plan is not sound ([`Plan::is_sound`]).
    pub fn with(plan: Plan, mut disk: impl FnMut(u32, &Plan) -> D) -> Self {
        assert!(plan.is_sound(), "the plan names what there is not, or its nodes are not in order");
        let honest = usize::try_from(plan.honest()).unwrap_or(0);
        let count = u32::try_from(plan.nodes.len()).unwrap_or(u32::MAX);
        let mut members = Vec::new();
        let mut adversaries = Vec::new();
        for (index, node) in (0..).zip(&plan.nodes) {
            let name = name(index, node.is_adversary);
            if node.is_adversary {
                let face = Member::new(index, plan.seed, &name, node, plan.interval, MemoryStore::new());
                adversaries.push(Adversary::new(face, node.clone(), plan.interval, plan.seed));
            } else {
                members.push(Member::new(index, plan.seed, &name, node, plan.interval, disk(index, &plan)));
            }
        }
        let mut oracle = Oracle::new(honest);
        for member in &members {
            let member: &Member<S, D> = member;
            oracle.know(member.node.id(), Some(member.index));
        }
        for adversary in &adversaries {
            let adversary: &Adversary<S> = adversary;
            oracle.know(adversary.id(), None);
        }
        let ids = members.iter().map(|member| member.node.id()).chain(adversaries.iter().map(Adversary::id)).collect();
        let core = connected(&plan);
        let mut simulation = Self {
            now: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            entries: Vec::new().into_iter(),
            packets: Vec::new(),
            free: Vec::new(),
            disks: (0..honest).map(|_| DiskHistory::default()).collect(),
            wakes: vec![0; honest],
            traffic: vec![Traffic::default(); honest],
            network: Network::new(plan.seed, plan.weather, count),
            metrics: Metrics::default(),
            digest: Digest::new(),
            violation: None,
            is_calm: false,
            scratch: vec![0; 1 << 17],
            observer: None,
            members,
            adversaries,
            ids,
            oracle,
            core,
            plan,
        };
        simulation.begin();
        simulation
    }

    /// Who is to be told of everything that happens, with the time in microseconds, from now on; takes the place
    /// of whoever was told before. What is told changes nothing: the trace is the same.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use verisoo::Notice;
    /// use verisoo::sim::{Happening, Plan, Profile, Simulation};
    ///
    /// let published = Rc::new(Cell::new(0));
    /// let counter = Rc::clone(&published);
    /// let mut simulation = Simulation::new(Plan::expand(7, Profile::Lite, None));
    /// simulation.observe(Box::new(move |_at, happening| {
    ///     if let Happening::Notice { notice: Notice::Published { .. }, .. } = happening {
    ///         counter.set(counter.get() + 1);
    ///     }
    /// }));
    /// simulation.run();
    /// assert!(published.get() > 0);
    /// ```
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Microseconds of simulated time.
    pub fn now(&self) -> u64 {
        self.now
    }

    fn begin(&mut self) {
        for at in 0..self.members.len() {
            self.dial(at);
        }
        for at in 0..self.adversaries.len() {
            self.dial_adversary(at);
        }
        let mut entries: Vec<u32> = (0..u32::try_from(self.plan.entries.len()).unwrap_or(u32::MAX)).collect();
        entries.sort_by_key(|index| self.plan.entries[*index as usize].at);
        // Of what is due at one moment the plan's entries come first, in their order.
        self.sequence = entries.len() as u64;
        self.entries = entries.into_iter();
        self.schedule_entry();
        self.schedule(self.plan.calm_at, What::Calm);
        self.schedule(self.plan.interval / 2, What::Sample);
        for index in 0..u32::try_from(self.plan.nodes.len()).unwrap_or(0) {
            self.schedule(0, What::Wake(index));
        }
    }

    /// Carries the plan out to its end: until all of the core has converged and fallen silent after the
    /// faults ended, until the time for that is over, or until an invariant is broken.
    pub fn run(mut self) -> Report {
        while self.step() {}
        self.report()
    }

    /// Lets the next event happen; `false` at the end. [`Simulation::run`] then gives the report.
    ///
    /// ```
    /// use verisoo::sim::{Plan, Profile, Simulation};
    ///
    /// let mut simulation = Simulation::new(Plan::expand(7, Profile::Lite, None));
    /// // To the end of the first simulated minute, and then to the end.
    /// while simulation.now() < 60_000_000 && simulation.step() {}
    /// let report = simulation.run();
    /// assert!(report.ended_at > 60_000_000 && report.violation.is_none());
    /// ```
    pub fn step(&mut self) -> bool {
        if self.violation.is_some() || self.metrics.ended_at.is_some() {
            return false;
        }
        let Some(Reverse(next)) = self.queue.pop() else { return false };
        self.now = next.at;
        match next.what {
            What::Packet(packet) => self.deliver(packet),
            What::Wake(index) => self.wake(index),
            What::Entry(entry) => {
                self.schedule_entry();
                self.act(entry);
            }
            What::End(entry) => self.end(entry),
            What::Restart(index) => self.restart(index),
            What::Calm => self.calm(),
            What::Sample => self.sample(),
        }
        true
    }

    fn report(mut self) -> Report {
        let (_, pending) = self.convergence();
        let (forks_visible, forks_proven) = self.forks();
        let others = (self.members.len() as u64).saturating_sub(1);
        let record_bytes: u64 = self.oracle.logs.values().map(Truth::bytes).sum();
        let mut metrics = self.metrics;
        metrics.digest = self.digest.value();
        metrics.record_bytes = record_bytes * others;
        metrics.replicas = others;
        metrics.forks_visible = forks_visible;
        metrics.forks_proven = forks_proven;
        if metrics.pending.is_empty() {
            metrics.pending = pending;
        }
        let latencies = core::mem::take(&mut self.oracle.latencies);
        metrics.into_report(self.plan.seed, self.plan.profile, self.now, latencies, self.violation)
    }
}
