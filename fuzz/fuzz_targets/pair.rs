#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| verisoo_fuzz::pair(data));
