//! The door for the bytes of what is asked: the frame of a command, written when it is about to be sent, from what the
//! store holds then. That is why commands are small, and why what goes out is never older than it need be. A request
//! that has been overtaken has no bytes. How messages are encoded is said in [`wire`](crate::wire).

use super::value::Node;
use super::write::put_fork;
use crate::error::Error;
use crate::state::Tables;
use crate::store::{Store, StoreError};
use crate::wire::{Frame, Message, Request};
use crate::words::{Ask, Command};

impl<T: Tables> Node<T> {
    /// Writes the frame of a command to the front of `buf`, which should have room for
    /// [`Config::max_message`](crate::Config) bytes. `None` for a notice, and for a request that has been
    /// overtaken meanwhile: then there is nothing to send.
    ///
    /// Errors: [`Error::BufferTooSmall`], [`Error::Store`]; the request then stays outstanding until its
    /// deadline.
    #[inline(never)]
    pub fn encode<'b>(
        &mut self,
        store: &mut dyn Store,
        command: &Command,
        buf: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, Error> {
        let Some((peer, id)) = command.request() else { return Ok(None) };
        let Some((_, asked)) = self.requests.find(peer, id) else { return Ok(None) };
        let Some(known) = self.peers.find(peer) else { return Ok(None) };
        let (limit, takes) =
            (known.standing.answer_limit(&self.config), known.max_message.min(self.config.max_message));
        let request = match asked {
            Ask::Status => self.status_request(peer, id, limit),
            Ask::Proof { log, size } => Request::Proof { log, size, limit },
            Ask::Records { log, start, count } => Request::Records { log, start, count, limit },
            Ask::Key { log } => Request::Key { log },
            Ask::Fork { log } => Request::Fork { log },
            Ask::Push { log, start } => {
                let takes = usize::try_from(takes).unwrap_or(usize::MAX).min(buf.len());
                let written = self.encode_push(store, id, &log, start, buf.get_mut(..takes).unwrap_or_default());
                if let Err(Error::Store(error @ (StoreError::Damaged | StoreError::Mismatch))) = written {
                    // There is nothing to send, and the peer is not to be held to an answer.
                    self.disk.report(error);
                    self.requests.drop_those(|request| request.id == id);
                    self.cache.idle_until = None;
                    return Ok(None);
                }
                return Ok(buf.get(..written?));
            }
            Ask::PushFork { log } => {
                self.settle(store)?;
                let envelope = Frame { id, message: Message::Request(Request::PushFork { log, proof: &[] }) };
                let Some(len) = put_fork(store, &log, &envelope, buf)? else { return Ok(None) };
                return buf.get(..len).map(Some).ok_or(Error::BufferTooSmall);
            }
        };
        let frame = Frame { id, message: Message::Request(request) };
        frame.encode(buf).map(Some).ok_or(Error::BufferTooSmall)
    }
}
