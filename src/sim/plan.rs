//! What is to happen in a simulation: one seed expands into an explicit plan, which can be kept as JSON,
//! replayed, and shortened entry by entry. Times are microseconds of simulated time.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// What kind of trouble a seed expands into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Few nodes, few faults: fast.
    Lite,
    /// A random mix of everything.
    Swarm,
    /// Adversaries, on a network that behaves.
    Byzantine,
    /// Disks that fail and nodes that crash.
    Disk,
    /// No faults at all, and checks only at the end: how fast the simulator is.
    Perf,
}

/// Everything that happens in one simulation. All times, here and in what it is made of, are microseconds of
/// simulated time; nodes are counted from 0, in the order of [`Plan::nodes`].
///
/// A plan is made by [`Plan::expand`], changed at will, and kept as JSON. One that was changed by hand has to keep
/// to what [`Plan::from_json`] asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Decides the fates of packets, the keys, the records' bytes and whatever else is drawn on the way.
    pub seed: u64,
    /// What it was expanded as.
    pub profile: Profile,
    /// Time between gossip rounds of every node; above zero.
    pub interval: u64,
    /// Honest nodes first, then adversaries.
    pub nodes: Vec<NodePlan>,
    /// Who is whose peer.
    pub links: Vec<Link>,
    /// How the network treats packets until it calms.
    pub weather: Weather,
    /// When faults stop; adversaries go on.
    pub calm_at: u64,
    /// How long the honest nodes may take from then on to converge, in intervals.
    pub patience: u64,
    /// What happens, in order of time.
    pub entries: Vec<Entry>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePlan {
    /// Whether it misbehaves, as entries say.
    pub is_adversary: bool,
    /// The largest message it takes, in bytes.
    pub max_message: u32,
    /// Peers asked in a round.
    pub fanout: u32,
    /// Fetches outstanding of one log.
    pub window: u32,
    /// What its clock shows when the simulation begins, in microseconds.
    pub clock_offset: u64,
    /// How much faster its clock runs, in parts per million.
    pub drift_ppm: i64,
    /// Follows the logs of all honest nodes by hand.
    pub pins: bool,
    /// Its transport proves who answers.
    pub is_authenticated: bool,
    /// Logs that a peer may introduce to it.
    pub introductions: u32,
    /// Differences with its peers that it remembers at one time.
    pub views: u32,
    /// Requests that it has outstanding at one time.
    pub requests: u32,
}

/// `from` has `to` as a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Who asks.
    pub from: u32,
    /// Who is asked.
    pub to: u32,
}

/// How the network treats packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weather {
    /// The least time that a packet takes, in microseconds.
    pub delay: u64,
    /// Up to so much more, which is what reorders packets.
    pub jitter: u64,
    /// Packets lost, of a thousand.
    pub loss: u32,
    /// Of a thousand stretches of a link's time, those in which nearly everything is lost.
    pub bursts: u32,
    /// Packets delivered twice, of a thousand.
    pub duplicates: u32,
    /// Packets delivered once more, up to a hundred intervals later, of a thousand.
    pub replays: u32,
    /// Bytes a second on each link; 0 is unlimited.
    pub bandwidth: u64,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the plan as it was expanded: what is drawn for it depends on this alone, so that
    /// leaving others out changes nothing here.
    pub id: u32,
    /// When, in microseconds of simulated time.
    pub at: u64,
    /// What.
    pub act: Act,
}

/// What can happen. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Act {
    /// A node appends records to its own log.
    Append {
        /// Who.
        node: u32,
        /// How many.
        count: u32,
        /// Bytes in each, at most.
        len: u32,
    },
    /// A node loses power.
    Crash {
        /// Who.
        node: u32,
        /// For how long.
        down: u64,
        /// What it starts from.
        restart: Restart,
    },
    /// A node's disk is copied, for a later restart from that copy.
    Backup {
        /// Whose.
        node: u32,
    },
    /// Packets from some nodes to others are lost.
    Cut {
        /// From whom.
        from: Vec<u32>,
        /// To whom.
        to: Vec<u32>,
        /// The other way as well.
        both: bool,
        /// For how long.
        time: u64,
    },
    /// A node's process stands still: what arrives waits.
    Pause {
        /// Who.
        node: u32,
        /// For how long.
        time: u64,
    },
    /// A node's clock is set.
    Clock {
        /// Whose.
        node: u32,
        /// By how much, in microseconds; below zero, back.
        by: i64,
    },
    /// A node's disk begins to fail.
    Disk {
        /// Whose.
        node: u32,
        /// How.
        fault: DiskFault,
        /// For how long.
        time: u64,
    },
    /// A node is told to sync with one of its peers.
    Sync {
        /// Who.
        node: u32,
        /// Which of its peers, counted from 0 and around.
        peer: u32,
    },
    /// An adversary does something once.
    Misdeed {
        /// Who.
        node: u32,
        /// What.
        misdeed: Misdeed,
    },
    /// An adversary takes to a habit: from now on it treats its messages so.
    Habit {
        /// Who.
        node: u32,
        /// What it does to messages.
        habit: Habit,
        /// To how many of those that it can do it to, of a thousand.
        permille: u32,
    },
}

/// What a device does wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DiskFault {
    /// Calls fail: so many in a thousand.
    Errors {
        /// Out of a thousand calls.
        permille: u32,
    },
    /// Calls are answered with 'not ready': so many in a thousand.
    NotReady {
        /// Out of a thousand calls.
        permille: u32,
    },
    /// There is no room for anything.
    Full,
    /// Reads of records, hashes and proofs come with one bit flipped: so many in a thousand.
    Rot {
        /// Out of a thousand reads.
        permille: u32,
    },
}

/// What a crashed node starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Restart {
    /// Its disk, as the crash left it.
    Resume,
    /// The same, but the operator is in doubt and says so.
    Recover,
    /// The last copy of its disk, or an empty one. Only where a running honest peer durably holds all that
    /// the node ever let out of its own log: otherwise nobody could give it back, and the disk is kept.
    Backup,
}

/// What an adversary does once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Misdeed {
    /// Signs two histories, and shows half of its peers one, half the other.
    Fork {
        /// Records it appends to each.
        counts: [u32; 2],
    },
    /// Goes back to an earlier state of its log, and signs on from there.
    Rollback {
        /// Records it appends then.
        count: u32,
    },
    /// Joins the second history of another adversary, and shows it to its own peers.
    Collude {
        /// Whose.
        with: u32,
    },
    /// Pushes heads of honest logs that it made up.
    ForgedHeads,
    /// Pushes honest records with false framing, proofs or order.
    ForgedBatches,
    /// Pushes fork proofs of honest logs that prove nothing.
    ForgedForkProofs,
    /// Begins logs without end and lists them all.
    InventLogs {
        /// How many.
        count: u32,
    },
    /// Asks for statuses, records, proofs, keys, of logs there are and are not.
    Requests {
        /// How many.
        count: u32,
    },
    /// Sends bytes that are no frames.
    Garbage {
        /// How many messages.
        count: u32,
    },
    /// Signs a head of a size that no log has, for its own log.
    InventedSize,
    /// Publishes a head and withholds the records that lead to it.
    Withhold {
        /// How many it withholds.
        count: u32,
    },
}

/// What an adversary does to its messages, and what must come of it. (At fault is the peer that answered, where
/// the transport proves that it was that peer; else the answer counts as a failure.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Habit {
    /// Flips a bit in a proof: at fault for it, where a proof was asked for.
    ProofBit,
    /// Adds a hash to a proof: the same.
    ProofTooLong,
    /// Takes a hash from a proof: the same.
    ProofTooShort,
    /// Swaps two hashes of a proof: the same.
    ProofSwapped,
    /// Answers for another size than asked: nothing is taken.
    ProofOtherSize,
    /// Flips a bit in a record: at fault where records are a log's first; else nothing is taken, and a proof
    /// is asked for that tells a false answer from a fork.
    RecordBit,
    /// Swaps records, keeping the proof: the same.
    RecordsSwapped,
    /// Leaves out the last record, keeping the proof, which is for more: the same.
    RecordsCut,
    /// Cuts the framing: at fault, where the records are the next.
    RecordsTruncated,
    /// Changes the root in a head: at fault.
    HeadForged,
    /// Replaces a head by one it saw earlier: what is held does not become less.
    HeadReplayed,
    /// Puts its own log's head and signature under another log: at fault.
    HeadOfOtherLog,
    /// Puts a signature made for another context under a status: nothing is taken.
    OtherContext,
    /// Answers with a status given earlier: nothing is taken.
    StatusReplayed,
    /// Signs a status whose entries are out of order: at fault, whatever the transport.
    StatusDisordered,
    /// Answers with a key that does not have the id asked for: at fault.
    FalseKey,
    /// Answers with a fork proof that proves nothing: at fault, and nobody is accused.
    FalseForkProof,
    /// Says, signed, that it holds more than there is: it is taken to hold what was signed, no more.
    FalseWord,
    /// Answers with bytes that are no frame: not decoded.
    Garbage,
    /// Answers in an encoding that is not the canonical one: not decoded.
    NotCanonical,
    /// Answers with lengths beyond the message: not decoded.
    Oversize,
    /// Answers just before the deadline: nobody is at fault.
    Slow,
    /// Does not answer: unhealthy after three in a row, and the others go on.
    Silent,
    /// Refuses: asked again later, and the others go on.
    Refuse,
    /// Lets nothing through that shows a fork: it is proven all the same, on all that others connect.
    HideForks,
}

impl Plan {
    /// The plan as JSON.
    ///
    /// # Panics
    ///
    /// Never: a plan holds nothing that JSON cannot.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads a plan; `None` where the text is not one, or where the plan cannot be carried out: it names nodes that
    /// there are not, or has an adversary do what only honest nodes do (or the reverse), links a node with itself,
    /// has no honest node or not all of them first, or an interval of 0.
    ///
    /// ```
    /// use verisoo::sim::{Act, Plan, Profile, Simulation};
    ///
    /// // A plan is text that can be kept, and read again.
    /// let plan = Plan::expand(7, Profile::Lite, None);
    /// let mut kept = Plan::from_json(&plan.to_json()).unwrap();
    /// assert_eq!(kept, plan);
    ///
    /// // It can be changed: here to what goes wrong when nothing goes wrong but the network.
    /// kept.entries.retain(|entry| matches!(entry.act, Act::Append { .. }));
    /// kept.weather.loss = 200;
    /// assert_eq!(Simulation::new(kept).run().violation, None);
    ///
    /// assert_eq!(Plan::from_json(&plan.to_json().replace("\"interval\": 10000000", "\"interval\": 0")), None);
    /// ```
    pub fn from_json(text: &str) -> Option<Self> {
        let plan: Self = serde_json::from_str(text).ok()?;
        plan.is_sound().then_some(plan)
    }

    /// Whether a [`Simulation`](super::Simulation) can carry it out: honest nodes come first, every node that is
    /// named exists and can do what is asked of it, and no time is beyond [`Plan::LONGEST`].
    pub fn is_sound(&self) -> bool {
        let honest = self.honest();
        let count = self.nodes.len() as u64;
        let exists = |node: u32| u64::from(node) < count;
        let is_honest = |node: u32| u64::from(node) < honest;
        let acts = self.entries.iter().all(|entry| match &entry.act {
            Act::Append { node, .. }
            | Act::Crash { node, .. }
            | Act::Backup { node }
            | Act::Pause { node, .. }
            | Act::Clock { node, .. }
            | Act::Disk { node, .. }
            | Act::Sync { node, .. } => is_honest(*node),
            Act::Cut { from, to, .. } => from.iter().chain(to).all(|node| exists(*node)),
            Act::Misdeed { node, misdeed: Misdeed::Collude { with } } => {
                [node, with].into_iter().all(|node| exists(*node) && !is_honest(*node))
            }
            Act::Misdeed { node, .. } | Act::Habit { node, .. } => exists(*node) && !is_honest(*node),
        });
        let links = self.links.iter().all(|link| exists(link.from) && exists(link.to) && link.from != link.to);
        let first_adversary = self.nodes.iter().position(|node| node.is_adversary);
        let in_order = first_adversary.is_none_or(|at| self.nodes.iter().skip(at).all(|node| node.is_adversary));
        acts && links && in_order && honest > 0 && self.interval > 0 && self.is_timely()
    }

    /// The longest time there is in a plan, in microseconds: some 35 years.
    pub const LONGEST: u64 = 1 << 50;

    fn is_timely(&self) -> bool {
        let times = [self.calm_at, self.weather.delay, self.weather.jitter];
        let ends = self.interval.checked_mul(self.patience.max(1_000));
        let acts = self.entries.iter().flat_map(|entry| {
            let lasts = match entry.act {
                Act::Crash { down, .. } => down,
                Act::Cut { time, .. } | Act::Pause { time, .. } | Act::Disk { time, .. } => time,
                _ => 0,
            };
            [entry.at, lasts]
        });
        times.into_iter().chain(acts).map(Some).chain([ends]).all(|time| time.is_some_and(|time| time <= Self::LONGEST))
    }

    /// How many of the nodes are honest.
    pub fn honest(&self) -> u64 {
        self.nodes.iter().filter(|node| !node.is_adversary).count() as u64
    }

    /// The same plan without the entries that have one of these [ids](Entry::id). What is drawn for those that stay
    /// stays the same.
    ///
    /// ```
    /// use verisoo::sim::{Act, Plan, Profile};
    ///
    /// let plan = Plan::expand(7, Profile::Swarm, None);
    /// let crashes = plan.entries.iter().filter(|entry| matches!(entry.act, Act::Crash { .. }));
    /// let ids: Vec<u32> = crashes.map(|entry| entry.id).collect();
    /// let calmer = plan.without(&ids);
    /// assert_eq!(calmer.entries.len(), plan.entries.len() - ids.len());
    /// ```
    #[must_use]
    pub fn without(&self, ids: &[u32]) -> Self {
        let entries = self.entries.iter().filter(|entry| !ids.contains(&entry.id)).cloned().collect();
        Self { entries, ..self.clone() }
    }
}
