//! cargo-fuzz target of the body `proxyhdr`.
#![no_main]

#[path = "../bodies/proxyhdr.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
