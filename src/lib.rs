//! Federation core for tamper-evident logs, as a sans-IO protocol state machine.
//!
//! Organisations, servers and devices each keep an append-only Merkle log of records (attestations), and
//! each keeps a verified replica of the others' logs. Nodes gossip: they compare what they have; where it
//! differs they fetch what is missing together with a consistency proof, check it, and append it. There is
//! no coordinator, no leader and no consensus: logs that only grow, and converge. A log whose writer signs
//! two histories is caught, and the proof of it travels to everyone.
//!
//! The crate does no I/O. A [`Node`] is a value: [events](Event) in through [`Node::handle`],
//! [commands](Command) out through [`Node::poll`], and [`Node::respond`] answers what others ask. It has no
//! clock, no threads, no sockets and no disk; the caller passes the time and a [`Store`](store::Store) with
//! each call. It runs on servers under any runtime, on microcontrollers without an allocator
//! ([`Fixed`] tables and [`FixedStore`](store::FixedStore)), and in simulations that replay to the byte.
//!
//! # Two nodes
//!
//! Everything that a driver does, with function calls for a network:
//!
//! ```
//! use verisoo::store::MemoryStore;
//! use verisoo::wire::{Frame, Message};
//! use verisoo::{Command, Config, Event, Identity, Instant, Node};
//!
//! // A seed is 32 secret bytes; the last 32 are fresh at each start.
//! let alice = Identity::from_seed("alice.example", &[1; 32])?;
//! let bob = Identity::from_seed("bob.example", &[2; 32])?;
//! let mut now = Instant::ZERO;
//! type Member = (Node, MemoryStore);
//! let mut alice: Member = (Node::new(alice, Config::default(), [3; 32], now), MemoryStore::new());
//! let mut bob: Member = (Node::new(bob, Config::default(), [4; 32], now), MemoryStore::new());
//!
//! // Peers are known by their key.
//! alice.0.add_peer(&mut alice.1, *bob.0.vkey())?;
//! bob.0.add_peer(&mut bob.1, *alice.0.vkey())?;
//!
//! alice.0.append(&mut alice.1, b"the first record")?;
//! bob.0.append(&mut bob.1, b"another log's first record")?;
//!
//! /// Does everything that `node` wants done with its peer; true if there was anything.
//! fn turn(now: Instant, node: &mut Member, peer: &mut Member) -> bool {
//!     let (mut request, mut answer) = (vec![0; 131_072], vec![0; 131_072]);
//!     let mut is_busy = false;
//!     while let Some(command) = node.0.poll(now, &mut node.1) {
//!         is_busy = true;
//!         if let Command::Notify(notice) = command {
//!             println!("{}: {notice:?}", node.0);
//!             continue;
//!         }
//!         let Ok(Some(bytes)) = node.0.encode(&mut node.1, &command, &mut request) else { continue };
//!
//!         // Here a driver sends the bytes, and the peer's driver receives them.
//!         let frame = Frame::decode(bytes).unwrap();
//!         let Message::Request(asked) = frame.message else { continue };
//!         let bytes = peer.0.respond(now, &mut peer.1, frame.id, &asked, &mut answer).unwrap();
//!
//!         // And here the answer comes back.
//!         let (to, _) = command.request().unwrap();
//!         let frame = Frame::decode(bytes).unwrap();
//!         let Message::Response(response) = frame.message else { continue };
//!         node.0.handle(now, &mut node.1, Event::Answer { peer: to, request: frame.id, response }).unwrap();
//!     }
//!     is_busy
//! }
//!
//! while turn(now, &mut alice, &mut bob) | turn(now, &mut bob, &mut alice) {}
//! assert_eq!(alice.0.root(), bob.0.root());
//! assert_eq!(bob.1.record(&alice.0.id(), 0), Some(&b"the first record"[..]));
//!
//! // Nothing is to be done now; from here on a driver sleeps until the node wakes it, or a message does.
//! assert_eq!(alice.0.poll(now, &mut alice.1), None);
//! now = alice.0.next_wake().unwrap();
//! turn(now, &mut alice, &mut bob);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to begin
//!
//! | to write | begin with |
//! | --- | --- |
//! | a driver, which moves bytes | [`Node::poll`], [`Node::encode`], [`Node::handle`], [`Node::respond`], [`Node::next_wake`]; frames are in [`wire`] |
//! | an application, which writes and is told | [`Node::append`], [`Notice`], [`Node::checkpoint`]; statements are in [`attestation`] |
//! | a policy: who is known, what is followed | [`Config`], [`Start`], [`Node::add_peer`], [`Node::follow`] |
//! | a store | [`store::Store`], and [`store::Around`] for one that stands before another |
//! | a verifier, without a node | [`log`], [`head`], [`Vkey`] |
//! | tests of one's own | `local` (with `alloc`), the simulator `sim` |
//!
//! The repository has drivers to copy, on threads and on tokio, and a node that people run: see its README.
//!
//! # Standards
//!
//! | what | format |
//! | --- | --- |
//! | tree and proofs | [RFC 6962](https://www.rfc-editor.org/rfc/rfc6962) and [RFC 9162](https://www.rfc-editor.org/rfc/rfc9162), SHA-256 |
//! | signed heads | [C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint), a [signed note](https://c2sp.org/signed-note) |
//! | keys | C2SP vkey strings, Ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032)), verified strictly |
//! | proofs to take away | [C2SP tlog-proof](https://c2sp.org/tlog-proof) |
//! | attestations | [DSSE](https://github.com/secure-systems-lab/dsse) envelopes |
//! | messages | [postcard](https://postcard.jamesmunns.com/wire-format), canonical or refused |
//!
//! # Features
//!
//! Strictly additive. `std` (default) brings `alloc` and faster Ed25519 tables; `alloc` brings `Heap` tables,
//! `MemoryStore`, `local` and DSSE JSON; with neither, nothing allocates. `sim` brings the
//! deterministic simulator, for tests of your own stores and policies.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

/// The README's example, so that it stays true.
#[cfg(all(doctest, feature = "alloc"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod attestation;
mod codec;
mod decimal;
mod error;
pub mod head;
mod judge;
pub mod key;
#[cfg(feature = "alloc")]
pub mod local;
pub mod log;
mod node;
mod record;
mod rng;
#[cfg(feature = "sim")]
pub mod sim;
mod state;
pub mod store;
mod time;
pub mod wire;
mod words;

pub use attestation::Attestation;
pub use error::Error;
pub use head::{Head, SignedHead};
pub use key::{Ed25519, Identity, LogId, Name, Scheme, Signature, Vkey};
pub use log::Hash;
pub use node::Node;
pub use record::{MAX_RECORD, Records, RecordsIter, Truncated};
#[cfg(feature = "alloc")]
pub use state::Heap;
pub use state::{Fixed, Tables};
pub use time::Instant;
pub use words::{
    Answers, Ask, Command, Config, Event, Fault, Health, Introductions, LogInfo, Notice, PeerId, PeerInfo, PushOutcome,
    RecoveryInfo, Start, SyncError, SyncReport,
};
