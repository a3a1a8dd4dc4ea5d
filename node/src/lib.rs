//! A node of a verisoo federation: what a [`verisoo::Node`] needs to live on tokio and HTTP. The binary
//! `verisoo` is its command line; a program of one's own that is to be a node, or to have one, begins with
//! [`driver::Driver`].
//!
//! - [`driver`]: the task that owns node and store, and how everything else talks to it
//! - [`link`]: the node's requests, sent to its peers; [`client`] is HTTP as a client, within limits
//! - [`api`]: what is served, to peers and people and to the operator
//! - [`keys`]: key files; [`notices`]: what a node tells, in words
//!
//! Imports point downwards: `api` knows the driver, the driver knows the link, and none of them the reverse.

pub mod api;
pub mod client;
pub mod driver;
pub mod keys;
pub mod limits;
pub mod link;
pub mod notices;

pub use link::BINARY;
