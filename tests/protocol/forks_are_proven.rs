//! A writer that signs two histories is proven a forker everywhere.

use crate::federation::Federation;

#[test]
fn two_halves_that_saw_different_histories() {
    // left - right, and a writer that shows each of them another log.
    let mut federation = Federation::of(&["left", "right", "forker", "forker"]);
    federation.connect(0, 1);
    federation.connect(0, 2);
    federation.connect(1, 3);
    federation.append(2, b"one history");
    federation.append(3, b"another history");
    federation.append_many(0, 4);
    federation.run_rounds(2);
    let (forker, vkey) = (federation.id(2), federation.vkey(2));
    for a in [0, 1] {
        assert!(federation.is_forked(a, &forker), "{a}");
        federation.assert_fork_proof(a, &forker, &vkey);
    }
    federation.assert_converged(&[0, 1]);
}
