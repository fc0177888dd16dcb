//! cargo-fuzz target of the body `h1_request`.
#![no_main]

#[path = "../bodies/h1_request.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
