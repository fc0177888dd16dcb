//! cargo-fuzz target of the body `conf`.
#![no_main]

#[path = "../bodies/conf.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::fuzz_conf(data));
