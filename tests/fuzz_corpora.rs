//! The fuzz targets' corpora, on a stable compiler. `fuzz/README.md` says how the targets are fuzzed.

#![allow(missing_docs, reason = "a test")]
#![cfg(feature = "alloc")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::{Path, PathBuf};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

#[test]
fn nothing_is_found_in_inputs_drawn_at_random() {
    for (name, target) in targets::TARGETS {
        let mut state = 1u64;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        let count = std::env::var("VERISOO_FUZZ_INPUTS").map_or(60, |count| count.parse().expect("a number"));
        for number in 0..count {
            let len = usize::from(byte()) * 2;
            let input: Vec<u8> = (0..len).map(|_| byte()).collect();
            println!("{name}, input {number}");
            target(&input);
        }
    }
}
