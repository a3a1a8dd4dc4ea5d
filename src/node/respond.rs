//! The door for what others ask. Whoever asks is answered, each kind of request by its conversation, or refused.
//!
//! Nothing is revealed that is not durable. A question changes nothing, and a push only what it proves: neither changes
//! a peer's health or makes a log followed, for who sent it nobody has signed.

use super::value::Node;
use super::write::refusal_of;
use crate::state::Tables;
use crate::store::Store;
use crate::time::Instant;
use crate::wire::{Frame, Message, Refusal, Request, RequestId, Response};

impl<T: Tables> Node<T> {
    /// Answers a request: the frame to send back, written to the front of `buf`. `None` where `buf` is too
    /// short even for a refusal; with [`MIN_MESSAGE`](crate::wire::MIN_MESSAGE) bytes it never is, and
    /// answers use no more of it than [`Config::max_message`](crate::Config) and the asker's limit allow.
    ///
    /// Whoever asks is answered. A driver bounds how often: a status costs a signature, a push may cost
    /// the check of one. What cannot be answered, and what a store fails at, is a
    /// [`Refusal`](crate::wire::Refusal).
    ///
    /// ```
    /// use verisoo::store::MemoryStore;
    /// use verisoo::wire::{Frame, MIN_MESSAGE, Message, Refusal, Request, RequestId, Response};
    /// use verisoo::{Config, Identity, Instant, LogId, Node, Records};
    ///
    /// # let identity = Identity::from_seed("anna.example", &[1; 32])?;
    /// # let (mut store, now) = (MemoryStore::new(), Instant::ZERO);
    /// # let mut node: Node = Node::new(identity, Config::default(), [2; 32], now);
    /// node.append(&mut store, b"a record")?;
    /// node.publish(&mut store)?;
    /// let log = node.id();
    ///
    /// // A server takes the bytes of a request, and sends back those of the answer.
    /// let mut serve = |bytes: &[u8]| {
    ///     let Ok(Frame { id, message: Message::Request(request) }) = Frame::decode(bytes) else { return None };
    ///     let mut buf = vec![0; 131_072];
    ///     node.respond(now, &mut store, id, &request, &mut buf).map(<[u8]>::to_vec)
    /// };
    ///
    /// // Anybody can ask: here for records of its log, and for some of a log that it does not follow.
    /// let mut ask = |log| {
    ///     let request = Request::Records { log, start: 0, count: 100, limit: MIN_MESSAGE };
    ///     let mut buf = [0; 64];
    ///     serve(Frame { id: RequestId::new(7), message: Message::Request(request) }.encode(&mut buf)?)
    /// };
    /// let answer = ask(log).unwrap();
    /// let Message::Response(Response::Records(batch)) = Frame::decode(&answer)?.message else { panic!() };
    /// assert_eq!(Records::new(batch.records).iter().next(), Some(Ok(&b"a record"[..])));
    /// assert_eq!(batch.head.head.size, 1);
    ///
    /// let answer = ask(LogId::from_bytes([0; 32])).unwrap();
    /// let refused = Message::Response(Response::Refused(Refusal::Unknown));
    /// assert_eq!(Frame::decode(&answer)?, Frame { id: RequestId::new(7), message: refused });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn respond<'b>(
        &mut self,
        now: Instant,
        store: &mut dyn Store,
        id: RequestId,
        request: &Request<'_>,
        buf: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        self.clock.advance(now);
        // Nothing is revealed that is not durable, and a push may have written something.
        let answer = self.settle(store).map_err(refusal_of).and_then(|()| self.answer(store, id, request, buf));
        let len = match answer {
            Ok(len) => len,
            Err(refusal) => {
                let message = Message::Response(Response::Refused(refusal));
                Frame { id, message }.encode(buf)?.len()
            }
        };
        buf.get(..len)
    }

    fn answer(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        request: &Request<'_>,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        match request {
            Request::Status(asked) => self.answer_status(store, id, asked, buf),
            Request::Proof { log, size, limit } => self.answer_proof(store, id, log, *size, *limit, buf),
            Request::Records { log, start, count, limit } => {
                let buf = self.within(*limit, buf);
                self.answer_records(store, id, log, *start, *count, buf)
            }
            Request::Key { log } => self.answer_key(store, id, log, buf),
            Request::Fork { log } => self.answer_fork(store, id, log, buf),
            Request::Push(push) => self.answer_push(store, id, push, buf),
            Request::PushFork { log, proof } => self.answer_fork_push(store, id, log, proof, buf),
        }
    }
}
