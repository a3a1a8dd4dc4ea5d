//! The vocabulary: what an operator decides ([`Config`], [`Start`]), what happens ([`Event`]), what is to be done
//! ([`Command`], [`Ask`]), what is told ([`Notice`]), and what can be asked ([`PeerInfo`], [`LogInfo`],
//! [`RecoveryInfo`]). Plain data: nothing here decides anything.

mod command;
mod config;
mod event;
mod info;
mod notice;
mod peer;
mod start;

pub(crate) use command::Kind;
pub use command::{Ask, Command};
pub use config::{Config, Introductions};
pub use event::Event;
pub use info::{Health, LogInfo, PeerInfo, RecoveryInfo};
pub use notice::{Fault, Notice, PushOutcome, SyncError, SyncReport};
pub use peer::PeerId;
pub use start::{Answers, Start};
