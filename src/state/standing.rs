//! How a peer has answered: its health, when it is tried again, and how long it is given. Failures count by kind of
//! request. What is a failure and what a fault is judged elsewhere.

use core::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::MIN_MESSAGE;
use crate::words::{Config, Fault, Health, Kind};

/// Failures of one kind in a row that make a peer unhealthy.
const FAILURES: u8 = 3;

/// The longest pause before an unhealthy peer is tried again, in intervals.
const LONGEST_PAUSE: u32 = 10;

/// How long a peer at fault is set aside, in intervals.
const FAULT_PAUSE: u32 = 30;

/// How often a deadline may double.
const SLOWEST: u8 = 3;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Standing {
    health: Health,
    /// Not asked before this moment, unless it is healthy.
    retry_at: Instant,
    /// When a failure was last counted.
    failed_at: Instant,
    /// Failures in a row, of each kind of request.
    failures: [u8; 3],
    /// Pauses taken since it was last healthy.
    pauses: u8,
    /// Times the deadline has doubled and the batch halved.
    slowness: u8,
    /// The application is still to be told of its health.
    is_news: bool,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            health: Health::Healthy,
            retry_at: Instant::ZERO,
            failed_at: Instant::ZERO,
            failures: [0; 3],
            pauses: 0,
            slowness: 0,
            is_news: false,
        }
    }

    pub(crate) fn health(&self) -> Health {
        self.health
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.health == Health::Healthy
    }

    /// When it is tried again, where it is not healthy.
    pub(crate) fn retry_at(&self) -> Instant {
        self.retry_at
    }

    /// How long it is given to answer.
    pub(crate) fn timeout(&self, config: &Config) -> Duration {
        config.timeout.saturating_mul(1 << self.slowness)
    }

    /// The largest answer asked of it, in bytes.
    pub(crate) fn answer_limit(&self, config: &Config) -> u32 {
        (config.max_message >> self.slowness).max(MIN_MESSAGE)
    }

    /// What the application is still to be told.
    pub(crate) fn take_news(&mut self) -> Option<Health> {
        core::mem::take(&mut self.is_news).then_some(self.health)
    }

    /// A request of this kind was answered.
    pub(crate) fn succeeded(&mut self, kind: Kind) {
        self.count(kind, |_| 0);
        self.slowness = self.slowness.saturating_sub(1);
        // A peer at fault answers well enough; it is its pause that ends that, not an answer that was
        // under way.
        if self.health == Health::Unhealthy {
            self.pauses = 0;
            self.becomes(Health::Healthy);
        }
    }

    /// A request of this kind, made at `asked_at`, failed. One made before the last failure says nothing
    /// new: a connection that breaks takes all that was under way with it, and is one failure.
    pub(crate) fn failed(&mut self, kind: Kind, asked_at: Instant, now: Instant, config: &Config, rng: &mut Rng) {
        if asked_at < self.failed_at {
            return;
        }
        self.failed_at = now;
        let failures = self.count(kind, |failures| failures.saturating_add(1));
        match self.health {
            Health::Healthy if failures >= FAILURES => {
                self.becomes(Health::Unhealthy);
                self.pause(now, config, rng);
            }
            Health::Unhealthy => self.pause(now, config, rng),
            // A fault's pause is longer than any: what else fails meanwhile must not shorten it.
            Health::Healthy | Health::AtFault(_) => {}
        }
    }

    /// It did not answer in time.
    pub(crate) fn was_slow(&mut self) {
        self.slowness = (self.slowness + 1).min(SLOWEST);
    }

    /// It did what no correct peer does.
    pub(crate) fn set_aside(&mut self, fault: Fault, now: Instant, config: &Config, rng: &mut Rng) {
        self.becomes(Health::AtFault(fault));
        self.retry_at = now + rng.jitter(config.interval.saturating_mul(FAULT_PAUSE));
    }

    /// The pause is over: one more try, of which nobody need be told.
    pub(crate) fn try_again(&mut self) {
        if let Health::AtFault(_) = self.health {
            self.health = Health::Unhealthy;
        }
    }

    fn becomes(&mut self, health: Health) {
        self.health = health;
        self.is_news = true;
    }

    fn count(&mut self, kind: Kind, update: impl FnOnce(u8) -> u8) -> u8 {
        let [status, fetch, push] = &mut self.failures;
        let failures = match kind {
            Kind::Status => status,
            Kind::Fetch => fetch,
            Kind::Push => push,
        };
        *failures = update(*failures);
        *failures
    }

    fn pause(&mut self, now: Instant, config: &Config, rng: &mut Rng) {
        let intervals = (1 << self.pauses.min(4)).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.retry_at = now + rng.jitter(config.interval.saturating_mul(intervals));
    }
}
