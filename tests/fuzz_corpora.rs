//! The fuzz targets' corpora, on a stable compiler. `fuzz/README.md` says how the targets are fuzzed.
//!
//! With `VERISOO_FUZZ=seeds` in the environment, and the feature `sim`, the seeds are written into the
//! corpora anew; `VERISOO_FUZZ_INPUTS` says how many inputs are drawn at random for each target.

#![allow(missing_docs, reason = "a test")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest corpus of one target, in bytes.
const LARGEST: usize = 1_000_000;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// A test a target, so that they run side by side.
macro_rules! nothing_is_found_in_the_corpus_of {
    ($($target:ident)*) => {
        mod nothing_is_found_in_the_corpus_of {
            $(#[test]
            fn $target() {
                super::run_corpus(stringify!($target), super::targets::$target);
            })*
        }

        #[test]
        fn each_target_has_its_test() {
            assert_eq!(targets::TARGETS.map(|(name, _)| name), [$(stringify!($target)),*]);
        }
    };
}

nothing_is_found_in_the_corpus_of!(attestation fork_proofs frame frontier node_ops notes pair proofs store);

fn run_corpus(name: &str, target: fn(&[u8])) {
    if std::env::var("VERISOO_FUZZ").is_ok_and(|what| what == "seeds") {
        write_seeds(name);
    }
    let folder = corpus(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let inputs: BTreeMap<PathBuf, Vec<u8>> =
        files.map(|file| file.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let bytes: usize = inputs.values().map(Vec::len).sum();
    assert!(!inputs.is_empty() && bytes < LARGEST, "{name}: {} inputs, {bytes} bytes", inputs.len());
    for (path, input) in inputs {
        println!("{}", path.display());
        target(&input);
    }
}

#[test]
fn nothing_is_found_in_inputs_drawn_at_random() {
    let count = std::env::var("VERISOO_FUZZ_INPUTS").map_or(12, |count| count.parse().expect("a number"));
    for (name, target) in targets::TARGETS {
        let mut state = 1u64;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        // A node's life takes as long as a hundred proofs.
        let is_cheap = !["node_ops", "pair", "store"].contains(&name);
        for number in 0..if is_cheap { 100 * count } else { count } {
            let len = usize::from(byte()) * 2;
            let input: Vec<u8> = (0..len).map(|_| byte()).collect();
            println!("{name}, input {number}");
            target(&input);
        }
    }
}

fn write_seeds(name: &str) {
    // Simulated once for all targets.
    static SEEDS: std::sync::OnceLock<Vec<(&str, Vec<u8>)>> = std::sync::OnceLock::new();

    let folder = corpus(name);
    std::fs::create_dir_all(&folder).unwrap();
    for file in std::fs::read_dir(&folder).unwrap().flatten() {
        if file.file_name().to_str().is_some_and(|name| name.starts_with("seed-")) {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    let seeds = SEEDS.get_or_init(targets::seeds).iter().filter(|(target, _)| *target == name);
    for (number, (_, seed)) in seeds.enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
    }
}
