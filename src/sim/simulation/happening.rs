//! What those who watch a simulation are told. It changes nothing of what happens.

use alloc::boxed::Box;

use crate::sim::plan::Entry;
use crate::wire::Frame;
use crate::words::Notice;

/// Something that happened, for those who watch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// A message arrived.
    Message {
        /// From whom.
        from: u32,
        /// At whom.
        to: u32,
        /// What; `None` where the bytes are no frame.
        frame: Option<Frame<'a>>,
    },
    /// A node woke up.
    Wake {
        /// Who.
        node: u32,
    },
    /// An entry of the plan came due.
    Entry(&'a Entry),
    /// A node started again.
    Restart {
        /// Who.
        node: u32,
    },
    /// A node told its application something.
    Notice {
        /// Who.
        node: u32,
        /// What.
        notice: Notice,
    },
}

/// Who watches: is told the time and what happens.
pub type Observer = Box<dyn FnMut(u64, &Happening<'_>)>;
