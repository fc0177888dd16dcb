//! cargo-fuzz target of the body `chunked`.
#![no_main]

#[path = "../bodies/chunked.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
