//! A federation with a liar in it, for the tests of what it may do: whatever that is, no honest log is accused,
//! nothing is held that its writer did not sign, and what can converge does.

use verisoo::wire::{Frame, Message, Refusal, Response};
use verisoo::{Event, Fault, Node, Notice, PeerId};

use crate::hostile::authenticate;
use crate::net::Federation;

pub const WRITER: usize = 0;
pub const LIAR: usize = 1;
pub const READER: usize = 2;
pub const HONEST: usize = 3;

/// A writer, a liar and an honest peer that copy it, and a reader that asks both, the liar first.
pub fn federation() -> Federation {
    let mut federation = Federation::of(&["writer", "liar", "reader", "honest"]);
    federation.connect(WRITER, LIAR);
    federation.connect(WRITER, HONEST);
    federation.append_many(WRITER, 5);
    federation.run_rounds(2);
    federation.dial(READER, LIAR);
    federation.dial(READER, HONEST);
    authenticate(&mut federation, READER, LIAR);
    federation
}

pub fn refusal(bytes: &[u8]) -> Option<Refusal> {
    match Frame::decode(bytes).unwrap().message {
        Message::Response(Response::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

pub fn faults(federation: &Federation, a: usize) -> Vec<(PeerId, Fault)> {
    let notices = federation.notices.iter().filter(|(at, _)| *at == a);
    notices
        .filter_map(
            |(_, notice)| if let Notice::PeerAtFault { peer, fault } = notice { Some((*peer, *fault)) } else { None },
        )
        .collect()
}

/// The reader, its clock set.
pub fn snapshot(federation: &mut Federation) -> Node {
    let member = &mut federation.members[READER];
    member.node.handle(federation.now, &mut member.store, Event::Tick).unwrap();
    member.node.clone()
}
