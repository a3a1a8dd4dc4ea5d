//! Fork proofs: verified with the log's key and nothing else, and encoded in one way only.

mod naive;

use naive::{Log, Uniform, collect};
use quickcheck::{Arbitrary, Gen, quickcheck};
use verisoo::head::{ForkError, ForkProof};
use verisoo::log::{MAX_PROOF, MAX_SIZE, ProofError, leaf_hash, prove_consistency, root_at, verify_consistency};
use verisoo::{Hash, Head, Identity, Signature, SignedHead};

/// Two histories that part at some leaf, a head of each, and the proofs from a size after that.
#[derive(Clone)]
struct Fork {
    heads: [SignedHead; 2],
    size: u64,
    roots: [Hash; 2],
    proofs: [Vec<[u8; 32]>; 2],
}

impl Fork {
    /// The writer's logs agree in `common` leaves and then do not; heads at `sizes`, compared at `size`.
    fn new(common: u64, size: u64, sizes: [u64; 2]) -> Self {
        let identity = named("a.example");
        let logs = [1, 2].map(|seed| {
            let mut log = Log::of_size(common, 0);
            (common..sizes[0].max(sizes[1])).for_each(|index| log.push(format!("{seed} {index}").as_bytes()));
            log
        });
        let head = |log: &Log, size: u64| SignedHead::sign(&identity, Head { size, root: log.root_at(size) });
        let proof = |log: &Log, new: u64| collect(|emit| prove_consistency(size, new, log.reader(new), emit)).unwrap();
        Self {
            heads: [head(&logs[0], sizes[0]), head(&logs[1], sizes[1])],
            size,
            roots: [logs[0].root_at(size), logs[1].root_at(size)],
            proofs: [proof(&logs[0], sizes[0]), proof(&logs[1], sizes[1])],
        }
    }

    /// The longest there is: two logs of 2^62 leaves, compared at 3.
    fn longest() -> Self {
        let logs = [Uniform::new(b"one history"), Uniform::new(b"another")];
        let root = |size, log: &Uniform| root_at(size, log.reader()).unwrap();
        let head = |log| SignedHead::sign(&named("a.example"), Head { size: MAX_SIZE, root: root(MAX_SIZE, log) });
        let proof = |log: &Uniform| collect(|emit| prove_consistency(3, MAX_SIZE, log.reader(), emit)).unwrap();
        let [left, right] = &logs;
        Self {
            heads: [head(left), head(right)],
            size: 3,
            roots: [root(3, left), root(3, right)],
            proofs: [proof(left), proof(right)],
        }
    }

    fn proof(&self) -> ForkProof<'_> {
        let Self { heads, size, roots, proofs: [left, right] } = self;
        ForkProof { heads: *heads, size: *size, roots: *roots, proofs: [left, right] }
    }

    fn verify(&self) -> Result<(), ForkError> {
        self.proof().verify(named("a.example").vkey())
    }
}

/// One key under any name.
fn named(name: &str) -> Identity {
    Identity::from_seed(name, &[7; 32]).unwrap()
}

fn encode(proof: &ForkProof<'_>) -> Option<Vec<u8>> {
    let mut buf = vec![0xAA; ForkProof::MAX_LEN];
    proof.encode(&mut buf).map(|len| buf[..len].to_vec())
}

#[test]
fn two_heads_of_one_size_and_different_roots_are_a_fork() {
    for size in [1, 2, 5, 8] {
        let fork = Fork::new(size - 1, size, [size, size]);
        assert!(fork.proofs.iter().all(Vec::is_empty));
        assert_eq!(fork.verify(), Ok(()));
    }
}

#[test]
fn heads_of_different_sizes_are_a_fork_where_their_histories_part() {
    for (common, size, sizes) in [(0, 1, [1, 9]), (3, 4, [6, 4]), (3, 5, [9, 7]), (6, 7, [7, 13]), (5, 8, [16, 9])] {
        assert_eq!(Fork::new(common, size, sizes).verify(), Ok(()), "{common} {size} {sizes:?}");
    }
}

#[test]
fn histories_that_agree_at_the_size_prove_nothing() {
    assert_eq!(Fork::new(5, 5, [9, 7]).verify(), Err(ForkError::SameRoot));
    assert_eq!(Fork::new(5, 5, [5, 5]).verify(), Err(ForkError::SameRoot));
    // A head behind another of one history is what every honest log shows.
    assert_eq!(Fork::new(9, 5, [9, 7]).verify(), Err(ForkError::SameRoot));
}

#[test]
fn each_part_of_a_fork_proof_is_checked() {
    type Change = fn(&mut Fork);
    let wrong_root = ForkError::Proof(ProofError::WrongRoot);
    let wrong_length = ForkError::Proof(ProofError::WrongLength);
    let cases: [(&str, Change, ForkError); 16] = [
        ("size 0", |fork| fork.size = 0, ForkError::OutOfRange),
        ("a size beyond the second head", |fork| fork.size = 8, ForkError::OutOfRange),
        ("a size beyond both", |fork| fork.size = u64::MAX, ForkError::OutOfRange),
        ("a size of its own for the first head", |fork| fork.heads[0].head.size = 4, ForkError::OutOfRange),
        ("a head of nothing", |fork| fork.heads[1].head = Head::EMPTY, ForkError::OutOfRange),
        ("a head too large", |f| f.heads[1].head.size = MAX_SIZE + 1, ForkError::Proof(ProofError::OutOfRange)),
        ("one root twice", |fork| fork.roots[1] = fork.roots[0], ForkError::SameRoot),
        ("one head twice", |fork| fork.heads[1] = fork.heads[0], wrong_length),
        ("roots exchanged", |fork| fork.roots.reverse(), wrong_root),
        ("proofs exchanged", |fork| fork.proofs.reverse(), wrong_length),
        ("a hash too many", |fork| fork.proofs[0].push([0; 32]), wrong_length),
        ("a hash too few", |fork| fork.proofs[1].truncate(1), wrong_length),
        ("no proof", |fork| fork.proofs = [vec![], vec![]], wrong_length),
        ("a flipped bit in the first proof", |fork| fork.proofs[0][0][0] ^= 1, wrong_root),
        ("a flipped bit in the second proof", |fork| fork.proofs[1][0][31] ^= 1, wrong_root),
        ("a root that nobody signed", |fork| fork.roots[0] = Hash::EMPTY_ROOT, wrong_root),
    ];
    let fork = Fork::new(3, 5, [9, 7]);
    assert_eq!(fork.verify(), Ok(()));
    for (what, change, expected) in cases {
        let mut changed = fork.clone();
        change(&mut changed);
        assert_eq!(changed.verify(), Err(expected), "{what}");
    }
}

#[test]
fn both_heads_must_be_signed_by_the_key_of_this_log() {
    let fork = Fork::new(3, 5, [9, 7]);
    assert_eq!(fork.proof().verify(named("b.example").vkey()), Err(ForkError::Signature), "another name");
    let other = Identity::from_seed("a.example", &[8; 32]).unwrap();
    assert_eq!(fork.proof().verify::<verisoo::Ed25519>(other.vkey()), Err(ForkError::Signature), "another key");
    for place in 0..2 {
        let mut forged = fork.clone();
        forged.heads[place].signature = Signature::from_bytes([0; 64]);
        assert_eq!(forged.verify(), Err(ForkError::Signature), "no signature");
        forged.heads[place] = SignedHead::sign(&other, fork.heads[place].head);
        assert_eq!(forged.verify(), Err(ForkError::Signature), "somebody else's history");
        forged.heads[place].signature = fork.heads[1 - place].signature;
        assert_eq!(forged.verify(), Err(ForkError::Signature), "the other head's signature");
    }
}

#[test]
fn no_flipped_bit_of_an_encoded_proof_proves_a_fork() {
    let vkey = *named("a.example").vkey();
    let bytes = encode(&Fork::new(3, 5, [9, 7]).proof()).unwrap();
    assert_eq!(ForkProof::decode(&bytes).and_then(|proof| proof.verify(&vkey)), Ok(()));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(ForkProof::decode(&flipped).and_then(|proof| proof.verify(&vkey)).is_err(), "bit {bit}");
    }
}

#[test]
fn the_longest_encoding_has_the_length_that_is_promised() {
    let mut fork = Fork::longest();
    assert_eq!(fork.proofs.each_ref().map(Vec::len), [MAX_PROOF; 2]);
    assert_eq!(fork.verify(), Ok(()));
    // The common size is 3 above, which is one byte; where it takes nine, proofs of 63 hashes exist too.
    fork.size = MAX_SIZE - 1;
    let bytes = encode(&fork.proof()).unwrap();
    assert_eq!(bytes.len(), ForkProof::MAX_LEN);
    assert_eq!(ForkProof::decode(&bytes), Ok(fork.proof()));

    assert_eq!(fork.proof().encode(&mut [0; ForkProof::MAX_LEN - 1]), None);
    let hash = *leaf_hash(b"").as_bytes();
    let old = Hash::EMPTY_ROOT;
    let verified = verify_consistency(fork.size, &old, MAX_SIZE, &old, &[hash; MAX_PROOF]);
    assert_eq!(verified, Err(ProofError::WrongRoot), "the length is right");
}

#[test]
fn a_proof_beyond_the_limits_is_neither_written_nor_read() {
    type Change = fn(&mut Fork);
    let changes: [Change; 5] = [
        |fork| fork.size = MAX_SIZE + 1,
        |fork| fork.heads[0].head.size = MAX_SIZE + 1,
        |fork| fork.heads[1].head.size = u64::MAX,
        |fork| fork.proofs[0].push([0; 32]),
        |fork| fork.proofs[1].push([0; 32]),
    ];
    for change in changes {
        let mut fork = Fork::longest();
        change(&mut fork);
        let mut buf = vec![0; 2 * ForkProof::MAX_LEN];
        assert_eq!(fork.proof().encode(&mut buf), None);
        assert_eq!(ForkProof::decode(&encode_by_hand(&fork, 0)), Err(ForkError::Malformed));
    }
}

#[test]
fn the_encoding_is_the_documented_one_and_no_other_is_read() {
    for fork in [Fork::new(3, 5, [9, 7]), Fork::new(3, 4, [4, 4]), Fork::longest()] {
        let bytes = encode(&fork.proof()).unwrap();
        assert_eq!(bytes, encode_by_hand(&fork, 0));
        assert_eq!(ForkProof::decode(&bytes), Ok(fork.proof()));
        for padded in 1..=5 {
            let bytes = encode_by_hand(&fork, padded);
            assert_eq!(
                ForkProof::decode(&bytes),
                Err(ForkError::Malformed),
                "varint {padded} is longer than it need be"
            );
        }
        for len in 0..bytes.len() {
            assert_eq!(ForkProof::decode(&bytes[..len]), Err(ForkError::Malformed), "only {len} bytes");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(ForkProof::decode(&longer), Err(ForkError::Malformed), "a byte more");
    }
}

#[test]
fn a_proof_that_is_no_whole_number_of_hashes_is_malformed() {
    let mut bytes = encode(&Fork::new(3, 4, [4, 4]).proof()).unwrap();
    assert_eq!(bytes.split_off(bytes.len() - 2), [0, 0], "two empty proofs");
    for (left, right) in [(1, 0), (0, 31), (33, 0), (32, 33)] {
        let mut changed = bytes.clone();
        for len in [left, right] {
            changed.push(len);
            changed.extend(vec![0; len.into()]);
        }
        assert_eq!(ForkProof::decode(&changed), Err(ForkError::Malformed));
    }
}

/// The encoding, written here once more from its description. Of its varints (two heads' sizes, the
/// common size, the lengths of the proofs) the one numbered `padded`, from 1, is a byte too long.
fn encode_by_hand(fork: &Fork, padded: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut varints = 0;
    let mut varint = |bytes: &mut Vec<u8>, mut number: u64| {
        varints += 1;
        while number > 0x7F {
            bytes.push(0x80 | number.to_le_bytes()[0]);
            number >>= 7;
        }
        bytes.push(number.to_le_bytes()[0]);
        if varints == padded {
            *bytes.last_mut().unwrap() |= 0x80;
            bytes.push(0);
        }
    };
    for SignedHead { head, signature } in &fork.heads {
        varint(&mut bytes, head.size);
        bytes.extend(head.root.as_bytes());
        bytes.extend(signature.as_bytes());
    }
    varint(&mut bytes, fork.size);
    fork.roots.iter().for_each(|root| bytes.extend(root.as_bytes()));
    for proof in &fork.proofs {
        varint(&mut bytes, 32 * proof.len() as u64);
        bytes.extend(proof.as_flattened());
    }
    bytes
}

quickcheck! {
    /// Also of proofs that prove nothing: what is written is read back.
    fn what_is_written_is_read_back(fork: AnyFork) -> bool {
        let bytes = encode(&fork.0.proof()).unwrap();
        ForkProof::decode(&bytes) == Ok(fork.0.proof())
    }

    /// Whatever bytes are read would be written the same way: a fork proof has one encoding.
    fn what_is_read_would_be_written_the_same(fork: AnyFork, changes: Vec<(usize, u8)>) -> bool {
        let mut bytes = encode(&fork.0.proof()).unwrap();
        let len = bytes.len();
        changes.into_iter().take(3).for_each(|(place, value)| bytes[place % len] = value);
        ForkProof::decode(&bytes).is_ok_and(|proof| encode(&proof) == Some(bytes.clone()))
            || ForkProof::decode(&bytes) == Err(ForkError::Malformed)
    }

    fn no_bytes_make_decode_panic(bytes: Vec<u8>) -> bool {
        ForkProof::decode(&bytes).is_ok_and(|proof| encode(&proof) == Some(bytes.clone()))
            || ForkProof::decode(&bytes) == Err(ForkError::Malformed)
    }
}

/// A fork proof within the limits, of no meaning.
#[derive(Clone)]
struct AnyFork(Fork);

impl std::fmt::Debug for AnyFork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.proof().fmt(f)
    }
}

impl Arbitrary for AnyFork {
    fn arbitrary(g: &mut Gen) -> Self {
        let size = |g: &mut Gen| u64::arbitrary(g) >> (2 + u32::arbitrary(g) % 62);
        let hash = |g: &mut Gen| -> [u8; 32] { std::array::from_fn(|_| u8::arbitrary(g)) };
        let head = |g: &mut Gen| SignedHead {
            head: Head { size: size(g), root: Hash::from_bytes(hash(g)) },
            signature: Signature::from_bytes(std::array::from_fn(|_| u8::arbitrary(g))),
        };
        let proof = |g: &mut Gen| (0..usize::arbitrary(g) % (MAX_PROOF + 1)).map(|_| hash(g)).collect();
        Self(Fork {
            heads: [head(g), head(g)],
            size: size(g),
            roots: [hash(g), hash(g)].map(Hash::from_bytes),
            proofs: [proof(g), proof(g)],
        })
    }
}
