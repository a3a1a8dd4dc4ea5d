//! Frames of every kind, made from arbitrary parts.

use quickcheck::{Arbitrary, Gen};
use verisoo::log::{MAX_PROOF, MAX_SIZE};
use verisoo::wire::{
    Batch, Entries, Entry, Frame, Message, Nonce, OwnLog, Proof, ProofAnswer, Push, Refusal, Request, RequestId,
    Response, Signed, StatusBody, StatusRequest,
};
use verisoo::{Hash, Head, LogId, Signature, SignedHead};

/// What a frame of any kind can be made from.
#[derive(Clone, Debug)]
pub struct Parts {
    pub kind: usize,
    /// Ids and counts: any number.
    pub numbers: [u64; 2],
    /// Sizes and indices: at most 2^62.
    pub sizes: [u64; 2],
    pub limit: u32,
    pub logs: [LogId; 2],
    pub digests: [Hash; 3],
    pub flags: [bool; 3],
    pub heads: [SignedHead; 3],
    pub proof: Vec<[u8; 32]>,
    pub bytes: Vec<u8>,
    pub name: String,
}

impl Parts {
    /// Kinds of frame, refusals counted one by one.
    pub const KINDS: usize = 20;

    /// One of a kind, of middling size.
    pub fn sample(kind: usize) -> Self {
        let head = |size: u64, fill| SignedHead {
            head: Head { size, root: if size == 0 { Hash::EMPTY_ROOT } else { Hash::from_bytes([fill; 32]) } },
            signature: Signature::from_bytes([fill; 64]),
        };
        Self {
            kind,
            numbers: [300, u64::MAX],
            sizes: [7, 1 << 40],
            limit: 70_000,
            logs: [LogId::from_bytes([1; 32]), LogId::from_bytes([0xff; 32])],
            digests: [2, 3, 0x80].map(|fill| Hash::from_bytes([fill; 32])),
            flags: [true; 3],
            heads: [head(5, 0xaa), head(1 << 20, 4), head(0, 9)],
            proof: vec![[6; 32]; 5],
            bytes: b"\x03\x00abc\x00\x00".to_vec(),
            name: "example.com/log".into(),
        }
    }

    pub fn frame(&self) -> Frame<'_> {
        let ([a, c], [b, d]) = (self.numbers, self.sizes);
        let (log, limit) = (self.logs[0], self.limit);
        let proof = Proof::new(&self.proof).unwrap();
        let batch = Batch { log, start: b, head: self.heads[0], proof, records: &self.bytes };
        let signed = Signed { signature: self.heads[1].signature, body: &self.bytes };
        let nonce = Nonce(self.digests[0].as_bytes()[..16].try_into().unwrap());
        let message = match self.kind {
            0 => Message::Request(Request::Status(StatusRequest {
                asker: log,
                nonce,
                digest: self.digests[1],
                compared: self.flags[0].then_some(self.digests[2]),
                after: self.flags[1].then_some(self.logs[1]),
                limit,
            })),
            1 => Message::Request(Request::Proof { log, size: b, limit }),
            2 => Message::Request(Request::Records { log, start: b, count: c, limit }),
            3 => Message::Request(Request::Key { log }),
            4 => Message::Request(Request::Fork { log }),
            5 => Message::Request(Request::Push(Push { from: self.logs[1], nonce, batch })),
            6 => Message::Request(Request::PushFork { log, proof: &self.bytes }),
            7 => Message::Response(Response::Status(signed)),
            8 => {
                let (root, head) = (self.digests[1], self.heads[0]);
                Message::Response(Response::Proof(ProofAnswer { log, size: b, root, head, proof }))
            }
            9 => Message::Response(Response::Records(batch)),
            10 => Message::Response(Response::Key { log, name: &self.name, key: *self.digests[0].as_bytes() }),
            11 => Message::Response(Response::Fork { log, proof: &self.bytes }),
            12 => Message::Response(Response::Pushed(signed)),
            13 => Message::Response(Response::PushedFork { log }),
            14 => Message::Response(Response::Refused(Refusal::Unknown)),
            15 => Message::Response(Response::Refused(Refusal::NotHeld)),
            16 => Message::Response(Response::Refused(Refusal::Dropped { first: d })),
            17 => Message::Response(Response::Refused(Refusal::Busy)),
            18 => Message::Response(Response::Refused(Refusal::TooLong { index: d })),
            _ => Message::Response(Response::Refused(Refusal::Invalid)),
        };
        Frame { id: RequestId::new(a), message }
    }

    /// An entry of a status.
    pub fn entry(&self, log: LogId) -> Entry {
        Entry {
            log,
            complete: self.heads[0].head,
            have: self.sizes[0],
            covering: self.flags[0].then_some(self.heads[1].head),
            unproven: self.flags[1].then_some(self.heads[2]),
            forked: self.flags[2],
        }
    }

    /// A status with these entries, encoded one after the other.
    pub fn status<'a>(&self, entries: &'a [u8]) -> StatusBody<'a> {
        let own = OwnLog { have: self.sizes[1], head: self.flags[1].then_some(self.heads[1]) };
        StatusBody {
            digest: self.digests[0],
            max_message: self.limit,
            recovering: self.flags[0],
            own: self.flags[2].then_some(own),
            listed: self.flags[1],
            more: self.flags[0],
            entries: Entries::new(entries),
        }
    }
}

impl Arbitrary for Parts {
    fn arbitrary(g: &mut Gen) -> Self {
        Self {
            kind: usize::arbitrary(g) % Self::KINDS,
            numbers: [(); 2].map(|()| number(g)),
            sizes: [(); 2].map(|()| number(g) % (MAX_SIZE + 1)),
            limit: u32::arbitrary(g),
            logs: [LogId::from_bytes(bytes(g)), LogId::from_bytes(bytes(g))],
            digests: [(); 3].map(|()| Hash::from_bytes(bytes(g))),
            flags: [(); 3].map(|()| bool::arbitrary(g)),
            heads: [(); 3].map(|()| head(g)),
            proof: (0..usize::arbitrary(g) % (MAX_PROOF + 1)).map(|_| bytes(g)).collect(),
            bytes: Vec::arbitrary(g),
            name: String::arbitrary(g),
        }
    }
}

fn head(g: &mut Gen) -> SignedHead {
    let size = number(g) % (MAX_SIZE + 1);
    let root = if size == 0 { Hash::EMPTY_ROOT } else { Hash::from_bytes(bytes(g)) };
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&bytes(g));
    signature[32..].copy_from_slice(&bytes(g));
    SignedHead { head: Head { size, root }, signature: Signature::from_bytes(signature) }
}

/// Of every length.
fn number(g: &mut Gen) -> u64 {
    u64::arbitrary(g) >> (u32::arbitrary(g) % 64)
}

fn bytes(g: &mut Gen) -> [u8; 32] {
    [(); 32].map(|()| u8::arbitrary(g))
}
