//! From a seed to a plan.

use alloc::vec;
use alloc::vec::Vec;

use super::hash::{draw, scale};
use super::plan::{Act, DiskFault, Entry, Habit, Link, Misdeed, NodePlan, Plan, Profile, Restart, Weather};
use crate::rng::Rng;

const SECOND: u64 = 1_000_000;

/// Time between rounds in the plans made here.
const INTERVAL: u64 = 10 * SECOND;

/// How long it is measured how fast the simulator is.
const LONG: u64 = 600 * INTERVAL;

/// When faults stop.
const CALM_AT: u64 = 12 * INTERVAL;

impl Plan {
    /// The plan that a seed stands for under a profile: the same on every machine. With `nodes`, so many honest
    /// nodes (1 to 1,000); otherwise two to eight, as the seed says.
    ///
    /// ```
    /// use verisoo::sim::{Plan, Profile};
    ///
    /// let plan = Plan::expand(7, Profile::Byzantine, Some(5));
    /// assert_eq!(plan.honest(), 5);
    /// assert!(plan.nodes.iter().any(|node| node.is_adversary));
    /// assert_eq!(plan, Plan::expand(7, Profile::Byzantine, Some(5)));
    /// assert_ne!(plan, Plan::expand(8, Profile::Byzantine, Some(5)));
    /// ```
    pub fn expand(seed: u64, profile: Profile, nodes: Option<u32>) -> Self {
        let mut rng = Rng::new(draw(&[seed, profile as u64]));
        let (least, most) = match profile {
            Profile::Lite => (2, 4),
            Profile::Swarm => (2, 8),
            Profile::Byzantine => (2, 6),
            Profile::Disk => (2, 5),
            Profile::Perf => (8, 8),
        };
        let honest = nodes.map_or_else(|| between(&mut rng, least, most), |nodes| nodes.clamp(1, 1_000));
        let adversaries = match profile {
            Profile::Swarm => between(&mut rng, 0, 2),
            Profile::Byzantine => between(&mut rng, 1, 3),
            Profile::Lite | Profile::Disk | Profile::Perf => 0,
        };
        let mut expansion = Expansion { rng, profile, honest, adversaries, entries: Vec::new() };
        let nodes = expansion.nodes();
        let links = expansion.links();
        let weather = expansion.weather();
        expansion.entries();
        let mut entries = expansion.entries;
        entries.sort_by_key(|entry| (entry.at, entry.id));
        let patience = 60 + 4 * u64::from(honest);
        let calm_at = if profile == Profile::Perf { LONG } else { CALM_AT };
        Self { seed, profile, interval: INTERVAL, nodes, links, weather, calm_at, patience, entries }
    }
}

struct Expansion {
    rng: Rng,
    profile: Profile,
    honest: u32,
    adversaries: u32,
    entries: Vec<Entry>,
}

/// A number from `least` to `most`, both included.
fn between(rng: &mut Rng, least: u32, most: u32) -> u32 {
    let span = u64::from(most.saturating_sub(least)) + 1;
    least + u32::try_from(scale(rng.next(), span)).unwrap_or(0)
}

fn one_in(rng: &mut Rng, odds: u32) -> bool {
    between(rng, 1, odds) == 1
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> Option<T> {
    from.get(rng.below(from.len())).copied()
}

impl Expansion {
    fn is_calm(&self) -> bool {
        matches!(self.profile, Profile::Lite | Profile::Perf)
    }

    fn nodes(&mut self) -> Vec<NodePlan> {
        let rng = &mut self.rng;
        // A federation where every node refuses to be introduced to strangers, or one where they all accept.
        let (pins, is_authenticated) = (one_in(rng, 2), one_in(rng, 2));
        let introductions = if pins { between(rng, 0, 24) } else { 1_024 };
        let is_perf = self.profile == Profile::Perf;
        let plain = is_perf || (self.profile == Profile::Lite && one_in(rng, 2));
        (0..self.honest + self.adversaries)
            .map(|node| NodePlan {
                is_adversary: node >= self.honest,
                max_message: if plain { 1 << 16 } else { pick(rng, &[4_608, 8_192, 16_384, 65_536]).unwrap_or(4_608) },
                fanout: if is_perf { 16 } else { pick(rng, &[1, 2, 16]).unwrap_or(16) },
                window: between(rng, 1, 4),
                clock_offset: if plain { 0 } else { u64::from(between(rng, 0, u32::MAX)) * 1_000 },
                drift_ppm: if plain { 0 } else { i64::from(between(rng, 0, 2_000)) - 1_000 },
                pins,
                is_authenticated,
                introductions,
                views: if plain { 4_096 } else { pick(rng, &[4, 16, 4_096]).unwrap_or(4_096) },
                requests: if plain { 256 } else { pick(rng, &[4, 16, 256]).unwrap_or(256) },
            })
            .collect()
    }

    /// A line, a ring, a star, a mesh, or a random tree with some more links; adversaries anywhere.
    fn links(&mut self) -> Vec<Link> {
        let rng = &mut self.rng;
        let honest = self.honest;
        let shape = if self.profile == Profile::Perf { 3 } else { between(rng, 0, 5) };
        let mut pairs: Vec<(u32, u32)> = match shape {
            0 => (1..honest).map(|node| (node - 1, node)).collect(),
            1 => (0..honest).map(|node| (node, (node + 1) % honest)).collect(),
            2 => (1..honest).map(|node| (0, node)).collect(),
            3 => (0..honest).flat_map(|a| (0..a).map(move |b| (a, b))).collect(),
            _ => (1..honest).map(|node| (node, between(rng, 0, node - 1))).collect(),
        };
        if shape > 3 {
            for _ in 0..between(rng, 0, honest) {
                pairs.push((between(rng, 0, honest - 1), between(rng, 0, honest - 1)));
            }
        }
        for adversary in honest..honest + self.adversaries {
            let mut others: Vec<u32> = (0..honest).collect();
            for _ in 0..between(rng, 1, honest.min(4)) {
                let other = others.swap_remove(rng.below(others.len()));
                pairs.push((adversary, other));
            }
            // Adversaries know each other.
            pairs.extend((honest..adversary).map(|other| (adversary, other)));
        }
        let mut links: Vec<Link> = Vec::new();
        for (a, b) in pairs.into_iter().filter(|(a, b)| a != b) {
            for link in [Link { from: a, to: b }, Link { from: b, to: a }] {
                if !links.contains(&link) {
                    links.push(link);
                }
            }
        }
        links
    }

    fn weather(&mut self) -> Weather {
        let rng = &mut self.rng;
        let calm = Weather { delay: 10_000, jitter: 5_000, ..Weather::default() };
        match self.profile {
            Profile::Perf => calm,
            Profile::Lite => Weather { loss: pick(rng, &[0, 0, 10, 50]).unwrap_or(0), ..calm },
            Profile::Byzantine | Profile::Disk => Weather {
                loss: pick(rng, &[0, 0, 0, 20]).unwrap_or(0),
                duplicates: pick(rng, &[0, 0, 20]).unwrap_or(0),
                ..calm
            },
            Profile::Swarm => Weather {
                delay: pick(rng, &[100, 10_000, 200_000]).unwrap_or(0),
                jitter: pick(rng, &[0, 5_000, 500_000, 2_000_000]).unwrap_or(0),
                loss: pick(rng, &[0, 10, 100, 300]).unwrap_or(0),
                bursts: pick(rng, &[0, 0, 50, 200]).unwrap_or(0),
                duplicates: pick(rng, &[0, 20, 200]).unwrap_or(0),
                replays: pick(rng, &[0, 0, 20, 100]).unwrap_or(0),
                bandwidth: pick(rng, &[0, 0, 100_000, 20_000]).unwrap_or(0),
            },
        }
    }

    fn push(&mut self, at: u64, act: Act) {
        let id = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { id, at, act });
    }

    /// A moment before the calm, early enough for what begins there to end by itself.
    fn moment(&mut self) -> u64 {
        scale(self.rng.next(), CALM_AT - 2 * INTERVAL)
    }

    fn stretch(&mut self) -> u64 {
        SECOND + scale(self.rng.next(), 2 * INTERVAL - SECOND)
    }

    fn anyone(&mut self) -> u32 {
        between(&mut self.rng, 0, self.honest - 1)
    }

    fn entries(&mut self) {
        if self.profile == Profile::Perf {
            return self.steady_appends();
        }
        let appends = if self.is_calm() { between(&mut self.rng, 1, 12) } else { between(&mut self.rng, 2, 30) };
        for _ in 0..appends {
            let (at, node) = (self.moment(), self.anyone());
            let count = pick(&mut self.rng, &[1, 1, 2, 5, 40, 150]).unwrap_or(1);
            let len = pick(&mut self.rng, &[0, 8, 64, 64, 700]).unwrap_or(8);
            self.push(at, Act::Append { node, count, len });
        }
        // Every log has something to lose.
        for node in 0..self.honest {
            self.push(u64::from(node) * 1_000, Act::Append { node, count: 1, len: 8 });
        }
        if matches!(self.profile, Profile::Swarm | Profile::Lite) {
            self.network_entries();
        }
        if matches!(self.profile, Profile::Swarm | Profile::Disk) {
            self.disk_entries();
        }
        for adversary in self.honest..self.honest + self.adversaries {
            self.adversary_entries(adversary);
        }
    }

    fn steady_appends(&mut self) {
        let step = INTERVAL / 4;
        for turn in 0..LONG / step {
            let node = u32::try_from(turn % u64::from(self.honest)).unwrap_or(0);
            self.push(turn * step, Act::Append { node, count: 1, len: 64 });
        }
    }

    fn network_entries(&mut self) {
        let most = if self.is_calm() { 1 } else { 4 };
        for _ in 0..between(&mut self.rng, 0, most) {
            let (at, time, both) = (self.moment(), self.stretch(), one_in(&mut self.rng, 2));
            let all = 0..self.honest + self.adversaries;
            let rng = &mut self.rng;
            let (from, to): (Vec<u32>, Vec<u32>) = all.partition(|_| one_in(rng, 2));
            self.push(at, Act::Cut { from, to, both, time });
        }
        for _ in 0..between(&mut self.rng, 0, most) {
            let (at, time, node) = (self.moment(), self.stretch(), self.anyone());
            self.push(at, Act::Pause { node, time });
        }
        for _ in 0..between(&mut self.rng, 0, most) {
            let (at, node) = (self.moment(), self.anyone());
            let hour = 3_600_000_000;
            let by = pick(&mut self.rng, &[-hour, -1, 1_000, hour, i64::MAX / 4, -i64::MAX / 4]).unwrap_or(0);
            self.push(at, Act::Clock { node, by });
        }
        for _ in 0..between(&mut self.rng, 0, most) {
            let (at, node) = (self.moment(), self.anyone());
            let peer = between(&mut self.rng, 0, 9);
            self.push(at, Act::Sync { node, peer });
        }
    }

    fn disk_entries(&mut self) {
        for _ in 0..between(&mut self.rng, 0, 6) {
            let (at, down, node) = (self.moment(), self.stretch(), self.anyone());
            let restart = pick(&mut self.rng, &[Restart::Resume, Restart::Resume, Restart::Recover, Restart::Backup]);
            self.push(at, Act::Crash { node, down, restart: restart.unwrap_or(Restart::Resume) });
        }
        for _ in 0..between(&mut self.rng, 0, 2) {
            let (at, node) = (self.moment(), self.anyone());
            self.push(at, Act::Backup { node });
        }
        for _ in 0..between(&mut self.rng, 0, 4) {
            let (at, time, node) = (self.moment(), self.stretch(), self.anyone());
            let permille = pick(&mut self.rng, &[5, 50, 300, 1_000]).unwrap_or(5);
            let faults = vec![
                DiskFault::Errors { permille },
                DiskFault::NotReady { permille },
                DiskFault::Full,
                DiskFault::Rot { permille: permille.min(50) },
            ];
            let fault = pick(&mut self.rng, &faults).unwrap_or(DiskFault::Full);
            self.push(at, Act::Disk { node, fault, time });
        }
    }

    fn adversary_entries(&mut self, node: u32) {
        self.push(2_000, Act::Append { node: 0, count: 3, len: 64 });
        for _ in 0..between(&mut self.rng, 0, 3) {
            let (at, habit) = (self.moment() / 2, pick(&mut self.rng, HABITS).unwrap_or(Habit::Silent));
            let permille = pick(&mut self.rng, &[50, 300, 1_000]).unwrap_or(50);
            self.push(at, Act::Habit { node, habit, permille });
        }
        for _ in 0..between(&mut self.rng, 0, 4) {
            // Adversaries go on when the faults have ended.
            let at = self.moment() * 5 / 4;
            let rng = &mut self.rng;
            let count = between(rng, 1, 40);
            let misdeed = match between(rng, 0, 11) {
                // At one size,
                0 => Misdeed::Fork { counts: [count.min(20); 2] },
                // and at two.
                1 => Misdeed::Fork { counts: [between(rng, 1, 20), between(rng, 1, 20)] },
                2 => Misdeed::Rollback { count: between(rng, 1, 20) },
                3 if self.adversaries > 1 => {
                    let others: Vec<u32> =
                        (self.honest..self.honest + self.adversaries).filter(|other| *other != node).collect();
                    Misdeed::Collude { with: pick(rng, &others).unwrap_or(node) }
                }
                3 | 4 => Misdeed::ForgedHeads,
                5 => Misdeed::ForgedForkProofs,
                6 => Misdeed::InventLogs { count },
                7 => Misdeed::Requests { count },
                8 => Misdeed::Garbage { count },
                9 => Misdeed::InventedSize,
                10 => Misdeed::ForgedBatches,
                _ => Misdeed::Withhold { count: between(rng, 1, 20) },
            };
            self.push(at, Act::Misdeed { node, misdeed });
        }
    }
}

const HABITS: &[Habit] = &[
    Habit::ProofBit,
    Habit::ProofTooLong,
    Habit::ProofTooShort,
    Habit::ProofSwapped,
    Habit::ProofOtherSize,
    Habit::RecordBit,
    Habit::RecordsSwapped,
    Habit::RecordsCut,
    Habit::RecordsTruncated,
    Habit::HeadForged,
    Habit::HeadReplayed,
    Habit::HeadOfOtherLog,
    Habit::OtherContext,
    Habit::StatusReplayed,
    Habit::StatusDisordered,
    Habit::FalseKey,
    Habit::FalseForkProof,
    Habit::FalseWord,
    Habit::Garbage,
    Habit::NotCanonical,
    Habit::Oversize,
    Habit::Slow,
    Habit::Silent,
    Habit::Refuse,
    Habit::HideForks,
];
