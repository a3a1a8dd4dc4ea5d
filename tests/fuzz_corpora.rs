//! What the fuzz targets are given to begin with, on a stable compiler: seeds, which are made here, what long runs
//! have learned, and what was found. `fuzz/README.md` says how the targets are fuzzed.
//!
//! With `VERISOO_FUZZ=unpack` in the environment all of it is written to `fuzz/corpus`, for the fuzzer, and with
//! `VERISOO_FUZZ=pack` what is there besides is kept as learned; `VERISOO_FUZZ_INPUTS` says how many inputs are
//! drawn at random for each target.

#![allow(missing_docs, reason = "a test")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use verisoo::Records;

/// The most bytes that a target's inputs have together.
const LARGEST: usize = 1_000_000;

/// `corpus`: all inputs of a target, a file each, for the fuzzer; made here. `learned`: those that only a long run
/// comes to, in one file, framed as records are. `found`: those by which something was found, by name.
fn path(what: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(what).join(target)
}

/// A target's inputs, each with a name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    // Simulated once for all targets.
    static SEEDS: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();

    let numbered = |(at, (name, input)): (usize, (&str, Vec<u8>))| (format!("{name}-{at:03}"), input);
    let seeds = SEEDS.get_or_init(targets::seeds).iter().filter(|(of, _)| *of == target);
    let seeds = seeds.map(|(_, seed)| ("seed", seed.clone())).enumerate().map(numbered);
    let learned = std::fs::read(path("learned", target)).unwrap();
    let learned = Records::new(&learned).iter().map(|input| ("learned", input.unwrap().to_vec())).enumerate();
    seeds.chain(learned.map(numbered)).chain(files(&path("found", target))).collect()
}

/// The files of a folder, where there is one.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

fn unpack(target: &str) {
    let corpus = path("corpus", target);
    std::fs::create_dir_all(&corpus).unwrap();
    for (name, input) in inputs(target) {
        std::fs::write(corpus.join(name), input).unwrap();
    }
}

/// Keeps as learned what is in the corpus and neither is a seed nor was found.
fn pack(target: &str) {
    let known = inputs(target).into_iter().filter(|(name, _)| !name.starts_with("learned-"));
    let known: BTreeSet<Vec<u8>> = known.map(|(_, input)| input).collect();
    let learned: BTreeSet<Vec<u8>> = files(&path("corpus", target)).into_iter().map(|(_, input)| input).collect();
    assert!(!learned.is_empty(), "there is no corpus of {target}");
    let mut framed = Vec::new();
    for input in learned.difference(&known) {
        let start = framed.len();
        framed.resize(start + input.len() + 2, 0);
        Records::frame(input, &mut framed[start..]).unwrap();
    }
    std::fs::write(path("learned", target), framed).unwrap();
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
    match std::env::var("VERISOO_FUZZ").as_deref() {
        Ok("unpack") => return unpack(name),
        Ok("pack") => return pack(name),
        _ => {}
    }
    let inputs = inputs(name);
    let bytes: usize = inputs.iter().map(|(_, input)| input.len()).sum();
    assert!(inputs.len() > 60 && bytes < LARGEST, "{name}: {} inputs, {bytes} bytes", inputs.len());
    for (name, input) in inputs {
        println!("{name}");
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
