//! Keys: an unknown log.
//!
//! - Ask: for the key of a log that a peer's signed status lists and that is not followed here, as long as the peer's
//!   quota has room for it (when, `due` says).
//! - Answer: name and key.
//! - Hear: the log's id commits to both (C2SP signed-note keys), so that a false one is the answerer's fault. With a
//!   true one the log is followed from now on, on its introducer's account.
//!
//! The rule: logs come from the operator or from a peer's signed word, never from who asks or pushes.

use crate::error::Error;
use crate::judge::Trouble;
use crate::key::{LogId, Name, Vkey};
use crate::node::ending::{Blame, Ending};
use crate::node::value::Node;
use crate::node::write::encode;
use crate::state::{News, Tables};
use crate::store::{Origin, Store};
use crate::wire::{Refusal, RequestId, Response};
use crate::words::{Fault, PeerId};

impl<T: Tables> Node<T> {
    #[inline(never)]
    pub(in crate::node) fn answer_key(
        &mut self,
        store: &mut dyn Store,
        id: RequestId,
        log: &LogId,
        buf: &mut [u8],
    ) -> Result<usize, Refusal> {
        if *log == self.writing.id() {
            let vkey = self.writing.identity().vkey();
            return encode(id, Response::Key { log: *log, name: vkey.name().as_str(), key: *vkey.key() }, buf);
        }
        let slot = self.logs.slot(log).ok_or(Refusal::Unknown)?;
        let vkey = match self.shelf(store, slot) {
            Ok(shelf) => shelf.vkey::<T::Scheme>(),
            Err(trouble) => return Err(self.refusal(trouble)),
        };
        encode(id, Response::Key { log: *log, name: vkey.name().as_str(), key: *vkey.key() }, buf)
    }

    /// The key of a log came that the peer introduced.
    #[inline(never)]
    pub(in crate::node) fn hear_key(
        &mut self,
        store: &mut dyn Store,
        peer: PeerId,
        log: LogId,
        name: &str,
        key: [u8; 32],
    ) -> Result<Ending, Trouble> {
        // The id commits to name and key, so whoever sends them cannot lie about them.
        let vkey = Name::new(name).and_then(|name| Vkey::<T::Scheme>::new(name, key)).ok();
        let Some(vkey) = vkey.filter(|vkey| vkey.id() == log) else {
            return Ok(Ending::Fault(Fault::FalseKey, Blame::Transport));
        };
        let Some(by) = self.peers.find(peer).map(|peer| peer.node) else { return Ok(Ending::None) };
        let is_new = self.logs.find(&log).is_none();
        if is_new && self.may_introduce(peer) {
            match self.follow_as(store, &vkey, Origin::Introduced(by)) {
                Err(Error::Store(error)) => return Err(Trouble::anywhere(error)),
                Err(_) => {}
                Ok(()) => {
                    if let Some(peer) = self.peers.find_mut(peer) {
                        peer.introduced.add(1, 0);
                    }
                    if let Some(slot) = self.logs.slot(&log) {
                        self.logs.tell(slot, News::Introduced);
                    }
                }
            }
        }
        Ok(Ending::Answered)
    }
}
