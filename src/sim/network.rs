//! The fate of packets. It is drawn from the seed, the link and how many packets that link has seen, and
//! from nothing else, so that a plan with an entry less treats all other packets as before.

use alloc::vec;
use alloc::vec::Vec;

use super::hash::{draw, happens, scale};
use super::plan::Weather;

/// When a packet arrives: once, twice, or not at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fate {
    pub(super) first: Option<u64>,
    pub(super) again: Option<u64>,
}

/// How long a stretch is in which a link may lose nearly everything.
const BURST: u64 = 3_000_000;

/// Loss within such a stretch, of a thousand.
const BURST_LOSS: u32 = 950;

/// Replays come up to so many microseconds later.
const LATEST_REPLAY: u64 = 1_000_000_000;

/// All links between members.
pub(super) struct Network {
    seed: u64,
    weather: Weather,
    links: Vec<LinkState>,
    members: u32,
}

#[derive(Clone, Copy, Default)]
struct LinkState {
    packets: u64,
    busy_until: u64,
    cuts: u32,
}

impl Network {
    pub(super) fn new(seed: u64, weather: Weather, members: u32) -> Self {
        let count = members as usize * members as usize;
        Self { seed, weather, links: vec![LinkState::default(); count], members }
    }

    fn at(&self, from: u32, to: u32) -> usize {
        from as usize * self.members as usize + to as usize
    }

    /// Decides on a packet that leaves now.
    pub(super) fn send(&mut self, now: u64, from: u32, to: u32, len: usize) -> Fate {
        let at = self.at(from, to);
        let Self { seed, weather, .. } = *self;
        let Some(link) = self.links.get_mut(at) else { return Fate::default() };
        link.packets += 1;
        if link.cuts > 0 {
            return Fate::default();
        }
        let name = (u64::from(from) << 32) | u64::from(to);
        let number = link.packets;
        let drawn = |what: u64| draw(&[seed, name, number, what]);
        let is_burst = weather.bursts > 0 && happens(draw(&[seed, name, now / BURST, 7]), weather.bursts);
        let loss = if is_burst { BURST_LOSS } else { weather.loss };
        if loss > 0 && happens(drawn(0), loss) {
            return Fate::default();
        }
        let mut arrives = now + weather.delay + if weather.jitter > 0 { scale(drawn(1), weather.jitter) } else { 0 };
        if weather.bandwidth > 0 {
            let start = link.busy_until.max(now);
            link.busy_until = start + (len as u64 * 1_000_000).div_ceil(weather.bandwidth);
            arrives += link.busy_until - now;
        }
        let again = if weather.replays > 0 && happens(drawn(2), weather.replays) {
            Some(arrives + scale(drawn(3), LATEST_REPLAY))
        } else if weather.duplicates > 0 && happens(drawn(4), weather.duplicates) {
            Some(arrives + scale(drawn(5), weather.jitter.max(1_000)))
        } else {
            None
        };
        Fate { first: Some(arrives), again }
    }

    /// Begins, or ends, a cut from `from` to `to`.
    pub(super) fn cut(&mut self, from: u32, to: u32, begins: bool) {
        let at = self.at(from, to);
        if let Some(link) = self.links.get_mut(at) {
            link.cuts = if begins { link.cuts + 1 } else { link.cuts.saturating_sub(1) };
        }
    }

    /// Faults end: every packet arrives, soon.
    pub(super) fn calm(&mut self) {
        self.weather =
            Weather { delay: self.weather.delay, jitter: self.weather.jitter.min(5_000), ..Weather::default() };
        self.links.iter_mut().for_each(|link| link.cuts = 0);
    }
}
