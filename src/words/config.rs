//! What an operator decides: how often and with how many a node talks, what it accepts, and what others may cost it.

use core::time::Duration;

use crate::wire::{MAX_MESSAGE, MIN_MESSAGE};

/// How a node gossips, and what it lets others cost it.
///
/// A value out of range is taken as the nearest one in range, when the node is made.
///
/// ```
/// use core::time::Duration;
/// use verisoo::Config;
///
/// let mut config = Config::default();
/// config.interval = Duration::from_secs(5);
/// assert_eq!(config.max_message, 131_072);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Config {
    /// Time between rounds, jittered by a quarter either way. At least 1 ms; default 60 s.
    pub interval: Duration,
    /// Peers asked in a round, pushed to with a new head, and unhealthy peers tried again in a round.
    /// At least 1; default 16.
    pub fanout: usize,
    /// How long an answer may take at first. At least 1 ms; default 5 s. An expired deadline doubles it
    /// for that peer, up to eight times this value.
    pub timeout: Duration,
    /// The largest frame this node takes or sends, in bytes: what a driver's buffers must hold. 4,608 to
    /// 16 MiB; default 128 KiB, which lets the longest record pass.
    pub max_message: u32,
    /// Fetches of one log outstanding at one time. At least 1; default 4.
    pub window: usize,
    /// How long a relay waits before it offers another's new head, jittered. From zero on; default 100 ms.
    pub relay_delay: Duration,
    /// What logs to accept from peers beyond their own. Default: of each peer up to 1,024 logs, and 1 GiB of
    /// records.
    pub introductions: Introductions,
    /// Peers at most; with [`Fixed`](crate::Fixed) tables no more than they hold. Default 1,024.
    pub max_peers: usize,
    /// Logs at most, the node's own included; with [`Fixed`](crate::Fixed) tables no more than they hold. A
    /// quarter is kept free of introduced ones. Default 131,072.
    pub max_logs: usize,
    /// Pairs of peer and log remembered at one time because the two differ; more cost rounds. At least
    /// 1; default 4,096.
    pub max_views: usize,
    /// Requests outstanding at one time, to all peers together. At least 1; default 256.
    pub max_requests: usize,
}

/// Whether a peer's status may introduce logs that the operator did not name.
///
/// ```
/// use verisoo::Introductions;
/// use verisoo::local::exchange;
/// use verisoo::store::{MemoryStore, Origin};
/// # use verisoo::{Config, Identity, Instant, Node};
///
/// # let now = Instant::ZERO;
/// # let member = |name, seed, introductions| {
/// #     let mut config = Config::default();
/// #     config.introductions = introductions;
/// #     let node: Node = Node::new(Identity::from_seed(name, &[seed; 32])?, config, [seed; 32], now);
/// #     Ok::<_, Box<dyn std::error::Error>>((node, MemoryStore::new()))
/// # };
/// let some = Introductions::Accept { logs: 8, bytes: 1 << 20 };
/// let (mut anna, mut bob) = (member("anna.example", 1, some)?, member("bob.example", 2, some)?);
/// let (mut carol, mut dora) = (member("carol.example", 3, some)?, member("dora.example", 4, Introductions::Refuse)?);
///
/// // Bob has what Anna wrote; Carol and Dora know only Bob.
/// anna.0.append(&mut anna.1, b"a record")?;
/// anna.0.publish(&mut anna.1)?;
/// bob.0.add_peer(&mut bob.1, *anna.0.vkey())?;
/// carol.0.add_peer(&mut carol.1, *bob.0.vkey())?;
/// dora.0.add_peer(&mut dora.1, *bob.0.vkey())?;
///
/// exchange(now, &mut [&mut bob, &mut anna])?;
/// exchange(now, &mut [&mut bob, &mut carol, &mut dora])?;
/// let log = anna.0.id();
/// assert_eq!(carol.0.log(&log).unwrap().origin, Origin::Introduced(bob.0.id()));
/// assert_eq!(carol.1.record(&log, 0), Some(&b"a record"[..]));
/// assert_eq!(dora.0.log(&log), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Introductions {
    /// Never: only the logs of peers and those followed by hand.
    Refuse,
    /// Up to a quota for each introducer.
    Accept {
        /// Logs one peer may introduce.
        logs: usize,
        /// Bytes of records stored for the logs one peer introduced. Once reached, nothing more of them
        /// is fetched; their heads are still checked.
        bytes: u64,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            fanout: 16,
            timeout: Duration::from_secs(5),
            max_message: 128 << 10,
            window: 4,
            relay_delay: Duration::from_millis(100),
            introductions: Introductions::Accept { logs: 1_024, bytes: 1 << 30 },
            max_peers: 1_024,
            max_logs: 131_072,
            max_views: 4_096,
            max_requests: 256,
        }
    }
}

impl Config {
    /// The configuration with every value in range.
    pub(crate) fn clamped(mut self) -> Self {
        const SHORTEST: Duration = Duration::from_millis(1);
        // A century: far beyond any use, and no sum of such durations overflows.
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
        self.interval = self.interval.clamp(SHORTEST, LONGEST);
        self.timeout = self.timeout.clamp(SHORTEST, LONGEST);
        self.relay_delay = self.relay_delay.min(LONGEST);
        self.max_message = self.max_message.clamp(MIN_MESSAGE, MAX_MESSAGE);
        self.fanout = self.fanout.max(1);
        self.window = self.window.max(1);
        self.max_views = self.max_views.max(1);
        self.max_requests = self.max_requests.max(1);
        self
    }
}
