//! What a stranger may cost a node, and what it takes upon itself at one time.

use std::time::Duration;

/// Bounds on what is open, waiting and under way. The sizes of messages are the node's own:
/// `verisoo::Config::max_message`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at one time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Requests served at one time; further ones are refused with 503.
    pub requests: usize,
    /// How long a request may take from its first byte to the answer, its body included.
    pub request_time: Duration,
    /// Calls waiting for the node; further ones are refused with 503.
    pub mailbox: usize,
    /// The node's own requests under way at one time.
    pub outgoing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1_024, requests: 256, request_time: Duration::from_secs(10), mailbox: 256, outgoing: 64 }
    }
}
