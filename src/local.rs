//! Nodes in one process that talk to each other: what a driver does, with function calls for a network.
//!
//! For examples and tests, of an embedder's own stores and policies as well. Every message passes as its bytes. Time
//! stands still in a call, and the caller moves it on between calls; what losses, delays, crashes and disks that
//! fail do to a federation is the simulator's to find out (the feature `sim`).

use alloc::vec::Vec;
use core::fmt;

use crate::error::Error;
use crate::store::StoreError;
use crate::time::Instant;
use crate::wire::{Frame, Message, Response};
use crate::words::{Command, Event, Notice, PeerId};

/// Commands that [`exchange`] carries out in one call at most, of all members together: more than there is to say
/// in one moment, unless somebody asks for the same over and over.
pub const MAX_COMMANDS: usize = 100_000;

/// How often a call is made that finds the store not ready: one answer may need several things that are loaded one
/// after the other.
const TRIES: usize = 100;

/// Lets nodes do all that they want done at `now`, each reaching its peers among `members`, until nobody wants
/// anything any more. Returns what they told their applications, each notice with the place in `members` of the
/// node that gave it, in the order in which they came.
///
/// A request to a peer that is not among the members fails at once ([`Event::RequestFailed`]).
///
/// ```
/// use verisoo::local::exchange;
/// use verisoo::store::MemoryStore;
/// use verisoo::{Config, Identity, Instant, Node, Notice};
///
/// let mut now = Instant::ZERO;
/// let member = |name, seed| {
///     let node: Node = Node::new(Identity::from_seed(name, &[seed; 32])?, Config::default(), [seed; 32], now);
///     Ok::<_, Box<dyn std::error::Error>>((node, MemoryStore::new()))
/// };
/// let (mut anna, mut bob) = (member("anna.example", 1)?, member("bob.example", 2)?);
/// anna.0.add_peer(&mut anna.1, *bob.0.vkey())?;
/// bob.0.add_peer(&mut bob.1, *anna.0.vkey())?;
/// anna.0.append(&mut anna.1, b"a record")?;
///
/// let notices = exchange(now, &mut [&mut anna, &mut bob])?;
/// assert_eq!(bob.1.record(&anna.0.id(), 0), Some(&b"a record"[..]));
/// assert!(notices.iter().any(|(at, notice)| *at == 0 && matches!(notice, Notice::Published { .. })));
///
/// // Nothing more is to be done, until the first of them wants to be woken.
/// assert_eq!(exchange(now, &mut [&mut anna, &mut bob])?, []);
/// now = anna.0.next_wake().min(bob.0.next_wake()).unwrap();
/// exchange(now, &mut [&mut anna, &mut bob])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Interrupted`] where a member's store fails while a question is written, or is not ready however often the member
/// tries, and after [`MAX_COMMANDS`]. An exchange can be taken up again: nodes ask once more for what they did not get.
pub fn exchange(now: Instant, members: &mut [&mut dyn Member]) -> Result<Vec<(usize, Notice)>, Interrupted> {
    exchange_over(now, members, |_, _, message| Some(message))
}

/// As [`exchange`], over a wire that may lose messages and change them: `wire` is given the places of sender and
/// receiver among the members, and what is sent; what it returns arrives, or with `None` nothing. Who asked and hears
/// nothing goes on when the time for an answer is over.
///
/// ```
/// use verisoo::local::exchange_over;
/// use verisoo::store::MemoryStore;
/// use verisoo::wire::{Message, Request};
/// use verisoo::{Config, Identity, Instant, Node};
///
/// # let mut now = Instant::ZERO;
/// # let member = |name, seed| {
/// #     let node: Node = Node::new(Identity::from_seed(name, &[seed; 32])?, Config::default(), [seed; 32], now);
/// #     Ok::<_, Box<dyn std::error::Error>>((node, MemoryStore::new()))
/// # };
/// # let (mut anna, mut bob) = (member("anna.example", 1)?, member("bob.example", 2)?);
/// anna.0.add_peer(&mut anna.1, *bob.0.vkey())?;
/// bob.0.append(&mut bob.1, b"a record")?;
/// bob.0.publish(&mut bob.1)?;
///
/// // The first question for records is lost.
/// let mut is_lost = true;
/// while anna.0.log(&bob.0.id()).unwrap().have == 0 {
///     exchange_over(now, &mut [&mut anna, &mut bob], |_, _, message| match message {
///         Message::Request(Request::Records { .. }) if std::mem::take(&mut is_lost) => None,
///         message => Some(message),
///     })?;
///     now = anna.0.next_wake().unwrap();
/// }
/// assert!(now >= Instant::ZERO + Config::default().timeout);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`exchange`].
pub fn exchange_over(
    now: Instant,
    members: &mut [&mut dyn Member],
    mut wire: impl for<'a> FnMut(usize, usize, Message<'a>) -> Option<Message<'a>>,
) -> Result<Vec<(usize, Notice)>, Interrupted> {
    carry_out_all(now, members, &mut wire, MAX_COMMANDS)
}

/// A node and its store, as [`exchange`] takes them: `(Node<T>, S)`, or `(&mut Node<T>, &mut S)` where the two lie in a
/// struct of one's own. Tables, schemes and stores of the members of one exchange may differ.
pub trait Member: talk::Talk {}

impl<M: talk::Talk> Member for M {}

/// An exchange ended early. The members are as it left them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interrupted {
    /// What the members told their applications before, as [`exchange`] returns it.
    pub notices: Vec<(usize, Notice)>,
    /// The place among the members of the one whose turn it was.
    pub at: usize,
    /// Why.
    pub why: Why,
}

/// Why an exchange ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// [`MAX_COMMANDS`] were carried out: a mistake in a node or in a store, or a wire that keeps nodes busy.
    /// [`Node::poll`](crate::Node::poll) says what is wanted next.
    Endless,
    /// [`Node::encode`](crate::Node::encode) or [`Node::handle`](crate::Node::handle) failed.
    Failed(Error),
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, why, .. } = self;
        match why {
            Why::Endless => write!(f, "there is no end to what member {at} wants done: {MAX_COMMANDS} commands"),
            Why::Failed(error) => write!(f, "member {at}: {error}"),
        }
    }
}

impl core::error::Error for Interrupted {}

type Wire<'w> = &'w mut dyn for<'a> FnMut(usize, usize, Message<'a>) -> Option<Message<'a>>;

fn carry_out_all(
    now: Instant,
    members: &mut [&mut dyn Member],
    wire: Wire<'_>,
    most: usize,
) -> Result<Vec<(usize, Notice)>, Interrupted> {
    let (mut notices, mut done) = (Vec::new(), 0);
    loop {
        let before = done;
        for at in 0..members.len() {
            while let Some(command) = members.get_mut(at).and_then(|member| member.poll(now)) {
                done += 1;
                if let Command::Notify(notice) = command {
                    notices.push((at, notice));
                } else if let Err(error) = carry_out(now, members, at, &command, wire) {
                    return Err(Interrupted { notices, at, why: Why::Failed(error) });
                }
                // Looked at once what was begun is done: a request that nobody carries out keeps its peer waiting.
                if done == most {
                    return Err(Interrupted { notices, at, why: Why::Endless });
                }
            }
        }
        if done == before {
            return Ok(notices);
        }
    }
}

/// Asks the peer that a command names, and hands its answer back.
fn carry_out(
    now: Instant,
    members: &mut [&mut dyn Member],
    at: usize,
    command: &Command,
    wire: Wire<'_>,
) -> Result<(), Error> {
    let Some((peer, request)) = command.request() else { return Ok(()) };
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    let (event, result) = match ask(now, members, (at, peer), command, wire, [&mut asked, &mut answered]) {
        Ok(Some(response)) => (Event::Answer { peer, request, response }, Ok(())),
        Ok(None) => return Ok(()),
        Err(error) => (Event::RequestFailed { peer, request }, error.map_or(Ok(()), Err)),
    };
    members.get_mut(at).map_or(Ok(()), |asker| once_ready(|| asker.handle(now, event))).and(result)
}

/// Makes a call again where the store has to load something first.
fn once_ready<R>(mut call: impl FnMut() -> Result<R, Error>) -> Result<R, Error> {
    let tries = (1..TRIES).map(|_| call()).find(|result| !matches!(result, Err(Error::Store(StoreError::NotReady))));
    tries.unwrap_or_else(call)
}

/// The answer of a peer; `None` where question or answer is lost, or the question is over. Fails where there is nobody
/// to ask, or, with the asker's error, nothing to ask with.
fn ask<'b>(
    now: Instant,
    members: &mut [&mut dyn Member],
    (at, peer): (usize, PeerId),
    command: &Command,
    wire: Wire<'_>,
    [asked, answered]: [&'b mut Vec<u8>; 2],
) -> Result<Option<Response<'b>>, Option<Error>> {
    let asker = members.get_mut(at).ok_or(None)?;
    let node = asker.peer(peer).ok_or(None)?;
    asked.resize(asker.longest(), 0);
    let len = once_ready(|| Ok(asker.encode(command, asked)?.map(<[u8]>::len))).map_err(Some)?;
    let Some(len) = len else { return Ok(None) };
    let frame = Frame::decode(asked.get(..len).unwrap_or_default()).map_err(|_| None)?;

    let mut others = members.iter_mut().enumerate().filter(|(to, _)| *to != at);
    let (to, answerer) = others.find_map(|(to, other)| (other.id() == node).then_some((to, other))).ok_or(None)?;
    let Some(Message::Request(request)) = wire(at, to, frame.message) else { return Ok(None) };
    answered.resize(answerer.longest(), 0);
    let bytes = answerer.respond(now, frame.id, &request, answered).ok_or(None)?;
    let frame = Frame::decode(bytes).map_err(|_| None)?;
    let Some(Message::Response(response)) = wire(to, at, frame.message) else { return Ok(None) };
    Ok(Some(response))
}

/// What an exchange needs of a member, whatever its types.
mod talk {
    use crate::error::Error;
    use crate::key::LogId;
    use crate::node::Node;
    use crate::state::Tables;
    use crate::store::Store;
    use crate::time::Instant;
    use crate::wire::{Request, RequestId};
    use crate::words::{Command, Event, PeerId};

    pub trait Talk {
        fn id(&mut self) -> LogId;
        /// The key that a peer is known by.
        fn peer(&mut self, peer: PeerId) -> Option<LogId>;
        /// The longest message that the node sends.
        fn longest(&mut self) -> usize;
        fn poll(&mut self, now: Instant) -> Option<Command>;
        fn encode<'b>(&mut self, command: &Command, buf: &'b mut [u8]) -> Result<Option<&'b [u8]>, Error>;
        fn respond<'b>(
            &mut self,
            now: Instant,
            id: RequestId,
            request: &Request<'_>,
            buf: &'b mut [u8],
        ) -> Option<&'b [u8]>;
        fn handle(&mut self, now: Instant, event: Event<'_>) -> Result<(), Error>;
    }

    pub trait Pair {
        type Tables: Tables;
        fn parts(&mut self) -> (&mut Node<Self::Tables>, &mut dyn Store);
    }

    impl<T: Tables, S: Store> Pair for (Node<T>, S) {
        type Tables = T;
        fn parts(&mut self) -> (&mut Node<T>, &mut dyn Store) {
            (&mut self.0, &mut self.1)
        }
    }

    impl<T: Tables, S: Store> Pair for (&mut Node<T>, &mut S) {
        type Tables = T;
        fn parts(&mut self) -> (&mut Node<T>, &mut dyn Store) {
            (self.0, self.1)
        }
    }

    impl<P: Pair> Talk for P {
        fn id(&mut self) -> LogId {
            self.parts().0.id()
        }

        fn peer(&mut self, peer: PeerId) -> Option<LogId> {
            self.parts().0.peer(peer).map(|peer| peer.node)
        }

        fn longest(&mut self) -> usize {
            usize::try_from(self.parts().0.config().max_message).unwrap_or(usize::MAX)
        }

        fn poll(&mut self, now: Instant) -> Option<Command> {
            let (node, store) = self.parts();
            node.poll(now, store)
        }

        fn encode<'b>(&mut self, command: &Command, buf: &'b mut [u8]) -> Result<Option<&'b [u8]>, Error> {
            let (node, store) = self.parts();
            node.encode(store, command, buf)
        }

        fn respond<'b>(
            &mut self,
            now: Instant,
            id: RequestId,
            request: &Request<'_>,
            buf: &'b mut [u8],
        ) -> Option<&'b [u8]> {
            let (node, store) = self.parts();
            node.respond(now, store, id, request, buf)
        }

        fn handle(&mut self, now: Instant, event: Event<'_>) -> Result<(), Error> {
            let (node, store) = self.parts();
            node.handle(now, store, event)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Identity;
    use crate::node::Node;
    use crate::store::{Around, Call, MemoryStore, Store};
    use crate::words::Config;

    /// A store that takes records only after so many tries.
    struct Slow(MemoryStore, usize);

    impl Around for Slow {
        fn inner(&mut self) -> &mut dyn Store {
            &mut self.0
        }

        fn before(&mut self, call: &Call<'_>) -> Result<(), StoreError> {
            if matches!(call, Call::Commit { .. }) && self.1 > 0 {
                self.1 -= 1;
                return Err(StoreError::NotReady);
            }
            Ok(())
        }
    }

    fn member(name: &str, seed: u8) -> (Node, MemoryStore) {
        let identity = Identity::from_seed(name, &[seed; 32]).unwrap();
        (Node::new(identity, Config::default(), [seed; 32], Instant::ZERO), MemoryStore::new())
    }

    #[test]
    fn an_exchange_has_an_end_and_can_be_taken_up_again() {
        let (mut anna, mut bob) = (member("anna", 1), member("bob", 2));
        anna.0.add_peer(&mut anna.1, *bob.0.vkey()).unwrap();
        bob.0.append(&mut bob.1, b"a record").unwrap();
        bob.0.publish(&mut bob.1).unwrap();
        for _ in 0..2 {
            let ended = carry_out_all(Instant::ZERO, &mut [&mut anna, &mut bob], &mut |_, _, message| Some(message), 1);
            assert_eq!(ended.map_err(|interrupted| (interrupted.at, interrupted.why)), Err((0, Why::Endless)));
        }
        exchange(Instant::ZERO, &mut [&mut anna, &mut bob]).unwrap();
        assert_eq!(anna.0.root(), bob.0.root());
    }

    #[test]
    fn a_store_that_is_not_ready_is_waited_for_and_no_notice_is_lost() {
        let (anna, mut bob) = (member("anna", 1), member("bob", 2));
        bob.0.append(&mut bob.1, b"a record").unwrap();
        let head = bob.0.publish(&mut bob.1).unwrap();
        let taken_in = |tries| {
            let (mut bob, mut anna) = (bob.clone(), (anna.0.clone(), Slow(anna.1.clone(), tries)));
            anna.0.add_peer(&mut anna.1, *bob.0.vkey()).unwrap();
            let ended = exchange(Instant::ZERO, &mut [&mut bob, &mut anna]);
            ended.map(|notices| (notices, anna.0.log(&bob.0.id()).unwrap().complete))
        };
        let notices = alloc::vec![(0, Notice::Published { head })];
        assert_eq!(taken_in(TRIES - 1), Ok((notices.clone(), head)));
        let why = Why::Failed(Error::Store(StoreError::NotReady));
        assert_eq!(taken_in(TRIES), Err(Interrupted { notices, at: 1, why }));
    }

    #[test]
    fn whoever_is_not_there_cannot_be_reached() {
        let (mut anna, bob) = (member("anna", 1), member("bob", 2));
        let peer = anna.0.add_peer(&mut anna.1, *bob.0.vkey()).unwrap();
        exchange(Instant::ZERO, &mut [&mut anna]).unwrap();
        assert_eq!(anna.0.outstanding_requests(), 0);
        assert_eq!(anna.0.peer(peer).unwrap().acknowledged, None);
    }
}
