//! Fork proofs: the verifier accepts exactly those that a naive judge accepts, and only where the writer
//! has really signed two histories.

use verisoo::head::ForkProof;
use verisoo::log::leaf_hash;
use verisoo::sim::SimScheme;
use verisoo::{Hash, Head, Name, Signature, SignedHead, Vkey};

use super::input::Input;
use super::naive::flip;
use super::verifier::is_consistent;
use super::writer::Writer;

/// The first byte of an input that is a key and a proof as they are, say of a simulated log.
pub const AS_IT_IS: u8 = 255;

pub fn fork_proofs(data: &[u8]) {
    let mut input = Input::new(data);
    if data.first() == Some(&AS_IT_IS) {
        input.byte();
        return as_it_is(&mut input);
    }
    let common = input.between(0, 24);
    let mut left = Writer::new("writer.example");
    (0..common).for_each(|index| left.append(format!("common {index}").as_bytes()));
    let mut right = left.clone();
    (0..input.between(1, 24)).for_each(|index| left.append(format!("left {index}").as_bytes()));
    (0..input.between(1, 24)).for_each(|index| right.append(format!("right {index}").as_bytes()));
    let histories = [left, right];

    // An honest writer signs one history only.
    let is_honest = input.below(3) == 0;
    let sides = if is_honest { [0, 0] } else { [input.below(2), input.below(2)] };
    let mut heads = sides.map(|side| histories[side].sign(input.between(0, histories[side].size())));
    let least = heads[0].head.size.min(heads[1].head.size);
    let mut size = input.between(1, least.max(1));
    let roots_of = [sides[0], if input.below(4) == 0 { 1 - sides[1] } else { sides[1] }];
    let mut roots = roots_of.map(|side| histories[side].root(size.min(histories[side].size())));
    let mut proofs: Vec<_> = (0..2).map(|at| histories[sides[at]].proof(size, heads[at].head.size)).collect();

    for _ in 0..input.below(4) {
        let at = input.below(2);
        match input.below(7) {
            0 => drop(input.mutate_hashes(&mut proofs[at])),
            1 => roots[at] = flip(&roots[at], input.byte().into()),
            2 => size = if input.flag() { input.number() } else { input.between(0, 50) },
            3 => heads[at].head = Head { size: input.between(0, 50), root: leaf_hash(&[input.byte()]) },
            4 => heads[at].signature = Signature::from_bytes([input.byte(); 64]),
            5 => heads.swap(0, 1),
            _ => proofs.swap(0, 1),
        }
    }
    let proof = ForkProof { heads, size, roots, proofs: [&proofs[0], &proofs[1]] };
    judge(&proof, &histories, is_honest);

    let mut buf = vec![0; ForkProof::MAX_LEN];
    let Some(len) = proof.encode(&mut buf) else { return };
    assert_eq!(ForkProof::decode(&buf[..len]), Ok(proof));
    buf.truncate(len);
    input.mutate(&mut buf, 3);
    let Ok(changed) = ForkProof::decode(&buf) else { return };
    let mut again = vec![0; ForkProof::MAX_LEN];
    let len = changed.encode(&mut again).expect("what was decoded can be encoded");
    assert_eq!(again[..len], buf);
    judge(&changed, &histories, is_honest);
}

/// A key of any log, its name, and bytes that may be a proof against it.
fn as_it_is(input: &mut Input<'_>) {
    let key = input.array();
    let len = input.below(64);
    let name = std::str::from_utf8(input.bytes(len)).ok().and_then(|name| Name::new(name).ok());
    let Some(vkey) = name.and_then(|name| Vkey::<SimScheme>::new(name, key).ok()) else { return };
    let bytes = input.rest();
    let Ok(proof) = ForkProof::decode(bytes) else { return };
    let mut again = vec![0; ForkProof::MAX_LEN];
    let len = proof.encode(&mut again).expect("what was decoded can be encoded");
    assert_eq!(again[..len], *bytes);
    assert_eq!(proof.verify(&vkey).is_ok(), proves(&proof, |signed| signed.verify(&vkey).is_ok()), "{proof:?}");
}

fn judge(proof: &ForkProof<'_>, histories: &[Writer; 2], is_honest: bool) {
    let accepted = proof.verify(histories[0].identity.vkey()).is_ok();
    let is_signed = |signed: &SignedHead| SignedHead::sign(&histories[0].identity, signed.head) == *signed;
    assert_eq!(accepted, proves(proof, is_signed), "{proof:?}");
    if accepted {
        assert!(!is_honest, "an honest writer is accused");
        let history = |signed: &SignedHead| -> Hash {
            let fits =
                |writer: &&Writer| signed.head.size <= writer.size() && writer.head(signed.head.size) == signed.head;
            histories.iter().find(fits).expect("a head that was signed").root(proof.size)
        };
        assert_ne!(history(&proof.heads[0]), history(&proof.heads[1]), "the heads are of one history");
    }
}

/// What a naive judge says.
fn proves(proof: &ForkProof<'_>, is_signed: impl Fn(&SignedHead) -> bool) -> bool {
    let leads = |at: usize| {
        let Head { size, root } = proof.heads[at].head;
        is_consistent(proof.size, &proof.roots[at], size, &root, proof.proofs[at])
    };
    proof.size > 0
        && proof.heads.iter().all(|signed| signed.head.is_well_formed() && is_signed(signed))
        && proof.roots[0] != proof.roots[1]
        && leads(0)
        && leads(1)
}
