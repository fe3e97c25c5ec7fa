//! See the library.
#![no_main]
libfuzzer_sys::fuzz_target!(|script: &[u8]| alaz_fuzz::converse(script));
